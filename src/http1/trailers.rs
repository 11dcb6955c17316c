//! The trailer section of a chunked body: collected, bounded, and held to what a trailer may say.

use super::{BodyFault, fields::has_prefix, is_hop_by_hop, syntax};

/// Most bytes of all lines, CR LF included.
const MAX_BYTES: usize = 8 * 1024;
const MAX_LINES: usize = 32;

/// Fields that a trailer must not carry (RFC 9110 section 6.5.1): whoever reads them late, or
/// merges them into the head, would see another message than the one that was checked and signed.
/// Hop-by-hop fields and every `content-` field are refused as well.
const FORBIDDEN: [&[u8]; 18] = [
    b"host",
    b"authorization",
    b"www-authenticate",
    b"cookie",
    b"set-cookie",
    b"expect",
    b"range",
    b"max-forwards",
    b"cache-control",
    b"pragma",
    b"age",
    b"date",
    b"expires",
    b"location",
    b"retry-after",
    b"vary",
    b"warning",
    b"origin",
];

#[derive(Debug)]
pub(super) struct Trailers {
    /// Whole lines with CR LF, then the bytes of the current one. Empty, and so not allocated,
    /// for nearly every body.
    bytes: Vec<u8>,
    line_start: usize,
    lines: usize,
    after_cr: bool,
    to_cos: bool,
}

impl Trailers {
    /// Headed for COS, where `x-cos-` and `x-ci-` fields would arrive unsigned.
    pub(super) fn of_request() -> Self {
        Self { bytes: Vec::new(), line_start: 0, lines: 0, after_cr: false, to_cos: true }
    }

    pub(super) fn of_answer() -> Self {
        Self { to_cos: false, ..Self::of_request() }
    }

    /// All lines, once the section ended.
    pub(super) fn lines(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the next byte; `true` when it ended the section.
    pub(super) fn add(&mut self, byte: u8) -> Result<bool, BodyFault> {
        match (self.after_cr, byte) {
            (true, b'\n') if self.bytes.len() == self.line_start => return Ok(true),
            (true, b'\n') => self.end_line()?,
            (false, b'\r') => self.after_cr = true,
            (true, _) => return Err(BodyFault::TrailerLine),
            (false, _) if syntax::has_control(&[byte]) => return Err(BodyFault::TrailerLine),
            // Two bytes are kept free for this line's CR LF.
            (false, _) if self.bytes.len() + 2 >= MAX_BYTES || self.lines >= MAX_LINES => {
                return Err(BodyFault::TrailersTooLarge);
            }
            (false, _) => self.bytes.push(byte),
        }
        Ok(false)
    }

    fn end_line(&mut self) -> Result<(), BodyFault> {
        let line = &self.bytes[self.line_start..];
        let colon = memchr::memchr(b':', line).ok_or(BodyFault::TrailerLine)?;
        let name = &line[..colon];
        if !syntax::is_token(name) {
            return Err(BodyFault::TrailerLine);
        }
        if is_forbidden(name)
            || (self.to_cos && [&b"x-cos-"[..], b"x-ci-"].iter().any(|p| has_prefix(name, p)))
        {
            return Err(BodyFault::ForbiddenTrailer);
        }
        self.bytes.extend_from_slice(b"\r\n");
        self.line_start = self.bytes.len();
        self.lines += 1;
        self.after_cr = false;
        Ok(())
    }
}

fn is_forbidden(name: &[u8]) -> bool {
    FORBIDDEN.iter().any(|known| name.eq_ignore_ascii_case(known))
        || has_prefix(name, b"content-")
        || has_prefix(name, b"if-")
        || str::from_utf8(name).is_ok_and(is_hop_by_hop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut trailers: Trailers, section: &[u8]) -> Result<Option<Vec<u8>>, BodyFault> {
        for (i, &byte) in section.iter().enumerate() {
            if trailers.add(byte)? {
                assert_eq!(i + 1, section.len(), "ended early");
                return Ok(Some(trailers.lines().to_vec()));
            }
        }
        Ok(None)
    }

    fn of_request(section: &str) -> Result<Option<Vec<u8>>, BodyFault> {
        read(Trailers::of_request(), section.as_bytes())
    }

    #[test]
    fn lines_are_kept_as_sent() {
        assert_eq!(of_request("\r\n"), Ok(Some(b"".to_vec())));
        assert_eq!(of_request("X-A:  b \r\ny:\r\n\r\n"), Ok(Some(b"X-A:  b \r\ny:\r\n".to_vec())));
        assert_eq!(of_request("X-A: b\r\n"), Ok(None));
    }

    #[test]
    fn malformed_lines_are_refused() {
        for section in [
            "X\r\n",
            "X : y\r\n",
            ": y\r\n",
            " x: y\r\n",
            "X: y\n",
            "X: \0\r\n",
            "X: y\rZ",
            "\n",
            "X: y\r\r\n",
        ] {
            assert_eq!(of_request(section), Err(BodyFault::TrailerLine), "{section:?}");
        }
    }

    #[test]
    fn a_trailer_cannot_change_framing_routing_authority_or_content() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "HOST",
            "Authorization",
            "content-type",
            "Content-Encoding",
            "content-range",
            "connection",
            "TE",
            "trailer",
            "cookie",
            "Set-Cookie",
            "if-match",
            "x-cos-acl",
            "X-CI-security-token",
            "Proxy-Authorization",
        ] {
            assert_eq!(
                of_request(&format!("{name}: 1\r\n\r\n")),
                Err(BodyFault::ForbiddenTrailer),
                "{name}"
            );
        }
        let from_cos = read(Trailers::of_answer(), b"x-cos-hash-crc64ecma: 1\r\n\r\n");
        assert_eq!(from_cos, Ok(Some(b"x-cos-hash-crc64ecma: 1\r\n".to_vec())));
        assert_eq!(
            read(Trailers::of_answer(), b"Host: h\r\n\r\n"),
            Err(BodyFault::ForbiddenTrailer)
        );
    }

    #[test]
    fn lines_and_bytes_are_bounded() {
        let lines = |n| format!("{}\r\n", "a: b\r\n".repeat(n));
        assert!(of_request(&lines(32)).is_ok());
        assert_eq!(of_request(&lines(33)), Err(BodyFault::TrailersTooLarge));
        let long = |n| format!("a:{}\r\n\r\n", "b".repeat(n));
        assert_eq!(of_request(&long(8188)).unwrap().unwrap().len(), 8192);
        assert_eq!(of_request(&long(8189)), Err(BodyFault::TrailersTooLarge));
    }
}
