//! Reads what arrived upstream, byte by byte, and with no code of the product: either there is
//! exactly one plain reading, or it says what is wrong.

/// The one name that every request of this suite may be sent to.
const HOST: &str = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";
const TOKEN: &[u8] = b"wiretesttoken";
const AUTHORITY: &[u8] = b"q-sign-algorithm=sha1&q-ak=AKIDwiretest";

/// Names that a proxy must keep to itself.
const OF_ONE_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
];

/// Names that decide framing, routing or authority, or count for COS: none may be spelled with `_`.
const COUNT: [&str; 21] = [
    "host",
    "authorization",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-md5",
    "content-encoding",
    "content-disposition",
    "cache-control",
    "expires",
    "range",
    "origin",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "pic-operations",
    "x-cos-security-token",
    "x-ci-security-token",
    "x-amz-security-token",
    "x-cos-copy-source",
];

/// A request as a server that takes nothing but the plainest form sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// What the bytes at the beginning of a connection, or after a request, are.
pub(crate) enum Reading {
    /// One request and its length in bytes.
    Whole(Seen, usize),
    /// The beginning of one: what there is of it, once its head is whole.
    Cut(Option<Seen>),
    /// Not a request, or one that two servers could read in two ways.
    Wrong(String),
}

pub(crate) fn read(bytes: &[u8]) -> Reading {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Reading::Cut(None);
    };
    let head = match Head::read(&bytes[..end + 2]) {
        Ok(head) => head,
        Err(why) => return Reading::Wrong(format!("{why}: {:?}", lossy(&bytes[..end]))),
    };
    let rest = &bytes[end + 4..];
    let mut body = Vec::new();
    let read = match head.framing {
        Framing::Length(length) => {
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            body.extend_from_slice(&rest[..here]);
            Ok((here as u64 == length).then_some(here))
        }
        Framing::Chunked => dechunk(rest, &mut body),
    };
    let seen = Seen { method: head.method, target: head.target, body };
    match read {
        Ok(Some(length)) => Reading::Whole(seen, end + 4 + length),
        Ok(None) => Reading::Cut(Some(seen)),
        Err(why) => Reading::Wrong(format!("{why} in the body of {:?}", lossy(&seen.target))),
    }
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(300).collect()
}

enum Framing {
    Length(u64),
    Chunked,
}

struct Head {
    method: String,
    target: Vec<u8>,
    framing: Framing,
}

impl Head {
    /// `lines` is the head without its blank line.
    fn read(lines: &[u8]) -> Result<Self, String> {
        for pair in lines.windows(2) {
            if (pair[1] == b'\n') != (pair[0] == b'\r') {
                return Err("a CR or LF stands alone".to_owned());
            }
        }
        if lines.iter().any(|b| b.is_ascii_control() && !b"\r\n\t".contains(b)) {
            return Err("a control byte".to_owned());
        }
        let mut lines = lines.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r"));
        let line = lines.next().flatten().ok_or("no request line")?;
        let (method, target) = request_line(line)?;
        let mut fields = Vec::new();
        for line in lines.map_while(|line| line) {
            fields.push(field(line)?);
        }
        check_authority(&fields)?;
        check_names(&fields)?;
        let framing = framing(&method, &fields)?;
        check_signed(&fields)?;
        Ok(Self { method, target, framing })
    }
}

fn request_line(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let [method, target, b"HTTP/1.1"] = words[..] else {
        return Err("the request line is not three words".to_owned());
    };
    let method = String::from_utf8_lossy(method).into_owned();
    if !["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"].contains(&method.as_str()) {
        return Err(format!("the method is {method}"));
    }
    if !target.starts_with(b"/") || target.iter().any(|b| b"#\t".contains(b)) {
        return Err("the target is not a path".to_owned());
    }
    Ok((method, target.to_vec()))
}

type Field = (String, Vec<u8>);

fn field(line: &[u8]) -> Result<Field, String> {
    let colon = line.iter().position(|&b| b == b':').ok_or("a line without colon")?;
    let name = &line[..colon];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if name.is_empty() || !name.iter().all(plain) {
        return Err(format!("the name {:?}", lossy(name)));
    }
    let value = line[colon + 1..].strip_prefix(b" ").ok_or("no blank after a colon")?;
    if [value.first(), value.last()].iter().flatten().any(|b| b" \t".contains(b)) {
        return Err(format!("blanks around the value of {:?}", lossy(name)));
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

fn values<'f>(fields: &'f [Field], name: &str) -> Vec<&'f [u8]> {
    fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_slice()).collect()
}

