//! Keeps web pages of other sites from using the proxy's keys.
//!
//! The host allow-list stops DNS rebinding; this stops the plain cross-site request, which a
//! browser sends without asking when it is "simple". Only browsers send these headers.

use crate::http1::RequestHead;

use super::{Method, Reason, Refused, hosts::HostName};

/// Refuses what a browser marks as coming from another origin than `host`, the request's own.
///
/// `OPTIONS` may have any `Origin`: a CORS pre-flight is COS's to answer, and the request that
/// follows it is refused here.
pub(super) fn check(
    head: &RequestHead<'_, '_>,
    method: Method,
    host: &HostName<'_>,
) -> Result<(), Refused> {
    for field in head.fields {
        let foreign = if field.name.eq_ignore_ascii_case("origin") {
            method != Method::Options && !is_own_origin(field.value, host)
        } else if field.name.eq_ignore_ascii_case("sec-fetch-site") {
            [&b"cross-site"[..], b"same-site"].iter().any(|v| field.value.eq_ignore_ascii_case(v))
        } else {
            false
        };
        if foreign {
            return Err(Reason::CrossSite.refused());
        }
    }
    Ok(())
}

/// `scheme://host[:port]` with the host and port of the request; `null` and others are foreign.
/// The request's own scheme is unknown behind a TLS terminator, so the origin's decides what a
/// missing port means.
fn is_own_origin(origin: &[u8], host: &HostName<'_>) -> bool {
    let own = |scheme: &str, port: u16| {
        let origin = std::str::from_utf8(origin).ok()?.strip_prefix(scheme)?;
        Some(HostName::parse(origin)?.is_same(host, port))
    };
    own("http://", 80).or_else(|| own("https://", 443)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_origin_is_own() {
        for (origin, host, own) in [
            ("http://localhost:9000", "localhost:9000", true),
            ("http://LOCALHOST:9000", "localhost:9000", true),
            ("https://cos.internal.example", "cos.internal.example", true),
            ("https://cos.internal.example", "cos.internal.example:443", true),
            ("http://cos.internal.example", "cos.internal.example:80", true),
            ("http://localhost:3000", "localhost:9000", false),
            ("http://localhost", "localhost:9000", false),
            ("http://evil.example", "localhost:9000", false),
            ("http://localhost:9000.evil.example", "localhost:9000", false),
            ("null", "localhost:9000", false),
            ("", "localhost:9000", false),
            ("file://localhost:9000", "localhost:9000", false),
        ] {
            assert_eq!(
                is_own_origin(origin.as_bytes(), &HostName::parse(host).unwrap()),
                own,
                "{origin} {host}"
            );
        }
    }
}
