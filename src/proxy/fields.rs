//! What becomes of each header line of a request on its way to COS.

use crate::{
    http1::{ConnectionNames, RequestHead, is_hop_by_hop},
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
    let starts =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
    match name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'h') if is("host") => true,
        Some(b'c') if is("content-length") => true,
        Some(b'p') if starts("proxy-") => true,
        Some(b'e') if is("expect") => true,
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
        _ => is_hop_by_hop(name),
    }
}

/// Whether `Connection` lists `name`, so that it belongs to this hop. `listed` is nearly always
/// empty.
pub(super) fn is_listed(mut listed: ConnectionNames<'_, '_>, name: &str) -> bool {
    listed.any(|listed| listed.eq_ignore_ascii_case(name))
}

/// Signed headers whose lines may be joined with `, ` into one value (RFC 9110, 5.3).
pub(super) fn is_list(name: &str) -> bool {
    ["cache-control", "content-encoding", "if-match", "if-none-match"]
        .iter()
        .any(|listed| name.eq_ignore_ascii_case(listed))
}

/// Refuses a signed header that repeats and is no list, and one that others take for another.
pub(super) fn check(head: &RequestHead<'_, '_>) -> Result<(), Refused> {
    let mut rest = head.fields;
    while let Some((field, after)) = rest.split_first() {
        rest = after;
        let fate = fate(field.name);
        if is_lookalike(field.name, fate) {
            let name: String = field.name.chars().take(100).collect();
            return Err(Reason::LookalikeHeader.because(&format!("Header: {name}.")));
        }
        let counts = matches!(fate, Fate::Sign | Fate::CopySource);
        if counts
            && !is_list(field.name)
            && after.iter().any(|f| f.name.eq_ignore_ascii_case(field.name))
        {
            let name: String = field.name.chars().take(100).collect();
            return Err(Reason::RepeatedHeader.because(&format!("Header: {name}.")));
        }
    }
    Ok(())
}

/// Whether `name` would have another fate with `-` for each `_`: servers that pass headers on as
/// variables of the environment read both alike, so that `Content_Length` is a length to them.
fn is_lookalike(name: &str, fate_of_name: Fate) -> bool {
    name.contains('_') && fate(&name.replace('_', "-")) != fate_of_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_count_with_dashes_is_taken_for_a_lookalike() {
        for name in [
            "Content_Length",
            "transfer_encoding",
            "Content_Type",
            "x_cos_acl",
            "x-cos_acl",
            "X_COS_SECURITY_TOKEN",
            "x-cos-security_token",
            "x-cos-copy_source",
            "if_match",
            "proxy_authorization",
            "keep_alive",
        ] {
            assert!(is_lookalike(name, fate(name)), "{name}");
        }
        for name in ["x-cos-meta-my_key", "x-cos-meta-_", "X_Request_Id", "user_agent", "_", "a-b"]
        {
            assert!(!is_lookalike(name, fate(name)), "{name}");
        }
    }

    #[test]
    fn authority_and_hop_by_hop_headers_end_here() {
        for name in [
            "Authorization",
            "Host",
            "Connection",
            "keep-alive",
            "Proxy-Connection",
            "proxy-authorization",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Content-Length",
            "Upgrade",
            "HTTP2-Settings",
            "Expect",
            "X-Cos-Security-Token",
            "x-ci-security-token",
            "x-amz-security-token",
            "x-amz-date",
            "x-amz-content-sha256",
            "amz-sdk-invocation-id",
        ] {
            assert_eq!(fate(name), Fate::Drop, "{name}");
        }
        for name in [
            "x-cos-meta-a",
            "Content-Type",
            "RANGE",
            "x-cos-acl",
            "Origin",
            "Pic-Operations",
            "x-ci-x",
        ] {
            assert_eq!(fate(name), Fate::Sign, "{name}");
        }
        for name in
            ["Accept-Encoding", "User-Agent", "Date", "x-amz-acl", "X-Forwarded-For", "Cookie"]
        {
            assert_eq!(fate(name), Fate::Forward, "{name}");
        }
        assert_eq!(fate("X-Cos-Copy-Source"), Fate::CopySource);
    }
}