fn check_authority(fields: &[Field]) -> Result<(), String> {
    if values(fields, "host") != [HOST.as_bytes()] {
        return Err("not exactly one Host, the bucket's".to_owned());
    }
    match values(fields, "authorization")[..] {
        [one] if one.starts_with(AUTHORITY) => {}
        _ => return Err("not exactly one Authorization, ours".to_owned()),
    }
    if values(fields, "x-cos-security-token") != [TOKEN] {
        return Err("not exactly one token, ours".to_owned());
    }
    Ok(())
}

fn check_names(fields: &[Field]) -> Result<(), String> {
    for (name, _) in fields {
        if OF_ONE_HOP.contains(&name.as_str()) {
            return Err(format!("{name} went on"));
        }
        let other = name.replace('_', "-");
        let counts = COUNT.contains(&other.as_str())
            || OF_ONE_HOP.contains(&other.as_str())
            || other.starts_with("x-cos-") && !name.starts_with("x-cos-")
            || other.starts_with("x-ci-") && !name.starts_with("x-ci-");
        if *name != other && counts {
            return Err(format!("{name} can be read as {other}"));
        }
    }
    Ok(())
}

fn framing(method: &str, fields: &[Field]) -> Result<Framing, String> {
    let lengths = values(fields, "content-length");
    let encodings = values(fields, "transfer-encoding");
    match (&lengths[..], &encodings[..]) {
        ([], []) if ["PUT", "POST"].contains(&method) => Err(format!("a {method} without framing")),
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) => {
            let number: u64 = String::from_utf8_lossy(length)
                .parse()
                .map_err(|_not_one| format!("the length {:?}", lossy(length)))?;
            if number.to_string().as_bytes() != *length || i64::try_from(number).is_err() {
                return Err(format!("the length {:?}", lossy(length)));
            }
            if number > 0 && !["PUT", "POST"].contains(&method) {
                return Err(format!("a {method} with a body"));
            }
            Ok(Framing::Length(number))
        }
        ([], [b"chunked"]) if ["PUT", "POST"].contains(&method) => Ok(Framing::Chunked),
        _ => Err("more than one framing".to_owned()),
    }
}

/// Whatever counts is signed, and signed once.
fn check_signed(fields: &[Field]) -> Result<(), String> {
    let authorization = values(fields, "authorization")[0].to_vec();
    let authorization = String::from_utf8_lossy(&authorization).into_owned();
    let list = authorization
        .split('&')
        .find_map(|part| part.strip_prefix("q-header-list="))
        .ok_or("no list of signed headers")?;
    let listed: Vec<&str> = list.split(';').collect();
    for (name, _) in fields {
        let counts = COUNT.contains(&name.as_str()) && name != "authorization"
            || name.starts_with("x-cos-")
            || name.starts_with("x-ci-");
        if counts && !listed.contains(&name.as_str()) {
            return Err(format!("{name} is not signed"));
        }
    }
    for name in listed {
        if values(fields, name).len() != 1 {
            return Err(format!("{name} is signed but not there exactly once"));
        }
    }
    Ok(())
}

/// Takes chunks in their plainest form: small hexadecimal sizes, no extension, no trailer.
fn dechunk(mut rest: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, String> {
    let whole = rest.len();
    loop {
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return if rest.len() > 18 { Err("an endless size".to_owned()) } else { Ok(None) };
        };
        let line = lossy(&rest[..end]);
        let size = line.strip_suffix('\r').ok_or("a size without CR")?;
        let number =
            u64::from_str_radix(size, 16).map_err(|_not_one| format!("the size {size:?}"))?;
        if format!("{number:x}") != size {
            return Err(format!("the size {size:?}"));
        }
        rest = &rest[end + 1..];
        let number = usize::try_from(number).map_err(|_not_one| format!("the size {size:?}"))?;
        let here = number.min(rest.len());
        body.extend_from_slice(&rest[..here]);
        rest = &rest[here..];
        match rest {
            [b'\r', b'\n', after @ ..] if here == number => rest = after,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("no CR LF after a chunk".to_owned()),
        }
        if number == 0 {
            return Ok(Some(whole - rest.len()));
        }
    }
}
