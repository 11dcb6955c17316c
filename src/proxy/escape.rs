//! Percent escapes, read without a copy.

/// The bytes of `wire` with escapes decoded once, each with whether it was escaped. A `%` without
/// two hexadecimal digits stays a `%`.
pub(super) fn decoded(wire: &[u8]) -> impl Iterator<Item = (u8, bool)> + Clone {
    let mut rest = wire.iter();
    std::iter::from_fn(move || {
        let byte = *rest.next()?;
        if byte != b'%' {
            return Some((byte, false));
        }
        match value(rest.as_slice()) {
            Some(decoded) => {
                rest.nth(1);
                Some((decoded, true))
            }
            None => Some((b'%', false)),
        }
    })
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(super) fn all_valid(wire: &[u8]) -> bool {
    memchr::memchr_iter(b'%', wire).all(|at| wire.get(at + 1..).and_then(value).is_some())
}

fn value(after_percent: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*after_percent.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once_in_either_case() {
        let text: Vec<u8> = decoded(b"a%2Fb%2f%252F%zz+%").map(|(byte, _)| byte).collect();
        assert_eq!(text, b"a/b/%2F%zz+%");
        for bad in [&b"%"[..], b"a%2", b"%g0", b"%2g"] {
            assert!(!all_valid(bad), "{bad:?}");
        }
        assert!(all_valid(b"/a%2Fb%e7%9B"));
    }
}
