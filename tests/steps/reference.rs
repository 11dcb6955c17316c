//! A second reading of a signed head, from Tencent Cloud document 436/7778: what COS would check.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};

/// A head as it stands on the wire.
pub(crate) struct Wire {
    method: String,
    pub(crate) target: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
}

/// Headers that a strict signature lists when they are sent, besides `x-cos-*` and `x-ci-*`.
const LISTED: [&str; 16] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-type",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "origin",
    "range",
    "pic-operations",
    "transfer-encoding",
];

impl Wire {
    /// Splits at CRLF only; a stray CR or LF inside a line is a failure.
    pub(crate) fn parse(head: &[u8]) -> Self {
        let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with a blank line");
        let mut lines = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.windows(2).position(|w| w == b"\r\n") {
            lines.push(&rest[..at]);
            rest = &rest[at + 2..];
        }
        lines.push(rest);
        for line in &lines {
            assert!(
                !line.is_empty() && !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)),
                "{line:?}"
            );
        }
        let mut words = lines[0].split(|&b| b == b' ');
        let method = String::from_utf8(words.next().unwrap().to_vec()).unwrap();
        let target = words.next().unwrap().to_vec();
        assert_eq!((words.next(), words.next()), (Some(&b"HTTP/1.1"[..]), None));
        let fields = lines[1..]
            .iter()
            .map(|line| {
                let colon =
                    line.iter().position(|&b| b == b':').expect("a header line has a colon");
                let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
                (name, line[colon + 1..].trim_ascii().to_vec())
            })
            .collect();
        Self { method, target, fields }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.fields.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The value of a header that is there exactly once.
    pub(crate) fn only(&self, name: &str) -> &[u8] {
        let mut values = self.fields.iter().filter(|(n, _)| n == name);
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.names()));
        assert!(values.next().is_none(), "{name} twice");
        &value.1
    }

    pub(crate) fn signed_names(&self) -> String {
        self.authorization()["q-header-list"].clone()
    }

    fn authorization(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8(self.only("authorization").to_vec()).unwrap();
        text.split('&')
            .map(|p| p.split_once('=').unwrap())
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    }

    /// Fails unless the signature is that of `secret`, valid at `now`, and strict: it covers host,
    /// token, every header that counts and every parameter.
    pub(crate) fn verify(&self, secret: &str, now: u64) {
        let said = self.authorization();
        assert_eq!(said["q-sign-algorithm"], "sha1");
        assert_eq!(said["q-sign-time"], said["q-key-time"]);
        let (start, end) = said["q-sign-time"].split_once(';').unwrap();
        let (start, end): (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
        assert!(start <= now && now < end, "{start} {now} {end}");
        // Made for this request, not kept from an earlier one: a minute back, cut to the minute.
        assert!(start + 120 > now && start + 60 <= now && start % 60 == 0, "{start} {now}");

        let mut headers: Vec<(String, String)> = self
            .fields
            .iter()
            .filter(|(n, _)| {
                LISTED.contains(&n.as_str()) || n.starts_with("x-cos-") || n.starts_with("x-ci-")
            })
            .map(|(n, v)| (encode(n.as_bytes()).to_lowercase(), encode(v)))
            .collect();
        headers.sort();
        let (path, query) = match self.target.iter().position(|&b| b == b'?') {
            Some(at) => (&self.target[..at], &self.target[at + 1..]),
            None => (&self.target[..], &[][..]),
        };
        let mut parameters: Vec<(String, String)> = query
            .split(|&b| b == b'&')
            .filter(|p| !p.is_empty())
            .map(|p| {
                let at = p.iter().position(|&b| b == b'=').unwrap_or(p.len());
                let value = p.get(at + 1..).unwrap_or_default();
                (encode(&decode(&p[..at], true)).to_lowercase(), encode(&decode(value, true)))
            })
            .collect();
        parameters.sort();
        assert_eq!(said["q-header-list"], list(&headers));
        assert_eq!(said["q-url-param-list"], list(&parameters));

        let mut http_string = format!("{}\n", self.method.to_lowercase()).into_bytes();
        http_string.extend(decode(path, false));
        http_string.extend(format!("\n{}\n{}\n", pairs(&parameters), pairs(&headers)).into_bytes());
        let digest = hex(&Sha1::digest(&http_string));
        let sign_key = hmac(secret, &said["q-key-time"]);
        let signature = hmac(&sign_key, &format!("sha1\n{}\n{digest}\n", said["q-sign-time"]));
        assert_eq!(said["q-signature"], signature, "{}", String::from_utf8_lossy(&http_string));
    }
}

fn list(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
}

fn pairs(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn decode(wire: &[u8], form: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < wire.len() {
        let escape = wire.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        match (wire[at], escape.and_then(|d| u8::from_str_radix(d, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if form => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    out
}

fn hmac(key: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
