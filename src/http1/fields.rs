//! What the fields of a head say about framing, persistence and hops.

use super::{Body, Field, HeadFault, Version, syntax};

/// Longest body that `Content-Length` may declare: what a signed file offset can express.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// Whether `name` is a field between two neighbours only, which a proxy must not forward
/// (RFC 9110 section 7.6.1; `HTTP2-Settings`: RFC 7540 section 3.2.1). Case does not matter.
///
/// Fields named in `Connection` are hop-by-hop as well: see `connection_names` of the heads.
#[must_use]
pub fn is_hop_by_hop(name: &str) -> bool {
    let known: &[&str] = match name.len() {
        2 => &["te"],
        7 => &["trailer", "upgrade"],
        10 => &["connection", "keep-alive"],
        14 => &["http2-settings"],
        16 => &["proxy-connection"],
        17 => &["transfer-encoding"],
        18 => &["proxy-authenticate"],
        19 => &["proxy-authorization"],
        _ => &[],
    };
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The field names that `Connection` lists besides `close` and `keep-alive`: to be dropped.
#[derive(Debug, Clone)]
pub struct ConnectionNames<'h, 'b> {
    rest: std::slice::Iter<'h, Field<'b>>,
    value: &'b [u8],
}

impl<'h, 'b> ConnectionNames<'h, 'b> {
    pub(super) fn of(fields: &'h [Field<'b>]) -> Self {
        Self { rest: fields.iter(), value: b"" }
    }
}

impl<'b> Iterator for ConnectionNames<'_, 'b> {
    type Item = &'b str;

    fn next(&mut self) -> Option<&'b str> {
        loop {
            while self.value.is_empty() {
                let field = self.rest.find(|f| f.name.eq_ignore_ascii_case("connection"))?;
                self.value = field.value;
            }
            let name = str::from_utf8(next_option(&mut self.value)).unwrap_or_default();
            if !["", "close", "keep-alive"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
                return Some(name);
            }
        }
    }
}

/// Takes the next element, without blanks, off a comma-separated list.
fn next_option<'b>(list: &mut &'b [u8]) -> &'b [u8] {
    let (option, rest) = match memchr::memchr(b',', list) {
        Some(comma) => (&list[..comma], &list[comma + 1..]),
        None => (*list, &b""[..]),
    };
    *list = rest;
    syntax::trim_blanks(option)
}

/// What one pass over the fields found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    close: bool,
    keep_alive: bool,
    pub(super) hosts: usize,
    pub(super) expects_continue: bool,
    pub(super) expects_other: bool,
}

