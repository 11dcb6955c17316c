//! Lower-case hexadecimal of short digests.

/// Writes `bytes` to `text` as lower-case hex; `text` has twice the length of `bytes`.
#[inline]
pub(super) fn write(bytes: &[u8], text: &mut [u8]) {
    debug_assert_eq!(text.len(), 2 * bytes.len());
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 15);
    }
}

/// `bytes` as lower-case hex.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|nibble| char::from(digit(nibble))).collect()
}

/// Arithmetic instead of a table, so that the compiler does many digits at once.
const fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}
