//! Finds the end of a head that arrives in pieces, in one pass over the bytes.
//!
//! Refuses at once what no further byte could repair, so that a peer who will never send a blank
//! line (TLS, HTTP/0.9, bare LF) gets its answer now and not at a timeout. The result depends only
//! on the bytes, never on how they were cut into pieces.

use memchr::memchr2;

use super::{HeadFault, Limits, RequestFault, ResponseFault, syntax};

/// Remembers how far a head was scanned, so that pieces do not cost again.
///
/// One scanner per head: start the next one from `default()`. After an error it is of no use.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeadScanner {
    /// Bytes before this offset need not be looked at again.
    scanned: usize,
    /// Where the current line begins; 0 while it is the request or status line.
    line_start: usize,
}

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadScan {
    /// The head ends (blank line included) at this offset.
    Complete(usize),
    /// The end is not there yet.
    NeedMore,
}

/// Room in a request line for what is not the target: method, two blanks, version, CR LF.
const AROUND_TARGET: usize = super::request::METHOD_BYTES + 1 + 1 + b"HTTP/1.1".len() + 2;

/// The first byte of every TLS connection: a handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

impl HeadScanner {
    /// Looks for the blank line of a request head in `buf`, which starts at the head's first byte
    /// and only grows between calls.
    ///
    /// An empty line before the request line is refused too, although RFC 9112 section 2.2 lets a
    /// server skip one: no client of the last decades sends it.
    ///
    /// # Errors
    /// As soon as the bytes cannot become an acceptable head.
    pub fn scan(&mut self, buf: &[u8], limits: &Limits) -> Result<HeadScan, RequestFault> {
        if self.line_start == 0 {
            check_first_byte(buf)?;
            let most = limits.head_bytes.min(limits.target_bytes.saturating_add(AROUND_TARGET));
            match self.line_end(buf, most)? {
                Some(end) => {
                    check_request_line(&buf[..end])?;
                    self.begin_line(end + 2);
                }
                None if buf.len() >= most => return Err(RequestFault::TargetTooLong),
                None => return Ok(HeadScan::NeedMore),
            }
        }
        Ok(self.scan_fields(buf, limits)?)
    }

    /// The same for an answer head.
    ///
    /// # Errors
    /// As soon as the bytes cannot become an acceptable head.
    pub fn scan_response(
        &mut self,
        buf: &[u8],
        limits: &Limits,
    ) -> Result<HeadScan, ResponseFault> {
        if self.line_start == 0 {
            if !buf.iter().zip(b"HTTP/1.").all(|(a, b)| a == b) {
                return Err(ResponseFault::NotHttp1);
            }
            match self.line_end(buf, limits.head_bytes)? {
                Some(end) => self.begin_line(end + 2),
                None if buf.len() >= limits.head_bytes => return Err(HeadFault::TooLarge.into()),
                None => return Ok(HeadScan::NeedMore),
            }
        }
        Ok(self.scan_fields(buf, limits)?)
    }

    fn scan_fields(&mut self, buf: &[u8], limits: &Limits) -> Result<HeadScan, HeadFault> {
        loop {
            match self.line_end(buf, limits.head_bytes)? {
                Some(end) if end == self.line_start => return Ok(HeadScan::Complete(end + 2)),
                Some(end) => self.begin_line(end + 2),
                None if buf.len() >= limits.head_bytes => return Err(HeadFault::TooLarge),
                None => return Ok(HeadScan::NeedMore),
            }
        }
    }

    fn begin_line(&mut self, at: usize) {
        self.line_start = at;
        self.scanned = at;
    }

    /// Where the current line's CR LF is, if it lies within the first `most` bytes of `buf`.
    fn line_end(&mut self, buf: &[u8], most: usize) -> Result<Option<usize>, HeadFault> {
        let window = &buf[..buf.len().min(most)];
        let fresh = window.get(self.scanned..).unwrap_or_default();
        let found = memchr2(b'\r', b'\n', fresh);
        let text = &fresh[..found.unwrap_or(fresh.len())];
        if syntax::has_control(text) {
            return Err(HeadFault::ControlByte);
        }
        self.scanned += text.len();
        match &fresh[text.len()..] {
            [b'\r', b'\n', ..] => Ok(Some(self.scanned)),
            [b'\r', _, ..] => Err(HeadFault::BareCr),
            [b'\n', ..] => Err(HeadFault::BareLf),
            _ => Ok(None),
        }
    }
}

