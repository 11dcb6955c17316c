//! Chunked bodies: the same data however they arrive, as a slow second reader finds it.

use cos_auth_proxy::http1::{
    Body, BodyDecoder, BodyEvent, BodyFault, write_chunk_head, write_last_chunk,
};

use super::{
    cuts::{Draw, cuts},
    plain::{is_token, split},
};

/// A body, perhaps with more behind it.
pub fn check(bytes: &[u8]) {
    for of_request in [true, false] {
        let whole = decode(bytes, &[], of_request);
        assert_eq!(decode(bytes, &cuts(bytes), of_request), whole, "pieces change the result");
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(decode(bytes, &every_byte, of_request), whole, "single bytes change it");
        let plain = read_plainly(bytes);
        match &whole.end {
            End::Done { consumed, trailers } => {
                let plain = plain.expect("the second reader finds no end");
                assert_eq!((&whole.data, *consumed), (&plain.data, plain.consumed));
                assert_eq!(trailers, &plain.trailers);
                check_trailers(trailers, of_request);
                check_written_anew(&whole.data, trailers, of_request);
            }
            End::Open => assert!(plain.is_none(), "the second reader finds an end"),
            End::Broken(fault) => {
                let strict = matches!(
                    fault,
                    BodyFault::TrailerLine
                        | BodyFault::TrailersTooLarge
                        | BodyFault::ForbiddenTrailer
                );
                assert!(strict || plain.is_none(), "{fault:?}, but the second reader takes it");
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    data: Vec<u8>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Open,
    Done { consumed: usize, trailers: Vec<u8> },
    Broken(BodyFault),
}

/// What the decoder makes of the bytes in these pieces.
fn decode(bytes: &[u8], cuts: &[usize], of_request: bool) -> Decoded {
    let new = if of_request { BodyDecoder::new } else { BodyDecoder::of_answer };
    let mut decoder = new(Body::Chunked);
    let (mut data, mut start) = (Vec::new(), 0);
    for &end in cuts.iter().chain([&bytes.len()]) {
        while start <= end {
            let piece = &bytes[start..end];
            match decoder.decode(piece) {
                Ok(BodyEvent::Data { start: from, end: to }) => {
                    assert!(from < to && to <= piece.len(), "{from}..{to} of {}", piece.len());
                    data.extend_from_slice(&piece[from..to]);
                    start += to;
                }
                Ok(BodyEvent::NeedMore) => {
                    assert!(!decoder.is_done());
                    start = end;
                    break;
                }
                Ok(BodyEvent::End { consumed }) => {
                    assert!(consumed <= piece.len() && decoder.is_done());
                    let trailers = decoder.trailers().to_vec();
                    assert_eq!(decoder.decode(b"more"), Ok(BodyEvent::End { consumed: 0 }));
                    assert_eq!(decoder.close(), Ok(()));
                    return Decoded {
                        data,
                        end: End::Done { consumed: start + consumed, trailers },
                    };
                }
                Err(fault) => {
                    assert_eq!(decoder.decode(b"0\r\n\r\n"), Err(fault), "a fault is forgotten");
                    assert_eq!((decoder.close(), decoder.trailers()), (Err(fault), &b""[..]));
                    return Decoded { data, end: End::Broken(fault) };
                }
            }
        }
    }
    assert_eq!(decoder.close(), Err(BodyFault::Truncated), "half a body passes for a whole one");
    Decoded { data, end: End::Open }
}

struct PlainBody {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
}

/// RFC 9112, section 7.1, without extensions: line by line over the whole text. `None` if the body
/// is not complete or not one.
fn read_plainly(bytes: &[u8]) -> Option<PlainBody> {
    let (mut data, mut rest) = (Vec::new(), bytes);
    loop {
        let (size, after) = line(rest)?;
        let size = std::str::from_utf8(size).ok()?;
        if !(1..=16).contains(&size.len()) || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::try_from(i64::from_str_radix(size, 16).ok()?).ok()?;
        rest = after;
        if size == 0 {
            break;
        }
        let (chunk, after) = rest.split_at_checked(size)?;
        data.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
    let mut trailers = Vec::new();
    loop {
        let (text, after) = line(rest)?;
        rest = after;
        if text.is_empty() {
            return Some(PlainBody { data, trailers, consumed: bytes.len() - rest.len() });
        }
        trailers.extend_from_slice(text);
        trailers.extend_from_slice(b"\r\n");
    }
}

/// The bytes before the first CR LF and those behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(2).position(|w| w == b"\r\n")?;
    Some((&bytes[..at], &bytes[at + 2..]))
}

fn check_trailers(trailers: &[u8], of_request: bool) {
    let lines = split(trailers, b"\r\n");
    assert!(trailers.len() <= 8192 && lines.len() <= 33, "{} trailer lines", lines.len() - 1);
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let forbidden = |b: &u8| (*b < 0x20 && *b != b'\t') || *b == 0x7f;
        assert!(!line.iter().any(forbidden), "{}", line.escape_ascii());
        let colon = line.iter().position(|&b| b == b':').expect("a trailer line has a colon");
        let name = line[..colon].to_ascii_lowercase();
        assert!(is_token(&name), "{}", name.escape_ascii());
        let name = String::from_utf8(name).expect("a token is ASCII");
        let decides = ["host", "authorization", "transfer-encoding", "connection", "range", "te"];
        assert!(!decides.contains(&name.as_str()) && !name.starts_with("content-"), "{name}");
        let unsigned = name.starts_with("x-cos-") || name.starts_with("x-ci-");
        assert!(!(of_request && unsigned), "{name} would reach COS unsigned");
    }
}

/// In other chunks, the body is the same.
fn check_written_anew(data: &[u8], trailers: &[u8], of_request: bool) {
    let (mut wire, mut rest, mut draw) = (Vec::new(), data, Draw::from(data));
    while !rest.is_empty() {
        let size = usize::try_from(1 + draw.below(rest.len() as u64)).expect("a size");
        let (chunk, after) = rest.split_at(size);
        write_chunk_head(size, &mut wire);
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        rest = after;
    }
    write_last_chunk(trailers, &mut wire);
    let end = End::Done { consumed: wire.len(), trailers: trailers.to_vec() };
    assert_eq!(decode(&wire, &[], of_request), Decoded { data: data.to_vec(), end });
}
