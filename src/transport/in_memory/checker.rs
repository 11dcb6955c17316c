//! What may go upstream: whole requests with one of everything that counts.

use super::{Ends, Flaw, Head};

/// Judges a head that went upstream, and says where its body ends.
///
/// # Errors
/// What is wrong with it, or ambiguous.
pub(in crate::transport) fn check_sent(head: &Head) -> Result<Ends, Flaw> {
    let (method, target, version) = head.request_line()?;
    if !matches!(method.as_str(), "GET" | "HEAD" | "PUT" | "POST" | "DELETE" | "OPTIONS") {
        return Err(format!("{method} is no method"));
    }
    if !target.starts_with(b"/") || target.iter().any(|b| b.is_ascii_whitespace() || *b == 0) {
        return Err(format!("{:?} is no target", String::from_utf8_lossy(&target)));
    }
    if version != b"HTTP/1.1" {
        return Err("another version".to_owned());
    }
    for name in ["host", "authorization", "x-cos-security-token"] {
        if head.one(name)?.is_none_or(<[u8]>::is_empty) {
            return Err(format!("no {name}"));
        }
    }
    for name in
        ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"]
    {
        if head.one(name)?.is_some() {
            return Err(format!("{name} is for one hop only"));
        }
    }
    head.request_ends()
}
