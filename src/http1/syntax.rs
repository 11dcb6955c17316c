//! Which bytes may stand where (RFC 9110 section 5.6, RFC 9112 section 2).

/// The bytes of a token: methods and field names (RFC 9110, section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"!#$%&'*+-.^_`|~";
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

/// Whether a line contains a control byte other than HT.
///
/// Looks at every byte without leaving early: the compiler turns that into vector instructions.
pub(super) fn has_control(line: &[u8]) -> bool {
    line.iter().fold(false, |found, &b| found | ((b < 0x20) & (b != b'\t')) | (b == 0x7f))
}

/// Without the blanks (SP, HT) around it.
pub(super) fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_delimiter_blank_or_byte_above_ascii() {
        assert!(is_token(b"x-Cos_1!#$%&'*+-.^`|~"));
        for byte in *b"\"(),/:;<=>?@[\\]{} \t\r\n\x7f\x00\x80\xff" {
            assert!(!is_token_byte(byte), "{byte:#x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn every_control_byte_is_seen_wherever_it_stands() {
        for byte in (0..0x20).chain([0x7f]) {
            for at in 0..40 {
                let mut line = vec![b'a'; 40];
                line[at] = byte;
                assert_eq!(has_control(&line), byte != b'\t', "{byte:#x} at {at}");
            }
        }
        assert!(!has_control("a b~é".as_bytes()));
    }

    #[test]
    fn blanks_are_trimmed_on_both_sides_only() {
        assert_eq!(trim_blanks(b" \ta b\t "), b"a b");
        assert_eq!(trim_blanks(b" \t "), b"");
    }
}
