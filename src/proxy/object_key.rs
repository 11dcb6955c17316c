//! An object's key as it stands in a request, compared without a copy.

use super::escape;

/// A key in one of its spellings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'k> {
    /// In a path, without its first slash: escapes stand for bytes.
    Path(&'k [u8]),
    /// In a query: also `+` stands for a space.
    Form(&'k [u8]),
    /// As it is.
    Plain(&'k [u8]),
}

impl<'k> Key<'k> {
    pub(super) fn bytes(self) -> impl Iterator<Item = u8> + 'k {
        let (plain, coded, form): (&[u8], &[u8], bool) = match self {
            Self::Path(wire) => (&[], wire, false),
            Self::Form(wire) => (&[], wire, true),
            Self::Plain(key) => (key, &[], false),
        };
        let read = move |(byte, escaped)| match (byte, escaped) {
            (b'+', false) if form => b' ',
            (byte, _) => byte,
        };
        plain.iter().copied().chain(escape::decoded(coded).map(read))
    }

    pub(super) fn starts_with(self, prefix: &[u8]) -> bool {
        prefix.is_empty() || self.bytes().take(prefix.len()).eq(prefix.iter().copied())
    }

    /// Whether `longer` begins with the key and goes on.
    pub(super) fn begins(self, longer: &[u8]) -> bool {
        let mut rest = longer.iter();
        self.bytes().all(|byte| rest.next() == Some(&byte)) && rest.next().is_some()
    }

    /// Whether a segment is `.` or `..`: a server that resolves it leaves the prefix.
    pub(super) fn has_dots(self) -> bool {
        // Dots since the last slash; `None` once anything else stood there.
        let mut dots = Some(0_u32);
        for byte in self.bytes().chain([b'/']) {
            dots = match (byte, dots) {
                (b'/', Some(1 | 2)) => return true,
                (b'/', _) => Some(0),
                (b'.', Some(count)) => Some(count.saturating_add(1)),
                _ => None,
            };
        }
        false
    }

    /// For a message: at most 100 bytes, as text.
    pub(super) fn shown(self) -> String {
        let bytes: Vec<u8> = self.bytes().take(100).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_decoded_once_and_as_its_place_demands() {
        assert!(Key::Path(b"a%2Fb+c").starts_with(b"a/b+c"));
        assert!(Key::Form(b"a%2Fb+c%2B").starts_with(b"a/b c+"));
        assert!(Key::Plain(b"a%2Fb").starts_with(b"a%2F"));
        assert!(!Key::Path(b"a%252Fb").starts_with(b"a/"));
        assert!(!Key::Path(b"a").starts_with(b"a/"));
        assert!(Key::Path(b"").starts_with(b""));
    }

    #[test]
    fn a_key_begins_what_goes_on_behind_it() {
        assert!(Key::Path(b"a").begins(b"a/b") && Key::Path(b"").begins(b"a"));
        assert!(!Key::Path(b"a/b").begins(b"a/b") && !Key::Path(b"b").begins(b"a/b"));
    }

    #[test]
    fn dot_segments_are_seen_through_escapes() {
        for key in ["..", ".", "a/../b", "a/%2e%2E/b", "a%2F.%2fb", "a/.", "./a", "a//..//b"] {
            assert!(Key::Path(key.as_bytes()).has_dots(), "{key}");
        }
        for key in ["", "a", "...", "a/.../b", ".a", "a.", "a/..b", "%252e%252e"] {
            assert!(!Key::Path(key.as_bytes()).has_dots(), "{key}");
        }
        assert!(!Key::Plain(b"%2e%2e/").has_dots());
    }
}
