//! The request target: a path, or an absolute URL as clients of a forward proxy send it.

use super::{Reason, Refused, escape};

/// A target in its parts, exact bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'b> {
    /// Host and port of an absolute URL.
    pub(super) authority: Option<&'b str>,
    /// Begins with `/`.
    pub(super) path: &'b [u8],
    /// Without `?`; empty when there is none.
    pub(super) query: &'b [u8],
    /// Whether there is a `?`.
    pub(super) has_query: bool,
}

impl<'b> Target<'b> {
    pub(super) fn parse(target: &'b [u8]) -> Result<Self, Refused> {
        let (authority, rest) = match target.first() {
            Some(b'/') => (None, target),
            _ => absolute(target).ok_or_else(|| Reason::BadTarget.refused())?,
        };
        let (path, query) = match memchr::memchr(b'?', rest) {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
            None => (rest, None),
        };
        // `#` begins what a client keeps for itself; on the wire nobody knows what it means.
        if memchr::memchr(b'#', rest).is_some() {
            return Err(Reason::BadTarget
                .because("The target has a #, which belongs percent-encoded as %23."));
        }
        if !escape::all_valid(rest) {
            return Err(Reason::BadEscape.refused());
        }
        let path = if path.is_empty() { b"/" } else { path };
        Ok(Self { authority, path, query: query.unwrap_or_default(), has_query: query.is_some() })
    }
}

/// Splits `http://authority/path?query`; no user, no empty host.
fn absolute(target: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority =
        std::str::from_utf8(authority).ok().filter(|a| !a.is_empty() && !a.contains('@'))?;
    Some((Some(authority), rest))
}

/// Whether `path` is not `/` but becomes it when dot segments and empty segments are collapsed, as
/// COS and middleboxes do with the decoded path. The same walk as `simplifyPath` of
/// cos-nodejs-sdk-v5, which refuses such keys too.
pub(super) fn collapses_to_root(path: &[u8]) -> bool {
    if path == b"/" {
        return false;
    }
    let mut depth = 0_usize;
    let mut segment = Segment::default();
    for byte in escape::decoded(path).map(|(byte, _)| byte).chain([b'/']) {
        if byte == b'/' {
            match segment {
                Segment::Dots(0 | 1) => {}
                Segment::Dots(2) => depth = depth.saturating_sub(1),
                Segment::Dots(_) | Segment::Name => depth += 1,
            }
            segment = Segment::default();
        } else {
            segment = match segment {
                Segment::Dots(dots) if byte == b'.' => Segment::Dots(dots.saturating_add(1)),
                Segment::Dots(_) | Segment::Name => Segment::Name,
            };
        }
    }
    depth == 0
}

#[derive(Clone, Copy)]
enum Segment {
    Dots(u8),
    Name,
}

impl Default for Segment {
    fn default() -> Self {
        Self::Dots(0)
    }
}

/// Splits `/bucket/key` at the raw slash after the bucket; an escaped slash never separates.
/// The rest is `/` when there is no key.
pub(super) fn split_bucket(path: &[u8]) -> (&[u8], &[u8]) {
    let inner = path.get(1..).unwrap_or_default();
    match memchr::memchr(b'/', inner) {
        Some(at) => inner.split_at(at),
        None => (inner, b"/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_without_touching_its_bytes() {
        for (target, authority, path, query) in [
            ("/", None, "/", ""),
            ("/a%2Fb//./x/../+(1)*'!|^?p=a/b+c&", None, "/a%2Fb//./x/../+(1)*'!|^", "p=a/b+c&"),
            ("//lead//dbl", None, "//lead//dbl", ""),
            ("/k?a?b", None, "/k", "a?b"),
            ("http://h:80/k?q", Some("h:80"), "/k", "q"),
            ("HTTP://h", Some("h"), "/", ""),
            ("http://h?acl", Some("h"), "/", "acl"),
            ("https://h/k", Some("h"), "/k", ""),
            ("http://h//", Some("h"), "//", ""),
        ] {
            let parsed = Target::parse(target.as_bytes()).unwrap();
            assert_eq!(parsed.authority, authority, "{target}");
            assert_eq!(parsed.path, path.as_bytes(), "{target}");
            assert_eq!(parsed.query, query.as_bytes(), "{target}");
        }
    }

    #[test]
    fn a_target_that_is_neither_path_nor_url_is_refused() {
        for target in [
            "",
            "*",
            "k",
            "h:443",
            "ftp://h/k",
            "http:///k",
            "http://u:p@h/k",
            "http://u@h",
            "/a#b",
        ] {
            assert_eq!(
                Target::parse(target.as_bytes()).unwrap_err().reason,
                Reason::BadTarget,
                "{target}"
            );
        }
        for target in ["/100%", "/%zz", "/a?b=%2"] {
            assert_eq!(
                Target::parse(target.as_bytes()).unwrap_err().reason,
                Reason::BadEscape,
                "{target}"
            );
        }
    }

    #[test]
    fn only_paths_of_dots_and_slashes_collapse_to_the_bucket() {
        for path in [
            "//",
            "/.",
            "/./",
            "/..",
            "/../",
            "/a/..",
            "/%2E/",
            "/%2e%2E",
            "/%2F",
            "/a%2F..",
            "/a/b/../../",
            "/../a/..",
            "/././///abc/.//def//../../",
        ] {
            assert!(collapses_to_root(path.as_bytes()), "{path}");
        }
        for path in [
            "/",
            "/a",
            "/a//b",
            "/.a",
            "/...",
            "/./a",
            "/../a",
            "/a/b/..",
            "/.%2Fx",
            "/././///abc/.//def//..",
            "/%252E",
        ] {
            assert!(!collapses_to_root(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn the_bucket_ends_at_a_raw_slash() {
        for (path, bucket, rest) in [
            ("/b-1/k/x", "b-1", "/k/x"),
            ("/b-1", "b-1", "/"),
            ("/b-1/", "b-1", "/"),
            ("/b-1//k", "b-1", "//k"),
            ("/b-1%2Fk", "b-1%2Fk", "/"),
            ("/", "", "/"),
        ] {
            assert_eq!(
                split_bucket(path.as_bytes()),
                (bucket.as_bytes(), rest.as_bytes()),
                "{path}"
            );
        }
    }
}
