//! Encoding and canonical forms of the COS signature.
//!
//! The rules are those of "Request Signature" (Tencent Cloud doc 436/7778) as the official SDKs
//! apply them: a name or value is percent-decoded once, then encoded with only the unreserved
//! characters of RFC 3986 left as they are; names are lower-cased after encoding, so `%2F` in a
//! name becomes `%2f`; pairs are sorted by the encoded name.

use std::ops::Range;

use zeroize::Zeroizing;

/// Appends `bytes` percent-encoded: `A-Z a-z 0-9 - _ . ~` stay, the rest is `%XX` in upper case.
pub fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (plain, tail) = rest.split_at(unreserved_prefix(rest));
        out.extend_from_slice(plain);
        let reserved = tail.iter().take_while(|&&byte| !UNRESERVED[usize::from(byte)]).count();
        tail[..reserved].iter().for_each(|&byte| push_escape(byte, out));
        rest = &tail[reserved..];
    }
}

/// Appends `bytes` encoded as a name: as [`encode_into`], then lower-cased, escapes included.
pub fn encode_name_into(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    encode_into(bytes, out);
    out[start..].make_ascii_lowercase();
}

/// Appends the path as COS reads it: each escape decoded once, `+` and invalid escapes kept, no dot
/// segment removed, no slash merged.
pub fn decode_path_into(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, used) = unescape(&rest[at..]);
        out.push(byte);
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest);
}

/// Appends a query name or value as COS reads it: `+` is a space, each escape decoded once, invalid
/// escapes kept.
pub fn decode_form_into(wire: &[u8], out: &mut Vec<u8>) {
    out.extend(FormBytes { rest: wire });
}

/// The `(name, value)` pairs of a query (without `?`) as they stand on the wire, in order.
///
/// A piece without `=` is a name with an empty value; empty pieces (`a&&b`) are skipped.
pub fn split_query(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&b| b == b'&').filter(|piece| !piece.is_empty()).map(|piece| match memchr::memchr(
        b'=', piece,
    ) {
        Some(at) => (&piece[..at], &piece[at + 1..]),
        None => (piece, &piece[piece.len()..]),
    })
}

