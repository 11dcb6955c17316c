//! Which headers a strict signature must list.
//!
//! A bucket in strict mode refuses a request with a header that counts but is not signed, so we
//! sign every such header that is sent. The list is the one that `cos-python-sdk-v5` 1.9.44,
//! `cos-java-sdk-v5` and `cos-cpp-sdk-v5` share, without `expect`, which is never forwarded.

/// Whether a header that is sent must be signed: the common allow-list of the official SDKs, all
/// `x-cos-*` and `x-ci-*`. `name` in any case.
#[must_use]
pub fn signs(name: &[u8]) -> bool {
    let is = |listed: &str| name.eq_ignore_ascii_case(listed.as_bytes());
    let starts =
        |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
    let listed = match name.len() {
        4 => is("host"),
        5 => is("range"),
        6 => is("origin"),
        7 => is("expires"),
        8 => is("if-match"),
        11 => is("content-md5"),
        12 => is("content-type"),
        13 => is("cache-control") || is("if-none-match"),
        14 => is("content-length") || is("pic-operations"),
        16 => is("content-encoding"),
        17 => is("if-modified-since") || is("transfer-encoding"),
        19 => is("content-disposition") || is("if-unmodified-since"),
        _ => false,
    };
    listed || starts(b"x-cos-") || starts(b"x-ci-")
}

#[cfg(test)]
mod tests {
    use super::signs;

    const SIGNED: [&str; 22] = [
        "host",
        "content-length",
        "content-type",
        "content-md5",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "expires",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "origin",
        "range",
        "transfer-encoding",
        "pic-operations",
        "x-cos-security-token",
        "x-cos-acl",
        "x-cos-meta-anything",
        "x-cos-copy-source",
        "x-ci-security-token",
        "x-ci-process",
    ];

    #[test]
    fn every_listed_header_is_signed_in_any_case() {
        for name in SIGNED {
            assert!(signs(name.as_bytes()), "{name}");
            assert!(signs(name.to_ascii_uppercase().as_bytes()), "{name}");
            let title: String = name
                .split_inclusive('-')
                .flat_map(|word| {
                    word.chars()
                        .enumerate()
                        .map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c })
                })
                .collect();
            assert!(signs(title.as_bytes()), "{title}");
        }
    }

    #[test]
    fn headers_that_a_hop_may_change_and_headers_nobody_signs_are_left_out() {
        for name in [
            "connection",
            "accept-encoding",
            "user-agent",
            "te",
            "via",
            "date",
            "accept",
            "expect",
            "content-language",
            "authorization",
            "cookie",
            "access-control-request-method",
            "x-forwarded-for",
            "x-amz-date",
            "vendor-x-cos-foo",
            "x-cos",
            "x-ci",
            "x-co",
            "",
        ] {
            assert!(!signs(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_name_that_only_resembles_a_listed_one_is_not_signed() {
        for name in SIGNED.iter().take(16) {
            assert!(!signs(format!("{name}x").as_bytes()), "{name}");
            assert!(!signs(format!("x{name}").as_bytes()), "{name}");
            assert!(!signs(name.get(1..).unwrap().as_bytes()), "{name}");
            assert!(!signs(name.replacen(['e', 'o', 'a'], "_", 1).as_bytes()), "{name}");
        }
    }
}
