//! Lower-case hexadecimal of short digests.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Writes `bytes` to `text` as lower-case hex; `text` has twice the length of `bytes`.
pub(super) fn write(bytes: &[u8], text: &mut [u8]) {
    debug_assert_eq!(text.len(), 2 * bytes.len());
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// `bytes` as lower-case hex.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| DIGITS[usize::from(d)] as char).collect()
}