impl Survey {
    /// Reads the fields that `httparse` found in `head`, which must be a whole head.
    ///
    /// Also makes sure that every line ended with CR LF: `httparse` takes a bare LF as well. The
    /// line before a field ends where the field's name begins, so no byte is searched again.
    pub(super) fn of(head: &[u8], fields: &[Field<'_>]) -> Result<Self, HeadFault> {
        let mut survey = Self::default();
        for field in fields {
            let name_at = field.name.as_ptr().addr() - head.as_ptr().addr();
            if !head[..name_at].ends_with(b"\r\n") {
                return Err(HeadFault::BareLf);
            }
            survey.add(field)?;
        }
        if head.ends_with(b"\r\n\r\n") { Ok(survey) } else { Err(HeadFault::Incomplete) }
    }

    fn add(&mut self, field: &Field<'_>) -> Result<(), HeadFault> {
        let is = |name| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            4 if is("host") => self.hosts += 1,
            6 if is("expect") => self.add_expect(field.value),
            10 if is("connection") => self.add_connection(field.value)?,
            14 if is("content-length") => {
                let length = parse_length(field.value).ok_or(HeadFault::BadContentLength)?;
                if self.content_length.replace(length).is_some() {
                    return Err(HeadFault::DuplicateContentLength);
                }
            }
            17 if is("transfer-encoding") => {
                if !field.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(HeadFault::UnsupportedTransferEncoding);
                }
                if std::mem::replace(&mut self.chunked, true) {
                    return Err(HeadFault::DuplicateTransferEncoding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An empty value expects nothing: some libraries send it to switch the expectation off.
    fn add_expect(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expects_continue = true;
        } else if !value.is_empty() {
            self.expects_other = true;
        }
    }

    fn add_connection(&mut self, mut value: &[u8]) -> Result<(), HeadFault> {
        while !value.is_empty() {
            let option = next_option(&mut value);
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if is_end_to_end(option) {
                return Err(HeadFault::ConnectionNamesEndToEnd);
            } else if !option.is_empty() && !syntax::is_token(option) {
                return Err(HeadFault::BadConnection);
            }
        }
        Ok(())
    }

    /// The framing that the fields declare; `None` when they declare none.
    pub(super) fn framing(&self, version: Version) -> Result<Option<Body>, HeadFault> {
        match (self.content_length, self.chunked) {
            (Some(_), true) => Err(HeadFault::LengthAndChunked),
            (None, true) if version == Version::Http10 => Err(HeadFault::ChunkedOnHttp10),
            (None, true) => Ok(Some(Body::Chunked)),
            (Some(length), false) => Ok(Some(Body::Length(length))),
            (None, false) => Ok(None),
        }
    }

    /// Whether the sender lets the connection live after this exchange.
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// Digits only: no sign, no blank, no list. 19 digits hold every value up to 2^63 - 1.
fn parse_length(value: &[u8]) -> Option<u64> {
    if !(1..=19).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (length <= MAX_LENGTH).then_some(length)
}

/// Whether losing this field would change what a message means: naming it in `Connection` is a
/// known way to make a proxy strip what the next server relies on. RFC 9110 section 7.6.1 forbids
/// it.
fn is_end_to_end(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 15] = [
        b"host",
        b"transfer-encoding",
        b"authorization",
        b"cookie",
        b"set-cookie",
        b"date",
        b"expect",
        b"range",
        b"etag",
        b"last-modified",
        b"cache-control",
        b"location",
        b"expires",
        b"origin",
        b"pic-operations",
    ];
    const FAMILIES: [&[u8]; 4] = [b"content-", b"if-", b"x-cos-", b"x-ci-"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        || FAMILIES.iter().any(|family| has_prefix(name, family))
}

/// Whether `name` begins with `prefix`, without regard to case.
pub(super) fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Which rule a field line of `head` breaks, once `httparse` refused a name. Not for the hot path.
pub(super) fn field_line_fault(head: &[u8]) -> HeadFault {
    let lines = head.split(|&b| b == b'\n').skip(1).map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    lines.filter(|line| !line.is_empty()).find_map(line_fault).unwrap_or(HeadFault::FieldName)
}

fn line_fault(line: &[u8]) -> Option<HeadFault> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Some(HeadFault::FoldedLine);
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Some(HeadFault::MissingColon);
    };
    let name = &line[..colon];
    if syntax::is_token(name) {
        None
    } else if syntax::is_token(syntax::trim_blanks(name)) {
        Some(HeadFault::BlankBeforeColon)
    } else {
        Some(HeadFault::FieldName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_names_are_known_in_any_case() {
        for name in [
            "Connection",
            "KEEP-ALIVE",
            "Proxy-Connection",
            "proxy-authenticate",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "transfer-encoding",
            "Upgrade",
            "HTTP2-Settings",
        ] {
            assert!(is_hop_by_hop(name), "{name}");
        }
        for name in ["Host", "t", "", "Trailers", "x-connection", "content-length", "upgrades"] {
            assert!(!is_hop_by_hop(name), "{name}");
        }
    }

    #[test]
    fn connection_names_leave_out_what_is_about_persistence() {
        let field = |name, value: &'static str| Field { name, value: value.as_bytes() };
        let fields = [
            field("connection", "close, Upgrade,,\tHTTP2-Settings "),
            field("x", "y"),
            field("CONNECTION", "keep-alive"),
            field("Connection", ""),
            field("Connection", "x-a"),
        ];
        let names: Vec<_> = ConnectionNames::of(&fields).collect();
        assert_eq!(names, ["Upgrade", "HTTP2-Settings", "x-a"]);
    }

    #[test]
    fn a_length_is_plain_digits_up_to_two_to_the_63_minus_1() {
        assert_eq!(parse_length(b"0"), Some(0));
        assert_eq!(parse_length(b"007"), Some(7));
        assert_eq!(parse_length(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in [
            "",
            "9223372036854775808",
            "99999999999999999999",
            "+1",
            "-1",
            "1 ",
            "1,1",
            "0x1",
            "1.0",
        ] {
            assert_eq!(parse_length(bad.as_bytes()), None, "{bad}");
        }
    }
}
