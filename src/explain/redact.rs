//! Takes tokens, signatures and customer keys out of a text, so that two texts can still be compared.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::sent::path_decoded;

/// Ends of names whose values must not be seen: session tokens, SSE-C keys, signatures.
const NAMES: [&str; 7] = [
    "security-token",
    "customer-key",
    "authorization",
    "q-signature",
    "x-cos-mfa",
    "cookie",
    "amz-signature",
];

/// Where a redacted value begins.
pub(super) const OPENING: &str = "{";

/// The text with each value that must not be seen replaced by its length and the first digits of
/// its SHA-256, both of the percent-decoded value: equal values stay equal, others do not.
pub(super) fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((value_at, value_len)) = next(rest) {
        let (before, tail) = rest.split_at(value_at);
        let (value, after) = tail.split_at(value_len);
        shown.push_str(before);
        shown.push_str(&mark(value));
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Start and length of the first value that must not be seen.
fn next(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let of = |name: &&str| {
        lower.match_indices(*name).find_map(|(at, _)| {
            let after = lower.get(at + name.len()..)?;
            let sign = ["=", "%3d"].into_iter().find(|sign| after.starts_with(sign))?;
            let start = at + name.len() + sign.len();
            let value = lower.get(start..)?;
            let len = ["&", "\n", "%26", "%0a"]
                .iter()
                .filter_map(|end| value.find(end))
                .min()
                .unwrap_or(value.len());
            (len > 0 && !value.starts_with(OPENING)).then_some((start, len))
        })
    };
    NAMES.iter().filter_map(of).min()
}

fn mark(value: &str) -> String {
    let plain = path_decoded(value.as_bytes());
    let hash = Sha256::digest(&plain);
    let mut mark = format!("{OPENING}{} bytes, sha256 ", plain.len());
    for byte in hash.iter().take(4) {
        // Writing to a String cannot fail.
        let _ = write!(mark, "{byte:02x}");
    }
    mark.push('}');
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_must_not_be_seen_keep_their_length_and_a_short_hash() {
        for (text, shown) in [
            ("get\n/k\na=1\nhost=h\n", "get\n/k\na=1\nhost=h\n"),
            (
                "host=h&x-cos-security-token=to%2Bken\n",
                "host=h&x-cos-security-token={6 bytes, sha256 054f1730}\n",
            ),
            (
                "x-cos-security-token=a&x-cos-server-side-encryption-customer-key=b\n",
                "x-cos-security-token={1 bytes, sha256 ca978112}&x-cos-server-side-encryption-customer-key={1 bytes, sha256 3e23e816}\n",
            ),
            (
                "x-cos-server-side-encryption-customer-key-md5=b\n",
                "x-cos-server-side-encryption-customer-key-md5=b\n",
            ),
            (
                "/k?X-Cos-Security-Token=secret&b=c",
                "/k?X-Cos-Security-Token={6 bytes, sha256 2bb80d53}&b=c",
            ),
            (
                "prefix=a%26x-cos-security-token%3Dsecret%26b\n",
                "prefix=a%26x-cos-security-token%3D{6 bytes, sha256 2bb80d53}%26b\n",
            ),
            ("x-ci-security-token=\n", "x-ci-security-token=\n"),
        ] {
            assert_eq!(redacted(text), shown);
            assert_eq!(redacted(shown), shown, "twice");
        }
    }
}
