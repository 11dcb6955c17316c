//! A second reading of a head, by splitting text: what every reader must find in an accepted one.

use cos_auth_proxy::http1::{Body, Field, Version};

/// A head in its lines.
pub(crate) struct Plain<'b> {
    pub(crate) start: &'b [u8],
    /// Names as sent, values without blanks around them.
    pub(crate) fields: Vec<(&'b [u8], &'b [u8])>,
}

impl<'b> Plain<'b> {
    /// Splits an accepted head, and fails at what none may hold.
    pub(crate) fn read(head: &'b [u8]) -> Self {
        let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with a blank line");
        let mut lines = split(text, b"\r\n").into_iter();
        let start = lines.next().expect("a split has a first piece");
        assert!(!start.is_empty(), "an empty line before the head");
        let fields = lines.map(|line| {
            let colon = line.iter().position(|&b| b == b':').expect("a header line has a colon");
            let (name, value) = (&line[..colon], trimmed(&line[colon + 1..]));
            assert!(is_token(name), "a name that is no token: {}", name.escape_ascii());
            (name, value)
        });
        let plain = Self { start, fields: fields.collect() };
        let forbidden = |b: &u8| (*b < 0x20 && *b != b'\t') || *b == 0x7f;
        let values = plain.fields.iter().map(|(_, value)| *value);
        for bytes in values.chain([start]) {
            assert!(!bytes.iter().any(forbidden), "a control byte: {}", bytes.escape_ascii());
        }
        plain
    }

    /// Fails unless the codec found the same fields.
    pub(crate) fn assert_same_fields(&self, found: &[Field<'_>]) {
        let found: Vec<_> = found.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
        assert_eq!(self.fields, found);
    }

    /// All values of a name.
    pub(crate) fn values(&self, name: &str) -> Vec<&'b [u8]> {
        let same = |field: &&(&[u8], &[u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(same).map(|(_, value)| *value).collect()
    }

    /// The one framing that is declared; fails at any that two readers could read differently.
    pub(crate) fn framing(&self, version: Version) -> Option<Body> {
        let (lengths, codings) = (self.values("content-length"), self.values("transfer-encoding"));
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => None,
            ([length], []) => {
                let text = std::str::from_utf8(length).expect("a length is digits");
                assert!(!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()), "{text}");
                let length: u128 = text.parse().expect("a length of few digits");
                assert!(length < 1 << 63, "a length that no signed number holds");
                Some(Body::Length(u64::try_from(length).expect("less than 2^63")))
            }
            ([], [coding]) => {
                assert!(coding.eq_ignore_ascii_case(b"chunked"), "{}", coding.escape_ascii());
                assert_eq!(version, Version::Http11, "HTTP/1.0 has no chunks");
                Some(Body::Chunked)
            }
            _ => panic!("two framings were accepted"),
        }
    }

    /// Whether the sender lets the connection live.
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        let lists = self.values("connection").join(&b',').to_ascii_lowercase();
        let options = split(&lists, b",");
        let has = |option: &str| options.iter().any(|o| trimmed(o) == option.as_bytes());
        !has("close") && (version == Version::Http11 || has("keep-alive"))
    }
}

/// How a version is written.
pub(crate) fn version_text(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}

/// A head of this first line and these fields, written plainly.
pub(crate) fn written(start: &[u8], fields: &[Field<'_>]) -> Vec<u8> {
    let mut head = [start, b"\r\n"].concat();
    for field in fields {
        head.extend([field.name.as_bytes(), b": ", field.value, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    head
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let others = b"!#$%&'*+-.^_`|~";
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || others.contains(b))
}

/// All pieces between the places where `by` stands.
pub(crate) fn split<'b>(text: &'b [u8], by: &[u8]) -> Vec<&'b [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.windows(by.len()).position(|window| window == by) {
        pieces.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    pieces.push(rest);
    pieces
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let Some(b' ' | b'\t') = value.first() {
        value = &value[1..];
    }
    while let Some(b' ' | b'\t') = value.last() {
        value = &value[..value.len() - 1];
    }
    value
}
