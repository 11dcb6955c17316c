//! CRC-64/XZ, which COS calls crc64ecma, and the CRC of two byte strings joined.

pub(crate) use crc64fast::Digest;

/// The polynomial of CRC-64/XZ, bits reversed.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;

/// A linear map on CRCs: row `i` is the image of bit `i`.
type Matrix = [u64; 64];

/// The CRC of `a` followed by `b`, from the CRC of each and the length of `b`.
///
/// Running over a zero byte is a linear map of the CRC; its power `length` is had by squaring, as
/// in zlib's `crc32_combine`.
pub(crate) fn combine(crc_a: u64, crc_b: u64, length_b: u64) -> u64 {
    let mut power = zero_bit();
    for _ in 0..3 {
        power = square(&power);
    }
    let (mut crc, mut length) = (crc_a, length_b);
    while length > 0 {
        if length & 1 == 1 {
            crc = apply(&power, crc);
        }
        power = square(&power);
        length >>= 1;
    }
    crc ^ crc_b
}

/// Running over one zero bit.
fn zero_bit() -> Matrix {
    std::array::from_fn(|bit| if bit == 0 { POLYNOMIAL } else { 1 << (bit - 1) })
}

fn apply(matrix: &Matrix, vector: u64) -> u64 {
    let rows = matrix.iter().enumerate().filter(|(bit, _)| vector >> bit & 1 == 1);
    rows.fold(0, |sum, (_, row)| sum ^ row)
}

fn square(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|bit| apply(matrix, matrix[bit]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc(bytes: &[u8]) -> u64 {
        let mut digest = Digest::new();
        digest.write(bytes);
        digest.sum64()
    }

    #[test]
    fn the_check_value_of_the_catalogue_of_crcs_comes_out() {
        assert_eq!(crc(b"123456789"), 0x995D_C9BB_DF19_39FA);
    }

    proptest::proptest! {
        #[test]
        fn the_crc_of_joined_strings_is_combined_from_theirs(a: Vec<u8>, b: Vec<u8>) {
            let joined = [a.clone(), b.clone()].concat();
            proptest::prop_assert_eq!(combine(crc(&a), crc(&b), b.len() as u64), crc(&joined));
        }
    }
}
