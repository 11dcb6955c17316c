//! A request head as it was sent, and what its own signature says it covers.

use std::fmt;

use crate::sign::canonical::{
    decode_form_into, decode_path_into, encode_into, encode_name_into, split_query, trim_blanks,
};

use super::Unusable;

/// A request head, taken apart. Holds a token and a signature: not to be shown.
pub struct Sent {
    pub(super) method: String,
    /// As on the wire.
    pub(super) path: Vec<u8>,
    /// As on the wire, without `?`.
    pub(super) query: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) claim: Claim,
}

/// What a signature says about itself.
#[derive(Default)]
pub(super) struct Claim {
    pub(super) secret_id: String,
    pub(super) sign_time: String,
    pub(super) key_time: String,
    /// Encoded lower-case names.
    pub(super) headers: Vec<String>,
    pub(super) parameters: Vec<String>,
    pub(super) signature: String,
    /// The signature stands in the query.
    in_query: bool,
}

impl Sent {
    /// Reads a request line and headers; line ends may be LF, and what follows a blank line is left
    /// alone.
    ///
    /// # Errors
    /// [`Unusable`] without a request line or without a signature.
    pub fn read(head: &[u8]) -> Result<Self, Unusable> {
        let mut lines = head
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .skip_while(|line| line.is_empty())
            .take_while(|line| !line.is_empty());
        let first = lines.next().ok_or(Unusable::NoRequest)?;
        let (method, target) = request_line(first).ok_or(Unusable::NoRequest)?;
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(at) => (&target[..at], &target[at + 1..]),
            None => (target, &[][..]),
        };
        let headers: Vec<_> = lines.filter_map(header).collect();
        let claim = Claim::find(&headers, query)?;
        let path = if path.is_empty() { b"/" } else { path };
        let (path, query) = (path.to_vec(), query.to_vec());
        Ok(Self { method, path, query, headers, claim })
    }

    /// The query's pairs as on the wire, without those that carry the signature itself.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let in_query = self.claim.in_query;
        split_query(&self.query).filter(move |(name, _)| {
            let name = form_decoded(name);
            !(in_query && (name == b"sign" || FIELDS.iter().any(|f| f.as_bytes() == name)))
        })
    }

    /// Whether a token travels with the request.
    pub(super) fn has_token(&self) -> bool {
        let is_token = |name: &[u8]| {
            let name = name.to_ascii_lowercase();
            name == b"x-cos-security-token" || name == b"x-ci-security-token"
        };
        self.headers.iter().any(|(name, _)| is_token(name))
            || self.parameters().any(|(name, _)| is_token(name))
    }

    /// Names in the lists of the signature that the request does not carry.
    pub(super) fn listed_but_not_sent(&self) -> Vec<String> {
        let (headers, parameters) = (self.header_names(), self.parameter_names());
        let missing = |list: &[String], sent: &[String]| -> Vec<String> {
            list.iter().filter(|name| !sent.contains(name)).cloned().collect()
        };
        let mut names = missing(&self.claim.headers, &headers);
        names.extend(missing(&self.claim.parameters, &parameters));
        names
    }

    /// The encoded names of all headers, as they would be listed.
    pub(super) fn header_names(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| encoded_name(name)).collect()
    }

    /// The encoded names of all parameters, as they would be listed.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        self.parameters().map(|(name, _)| encoded_name(&form_decoded(name))).collect()
    }
}

/// Method and path only.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("method", &self.method)
            .field("path", &String::from_utf8_lossy(&self.path))
            .finish_non_exhaustive()
    }
}

/// Method and target; of an absolute URL, path and query.
fn request_line(line: &[u8]) -> Option<(String, &[u8])> {
    let mut words = line.splitn(2, |&byte| byte == b' ');
    let method = str::from_utf8(words.next()?).ok()?;
    let rest = words.next()?;
    let version = memchr::memmem::rfind(rest, b" HTTP/")?;
    let target = &rest[..version];
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_method || target.is_empty() {
        return None;
    }
    if target.first() == Some(&b'/') {
        return Some((method.to_owned(), target));
    }
    let authority = memchr::memmem::find(target, b"://")? + 3;
    let after = &target[authority..];
    let path = after.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after.len());
    Some((method.to_owned(), &after[path..]))
}

fn header(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = memchr::memchr(b':', line)?;
    let value = &line[colon + 1..];
    // The one blank after the colon is syntax; any other is the sender's.
    let value = value.strip_prefix(b" ").unwrap_or(value);
    Some((line[..colon].to_vec(), value.to_vec()))
}

const FIELDS: [&str; 7] = [
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
];

impl Claim {
    /// In `Authorization`, as `q-*` parameters, or as one `sign` parameter.
    fn find(headers: &[(Vec<u8>, Vec<u8>)], query: &[u8]) -> Result<Self, Unusable> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let header = headers.iter().find(|(name, value)| {
            name.eq_ignore_ascii_case(b"authorization") && is_signature(value)
        });
        if let Some((_, value)) = header {
            return Self::of(&text(trim_blanks(value)), false);
        }
        let pairs: Vec<_> = split_query(query)
            .map(|(name, value)| (text(&form_decoded(name)), text(&form_decoded(value))))
            .collect();
        if pairs.iter().any(|(name, _)| name == "q-signature") {
            let joined: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            return Self::of(&joined.join("&"), true);
        }
        match pairs.iter().find(|(name, value)| name == "sign" && is_signature(value.as_bytes())) {
            Some((_, whole)) => Self::of(whole, true),
            None => Err(Unusable::NoSignature),
        }
    }

    fn of(text: &str, in_query: bool) -> Result<Self, Unusable> {
        let take = |field: &'static str| {
            let values = text.split('&').filter_map(|piece| piece.split_once('='));
            let value = values.filter(|(name, _)| *name == field).map(|(_, value)| value).next();
            value.map(str::to_owned).ok_or(Unusable::BadSignature { field })
        };
        let list = |field| -> Result<Vec<String>, Unusable> {
            let list = take(field)?;
            Ok(list.split(';').filter(|n| !n.is_empty()).map(str::to_owned).collect())
        };
        Ok(Self {
            secret_id: take("q-ak")?,
            sign_time: take("q-sign-time")?,
            key_time: take("q-key-time")?,
            headers: list("q-header-list")?,
            parameters: list("q-url-param-list")?,
            signature: take("q-signature")?,
            in_query,
        })
    }

    /// The window in Unix seconds, if it is one.
    pub(super) fn window(sign_time: &str) -> Option<(u64, u64)> {
        let (start, end) = sign_time.split_once(';')?;
        Some((start.parse().ok()?, end.parse().ok()?))
    }
}

fn is_signature(value: &[u8]) -> bool {
    memchr::memmem::find(value, b"q-signature=").is_some()
}

/// Decoded as a path: escapes once, `+` stays.
pub(super) fn path_decoded(wire: &[u8]) -> Vec<u8> {
    written(|out| decode_path_into(wire, out))
}

/// Decoded as a query: escapes once, `+` is a space.
pub(super) fn form_decoded(wire: &[u8]) -> Vec<u8> {
    written(|out| decode_form_into(wire, out))
}

/// Encoded as a value.
pub(super) fn encoded(bytes: &[u8]) -> String {
    lossy(&written(|out| encode_into(bytes, out)))
}

/// Encoded as a name.
pub(super) fn encoded_name(bytes: &[u8]) -> String {
    lossy(&written(|out| encode_name_into(bytes, out)))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}
