//! What becomes of each header line of a request on its way to COS.

use crate::{
    http1::{Field, RequestHead},
    sign::strict,
};

use super::{Reason, Refused};

/// The fate of one header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Ends here: hop-by-hop, a client's authority, or written anew.
    Drop,
    /// Goes on as sent, outside the signature.
    Forward,
    /// Goes on as sent, signed.
    Sign,
    /// `x-cos-copy-source`: goes on rewritten, signed.
    CopySource,
}

/// The fate of the headers called `name`, whatever `Connection` lists.
pub(super) fn fate(name: &str) -> Fate {
    if is_dropped(name) {
        Fate::Drop
    } else if name.eq_ignore_ascii_case("x-cos-copy-source") {
        Fate::CopySource
    } else if strict::signs(name.as_bytes()) {
        Fate::Sign
    } else {
        Fate::Forward
    }
}

fn is_dropped(name: &str) -> bool {
    let is = |listed: &str| name.eq_ignore_ascii_case(listed);
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
    match name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'h') => is("host") || is("http2-settings"),
        Some(b'c') => is("connection") || is("content-length"),
        Some(b'k') => is("keep-alive"),
        Some(b'p') => starts("proxy-"),
        Some(b't') => is("te") || is("trailer") || is("transfer-encoding"),
        Some(b'u') => is("upgrade"),
        Some(b'e') => is("expect"),
        // `amz-sdk-*`: attempt counters of AWS SDKs, part of their signature only.
        Some(b'a') => is("authorization") || starts("amz-sdk-"),
        Some(b'x') => {
            is("x-cos-security-token")
                || is("x-ci-security-token")
                || is("x-amz-security-token")
                || is("x-amz-date")
                || is("x-amz-content-sha256")
                || is("x-amz-user-agent")
        }
        _ => false,
    }
}

/// The names that `Connection` lists, apart from its own two words: they belong to this hop too.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionNames<'h, 'b> {
    fields: &'h [Field<'b>],
    any: bool,
}

impl<'h, 'b> ConnectionNames<'h, 'b> {
    pub(super) fn of(fields: &'h [Field<'b>]) -> Self {
        let all = Self { fields, any: true };
        let any = all.iter().any(|name| {
            ![&b"keep-alive"[..], b"close"].iter().any(|word| name.eq_ignore_ascii_case(word))
        });
        Self { fields, any }
    }

    pub(super) fn contains(self, name: &str) -> bool {
        self.any && self.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn iter(self) -> impl Iterator<Item = &'b [u8]> {
        self.fields
            .iter()
            .filter(|f| f.name.eq_ignore_ascii_case("connection"))
            .flat_map(|f| f.value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
    }
}

/// Signed headers whose lines may be joined with `, ` into one value (RFC 9110, 5.3).
pub(super) fn is_list(name: &str) -> bool {
    ["cache-control", "content-encoding", "if-match", "if-none-match"]
        .iter()
        .any(|listed| name.eq_ignore_ascii_case(listed))
}

/// Refuses a signed header that repeats and is no list.
pub(super) fn check(head: &RequestHead<'_, '_>) -> Result<(), Refused> {
    let mut rest = head.fields;
    while let Some((field, after)) = rest.split_first() {
        rest = after;
        let counts = matches!(fate(field.name), Fate::Sign | Fate::CopySource);
        if counts && !is_list(field.name) && after.iter().any(|f| f.name.eq_ignore_ascii_case(field.name)) {
            let name: String = field.name.chars().take(100).collect();
            return Err(Reason::RepeatedHeader.because(&format!("Header: {name}.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_and_hop_by_hop_headers_end_here() {
        for name in [
            "Authorization", "Host", "Connection", "keep-alive", "Proxy-Connection", "proxy-authorization", "TE",
            "Trailer", "Transfer-Encoding", "Content-Length", "Upgrade", "HTTP2-Settings", "Expect",
            "X-Cos-Security-Token", "x-ci-security-token", "x-amz-security-token", "x-amz-date",
            "x-amz-content-sha256", "amz-sdk-invocation-id",
        ] {
            assert_eq!(fate(name), Fate::Drop, "{name}");
        }
        for name in ["x-cos-meta-a", "Content-Type", "RANGE", "x-cos-acl", "Origin", "Pic-Operations", "x-ci-x"] {
            assert_eq!(fate(name), Fate::Sign, "{name}");
        }
        for name in ["Accept-Encoding", "User-Agent", "Date", "x-amz-acl", "X-Forwarded-For", "Cookie"] {
            assert_eq!(fate(name), Fate::Forward, "{name}");
        }
        assert_eq!(fate("X-Cos-Copy-Source"), Fate::CopySource);
    }

    #[test]
    fn connection_names_further_headers_of_this_hop() {
        let fields = [
            Field { name: "Connection", value: b"close, X-One" },
            Field { name: "connection", value: b",x-two ," },
        ];
        let names = ConnectionNames::of(&fields);
        assert!(names.contains("x-one") && names.contains("X-Two") && !names.contains("x-three"));
        let plain = [Field { name: "Connection", value: b"Keep-Alive" }];
        assert!(!ConnectionNames::of(&plain).any);
    }
}