/// A header value without the blanks (space, tab) around it; those inside stay.
#[must_use]
pub fn trim_blanks(value: &[u8]) -> &[u8] {
    let is_blank = |b: &u8| *b == b' ' || *b == b'\t';
    let Some(start) = value.iter().position(|b| !is_blank(b)) else { return &[] };
    let end = value.iter().rposition(|b| !is_blank(b)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Encoded `name=value` pairs, sorted: what becomes `HttpParameters` or `HttpHeaders` and its list.
///
/// Values may hold a session token, so the text is wiped when dropped.
#[derive(Default)]
pub(super) struct Pairs {
    text: Zeroizing<Vec<u8>>,
    order: Vec<Pair>,
}

/// Where one `name=value` stands in the text. Two pairs never start at the same place.
#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    name_end: usize,
    end: usize,
}

impl Pairs {
    /// Takes the query parameters as on the wire.
    pub(super) fn fill_parameters(&mut self, parameters: &[(&[u8], &[u8])]) {
        self.clear();
        for (name, value) in parameters {
            let start = self.text.len();
            self.push_form_encoded(name);
            self.text[start..].make_ascii_lowercase();
            let name_end = self.end_name();
            self.push_form_encoded(value);
            self.end_value(start, name_end);
        }
        self.sort();
    }

    /// Takes the headers as sent.
    pub(super) fn fill_headers(&mut self, headers: &[(&[u8], &[u8])]) {
        self.clear();
        for (name, value) in headers {
            let start = self.text.len();
            encode_name_into(name, &mut self.text);
            let name_end = self.end_name();
            encode_into(trim_blanks(value), &mut self.text);
            self.end_value(start, name_end);
        }
        self.sort();
    }

    /// Appends `name=value&name=value`.
    pub(super) fn write_pairs(&self, out: &mut Vec<u8>) {
        self.write_joined(b'&', |pair| pair.start..pair.end, out);
    }

    /// Appends `name;name`.
    pub(super) fn write_names(&self, out: &mut Vec<u8>) {
        self.write_joined(b';', |pair| pair.start..pair.name_end, out);
    }

    fn write_joined(&self, by: u8, part: impl Fn(&Pair) -> Range<usize>, out: &mut Vec<u8>) {
        for (position, pair) in self.order.iter().enumerate() {
            if position > 0 {
                out.push(by);
            }
            out.extend_from_slice(&self.text[part(pair)]);
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.order.clear();
    }

    /// Decodes once and encodes again, without a copy of the decoded text.
    fn push_form_encoded(&mut self, wire: &[u8]) {
        let plain = unreserved_prefix(wire);
        self.text.extend_from_slice(&wire[..plain]);
        for byte in (FormBytes { rest: &wire[plain..] }) {
            if UNRESERVED[usize::from(byte)] {
                self.text.push(byte);
            } else {
                push_escape(byte, &mut self.text);
            }
        }
    }

    fn end_name(&mut self) -> usize {
        let name_end = self.text.len();
        self.text.push(b'=');
        name_end
    }

    fn end_value(&mut self, start: usize, name_end: usize) {
        self.order.push(Pair { start, name_end, end: self.text.len() });
    }

    /// By encoded name; equal names keep their order. Unlike the stable sort of `std`, this one
    /// never allocates.
    fn sort(&mut self) {
        let text = &self.text;
        self.order.sort_unstable_by(|a, b| {
            text[a.start..a.name_end].cmp(&text[b.start..b.name_end]).then(a.start.cmp(&b.start))
        });
    }
}

/// Bytes looked at together: one vector register on every machine we build for.
const BLOCK: usize = 16;

/// How many bytes at the start of `bytes` stay as they are.
fn unreserved_prefix(bytes: &[u8]) -> usize {
    let mut plain = 0;
    while let Some(block) = bytes[plain..].first_chunk::<BLOCK>() {
        // Without a branch inside, so that the compiler checks the block as one vector.
        if !block.iter().fold(true, |all, &byte| all & is_unreserved(byte)) {
            break;
        }
        plain += BLOCK;
    }
    let rest = &bytes[plain..];
    plain + rest.iter().position(|&byte| !UNRESERVED[usize::from(byte)]).unwrap_or(rest.len())
}

/// [`is_unreserved`] as a table, which is faster for single bytes.
static UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = is_unreserved(byte);
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

const fn is_unreserved(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'0') < 10)
        | (byte == b'-')
        | (byte == b'_')
        | (byte == b'.')
        | (byte == b'~')
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    out.extend_from_slice(&[b'%', high, low]);
}

/// The bytes of a form-encoded text, decoded once.
struct FormBytes<'a> {
    rest: &'a [u8],
}

impl Iterator for FormBytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, used) = match *self.rest.first()? {
            b'+' => (b' ', 1),
            b'%' => unescape(self.rest),
            other => (other, 1),
        };
        self.rest = &self.rest[used..];
        Some(byte)
    }
}

/// The byte that `text`, which starts with `%`, stands for, and how much of it was used. An invalid
/// escape is a literal `%`.
fn unescape(text: &[u8]) -> (u8, usize) {
    if let [_, high, low, ..] = *text
        && let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low))
    {
        return (high << 4 | low, 3);
    }
    (b'%', 1)
}