fn check_first_byte(buf: &[u8]) -> Result<(), RequestFault> {
    match buf.first() {
        Some(&TLS_HANDSHAKE) => Err(RequestFault::TlsOnPlainPort),
        Some(b'\r' | b'\n') => Err(HeadFault::LeadingEmptyLine.into()),
        Some(&byte) if !syntax::is_token_byte(byte) => Err(RequestFault::BadMethod),
        _ => Ok(()),
    }
}

/// Refuses a request line that does not end with a version we speak, whatever comes after it.
fn check_request_line(line: &[u8]) -> Result<(), RequestFault> {
    if line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") {
        return Ok(());
    }
    let mut words = line.split(|&b| b == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    Err(match (method, target, version, words.next()) {
        (Some(b"PRI"), Some(b"*"), Some(b"HTTP/2.0"), None) => RequestFault::Http2Preface,
        (_, Some(target), Some(version), None)
            if !target.is_empty() && version.starts_with(b"HTTP/") =>
        {
            RequestFault::UnsupportedVersion
        }
        (_, Some(target), None, None) if !target.is_empty() && !target.starts_with(b"HTTP/") => {
            RequestFault::Http09
        }
        _ => RequestFault::MalformedRequestLine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 64, fields: 8, target_bytes: 16 };

    fn scan(bytes: &[u8]) -> Result<HeadScan, RequestFault> {
        HeadScanner::default().scan(bytes, &LIMITS)
    }

    #[test]
    fn a_hopeless_beginning_is_refused_before_the_head_is_complete() {
        assert_eq!(scan(b"\x16\x03\x01"), Err(RequestFault::TlsOnPlainPort));
        assert_eq!(scan(b"PRI * HTTP/2.0\r\n"), Err(RequestFault::Http2Preface));
        assert_eq!(scan(b"GET /\r\n"), Err(RequestFault::Http09));
        assert_eq!(scan(b"GET / HTTP/3.0\r\n"), Err(RequestFault::UnsupportedVersion));
        assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(HeadFault::BareLf.into()));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\x00"), Err(HeadFault::ControlByte.into()));
        assert_eq!(scan(b"GET\x01"), Err(HeadFault::ControlByte.into()));
    }

    #[test]
    fn a_cr_at_the_end_waits_for_its_lf() {
        assert_eq!(scan(b"GET / HTTP/1.1\r"), Ok(HeadScan::NeedMore));
        assert_eq!(scan(b"GET / HTTP/1.1\rX"), Err(HeadFault::BareCr.into()));
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r"), Ok(HeadScan::NeedMore));
    }

    #[test]
    fn the_end_is_found_and_stays_found() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\tc\r\n\r\nGET /next";
        let mut scanner = HeadScanner::default();
        assert_eq!(scanner.scan(&bytes[..20], &LIMITS), Ok(HeadScan::NeedMore));
        assert_eq!(scanner.scan(bytes, &LIMITS), Ok(HeadScan::Complete(26)));
        assert_eq!(scanner.scan(bytes, &LIMITS), Ok(HeadScan::Complete(26)));
    }

    #[test]
    fn limits_count_the_whole_head_and_the_target_alone() {
        let fits = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(41));
        assert_eq!(fits.len(), 64);
        assert_eq!(scan(fits.as_bytes()), Ok(HeadScan::Complete(64)));
        let too_large = fits.replace("A: ", "AA: ");
        assert_eq!(scan(too_large.as_bytes()), Err(HeadFault::TooLarge.into()));
        assert_eq!(scan(&[b'a'; 64]), Err(RequestFault::TargetTooLong));
        assert_eq!(scan(&[b'a'; 59]), Ok(HeadScan::NeedMore));
    }

    #[test]
    fn an_answer_must_begin_as_http_1() {
        let scan = |bytes| HeadScanner::default().scan_response(bytes, &LIMITS);
        assert_eq!(scan(b"HTT"), Ok(HeadScan::NeedMore));
        assert_eq!(scan(b"HTTP/2"), Err(ResponseFault::NotHttp1));
        assert_eq!(scan(b"\r\nHTTP/1.1"), Err(ResponseFault::NotHttp1));
        assert_eq!(scan(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(HeadScan::Complete(19)));
        assert_eq!(scan(b"HTTP/1.1 200 OK\n\n"), Err(HeadFault::BareLf.into()));
    }
}
