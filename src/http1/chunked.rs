//! The chunked coding (RFC 9112 section 7.1), read strictly and written plainly.
//!
//! Chunk extensions are refused in both directions: no client or server of this field sends them,
//! no peer may rely on them, and parsers differ on where they end.

use super::{BodyEvent, BodyFault, body::take_data, trailers::Trailers};

/// Most digits of a chunk size: enough for 64 bits.
const SIZE_DIGITS: u8 = 16;

/// Largest chunk, as for `Content-Length`.
const MAX_SIZE: u64 = i64::MAX as u64;

#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    trailers: Trailers,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy)]
enum At {
    /// The size line, after this many digits.
    Size { size: u64, digits: u8 },
    /// The LF of the size line.
    SizeLf { size: u64 },
    /// The data, with this many bytes to come (not 0).
    Data { left: u64 },
    /// The CR after the data.
    DataCr,
    /// The LF after the data.
    DataLf,
    /// The trailer section.
    Trailers,
    /// The next message.
    Done,
}

impl At {
    const CHUNK: Self = Self::Size { size: 0, digits: 0 };
}

impl Chunked {
    pub(super) fn of_request() -> Self {
        Self { at: At::CHUNK, trailers: Trailers::of_request() }
    }

    pub(super) fn of_answer() -> Self {
        Self { at: At::CHUNK, trailers: Trailers::of_answer() }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.at, At::Done)
    }

    pub(super) fn trailers(&self) -> &[u8] {
        if self.is_done() { self.trailers.lines() } else { &[] }
    }

    pub(super) fn decode(&mut self, input: &[u8]) -> Result<BodyEvent, BodyFault> {
        let mut next = 0;
        loop {
            match &mut self.at {
                At::Done => return Ok(BodyEvent::End { consumed: next }),
                At::Data { left } => {
                    let event = take_data(left, input, next);
                    if *left == 0 {
                        self.at = At::DataCr;
                    }
                    return Ok(event);
                }
                At::Size { .. } | At::SizeLf { .. } | At::DataCr | At::DataLf | At::Trailers => {}
            }
            let Some(&byte) = input.get(next) else {
                return Ok(BodyEvent::NeedMore);
            };
            self.framing_byte(byte)?;
            next += 1;
        }
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), BodyFault> {
        self.at = match (self.at, byte) {
            (At::Size { digits: 1.., size }, b'\r') => At::SizeLf { size },
            (At::Size { digits: 1.., .. }, b';') => return Err(BodyFault::ChunkExtension),
            (At::Size { size, digits }, _) => size_digit(size, digits, byte)?,
            (At::SizeLf { size: 0 }, b'\n') => At::Trailers,
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::SizeLf { .. }, _) => return Err(BodyFault::ChunkSize),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::CHUNK,
            (At::DataCr | At::DataLf, _) => return Err(BodyFault::ChunkEnd),
            (At::Trailers, _) if self.trailers.add(byte)? => At::Done,
            (unchanged @ (At::Trailers | At::Data { .. } | At::Done), _) => unchanged,
        };
        Ok(())
    }
}

fn size_digit(size: u64, digits: u8, byte: u8) -> Result<At, BodyFault> {
    let Some(digit) = char::from(byte).to_digit(16) else {
        return Err(BodyFault::ChunkSize);
    };
    let fits = digits < SIZE_DIGITS && size <= MAX_SIZE >> 4;
    if !fits {
        return Err(BodyFault::ChunkSizeTooLarge);
    }
    Ok(At::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
}

/// Appends the size line of a chunk of `len` bytes (`len` > 0: a chunk of 0 would end the body).
/// The caller then writes the data and a CR LF.
pub fn write_chunk_head(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0, "a chunk of 0 bytes ends the body");
    let digits = len.checked_ilog2().unwrap_or(0) / 4;
    for place in (0..=digits).rev() {
        let digit = len >> (4 * place) & 0xf;
        out.push(b"0123456789abcdef"[digit]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk, `trailers` (raw lines with CRLF, may be empty) and the blank line.
pub fn write_last_chunk(trailers: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_events_skip_the_framing_around_them() {
        let mut chunked = Chunked::of_request();
        let input = b"3\r\nabc\r\n02\r\nde\r\n0\r\nX-A: b\r\n\r\nGET";
        assert_eq!(chunked.decode(input), Ok(BodyEvent::Data { start: 3, end: 6 }));
        assert_eq!(chunked.decode(&input[6..]), Ok(BodyEvent::Data { start: 6, end: 8 }));
        assert_eq!(chunked.trailers(), b"");
        assert_eq!(chunked.decode(&input[14..]), Ok(BodyEvent::End { consumed: 15 }));
        assert_eq!(chunked.trailers(), b"X-A: b\r\n");
        assert_eq!(chunked.decode(b"GET"), Ok(BodyEvent::End { consumed: 0 }));
    }

    #[test]
    fn sizes_end_at_16_digits_and_at_2_to_the_63() {
        let first = |line: &str| Chunked::of_request().decode(format!("{line}\r\nx").as_bytes());
        let data = |start| Ok(BodyEvent::Data { start, end: start + 1 });
        assert_eq!(first("7fffffffffffffff"), data(18));
        assert_eq!(first("0000000000000001"), data(18));
        assert_eq!(first("8000000000000000"), Err(BodyFault::ChunkSizeTooLarge));
        assert_eq!(first("00000000000000001"), Err(BodyFault::ChunkSizeTooLarge));
    }

    #[test]
    fn size_lines_are_written_as_plain_hexadecimal() {
        for len in [1, 9, 10, 15, 16, 17, 255, 256, 65536, usize::MAX] {
            let mut line = Vec::new();
            write_chunk_head(len, &mut line);
            assert_eq!(line, format!("{len:x}\r\n").as_bytes());
        }
        let mut last = Vec::new();
        write_last_chunk(b"A: b\r\n", &mut last);
        assert_eq!(last, b"0\r\nA: b\r\n\r\n");
    }
}