fn hex_digit(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_byte_is_either_unreserved_or_an_upper_case_escape() {
        for byte in 0..=255_u8 {
            let expected = match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    (byte as char).to_string()
                }
                _ => format!("%{byte:02X}"),
            };
            assert_eq!(made(|out| encode_into(&[byte], out)), expected);
            let as_name = made(|out| encode_name_into(&[byte], out));
            assert_eq!(as_name, expected.to_ascii_lowercase());
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_its_plus_stays() {
        let decoded = |path: &[u8]| made(|out| decode_path_into(path, out));
        assert_eq!(decoded(b"/a%2Fb/c%20d+e"), "/a/b/c d+e");
        assert_eq!(decoded(b"/100%25/a%252Fb"), "/100%/a%2Fb");
        assert_eq!(decoded(b"/a//b/./../c/"), "/a//b/./../c/");
        assert_eq!(decoded(b"/%e6%b5%8B"), "/测");
    }

    #[test]
    fn an_invalid_escape_stays_as_it_is() {
        let path = |path: &[u8]| made(|out| decode_path_into(path, out));
        let form = |text: &[u8]| made(|out| decode_form_into(text, out));
        for text in ["%", "%4", "%zz", "%4g", "%g4", "x%", "%%", "%+1"] {
            assert_eq!(path(text.as_bytes()), text);
            assert_eq!(form(text.as_bytes()), text.replace('+', " "));
        }
        assert_eq!(path(b"%%41%2"), "%A%2");
        assert_eq!(form(b"%%41%2"), "%A%2");
    }

    #[test]
    fn a_query_is_split_on_ampersands_and_first_equal_signs() {
        let pieces = |query: &'static str| {
            split_query(query.as_bytes())
                .map(|(n, v)| (str::from_utf8(n).unwrap(), str::from_utf8(v).unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(pieces(""), []);
        assert_eq!(pieces("acl"), [("acl", "")]);
        assert_eq!(pieces("&a=b=c&&acl&x=&"), [("a", "b=c"), ("acl", ""), ("x", "")]);
        assert_eq!(pieces("=v"), [("", "v")]);
        assert_eq!(pieces("a%26b=1;c=2"), [("a%26b", "1;c=2")]);
    }

    #[test]
    fn blanks_around_a_header_value_go_and_those_inside_stay() {
        assert_eq!(trim_blanks(b" \tv1  v2\t "), b"v1  v2");
        assert_eq!(trim_blanks(b" \t "), b"");
        assert_eq!(trim_blanks(b""), b"");
        assert_eq!(trim_blanks(b"x"), b"x");
    }

    #[test]
    fn pairs_are_sorted_by_encoded_name_and_equal_names_keep_their_order() {
        let mut pairs = Pairs::default();
        // `[` sorts after digits and letters as it is, but before them as `%5b`.
        let wire: &[(&[u8], &[u8])] =
            &[(b"x1", b"2"), (b"x[0]", b"1"), (b"B", b"z"), (b"x", b"0"), (b"b", b"a")];
        pairs.fill_parameters(wire);
        assert_eq!(made(|out| pairs.write_names(out)), "b;b;x;x%5b0%5d;x1");
        assert_eq!(made(|out| pairs.write_pairs(out)), "b=z&b=a&x=0&x%5b0%5d=1&x1=2");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(bytes: Vec<u8>) {
            let (mut encoded, mut from_path, mut from_form) = (Vec::new(), Vec::new(), Vec::new());
            encode_into(&bytes, &mut encoded);
            decode_path_into(&encoded, &mut from_path);
            decode_form_into(&encoded, &mut from_form);
            prop_assert_eq!(&from_path, &bytes);
            prop_assert_eq!(&from_form, &bytes);
        }

        #[test]
        fn encoding_long_texts_equals_encoding_byte_by_byte(text in "[a-zA-Z0-9._~/+= -]{0,200}") {
            let whole = made(|out| encode_into(text.as_bytes(), out));
            let bytes = made(|out| text.bytes().for_each(|b| encode_into(&[b], out)));
            prop_assert_eq!(whole, bytes);
        }

        #[test]
        fn encoded_text_is_made_of_unreserved_characters_and_escapes(bytes: Vec<u8>) {
            let encoded = made(|out| encode_into(&bytes, out));
            prop_assert!(encoded.bytes().all(|b| is_unreserved(b) || b == b'%'));
            let escapes = bytes.iter().filter(|b| !is_unreserved(**b)).count();
            prop_assert_eq!(encoded.len(), bytes.len() + 2 * escapes);
            let as_name = made(|out| encode_name_into(&bytes, out));
            prop_assert_eq!(as_name, encoded.to_ascii_lowercase());
        }

        #[test]
        fn a_parameter_is_decoded_once_and_encoded_once(name: Vec<u8>, value: Vec<u8>) {
            let mut pairs = Pairs::default();
            pairs.fill_parameters(&[(&name, &value)]);
            let (mut plain_name, mut plain_value) = (Vec::new(), Vec::new());
            decode_form_into(&name, &mut plain_name);
            decode_form_into(&value, &mut plain_value);
            let expected = made(|out| {
                encode_name_into(&plain_name, out);
                out.push(b'=');
                encode_into(&plain_value, out);
            });
            prop_assert_eq!(made(|out| pairs.write_pairs(out)), expected);
        }
    }
}
