//! The signature against a slow, independent reading of the documentation, on random requests.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use sha1::{Digest, Sha1};

use super::cos::{Scratch, SigningKey, ToSign, Window};
use crate::secret::{SecretId, SecretKey};

const SECRET: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
const ID: &str = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q";
const WINDOW: Window = Window { start: 1_700_000_000, end: 1_700_003_600 };

type Pair = (Vec<u8>, Vec<u8>);

/// The documentation, word for word, with maps and strings.
mod reference {
    use super::{BTreeMap, Digest, Pair, Sha1};

    pub(super) fn authorization(
        method: &str,
        path: &[u8],
        query: &[Pair],
        headers: &[Pair],
    ) -> String {
        let parameters = canonical(query.iter().map(|(n, v)| (form_decoded(n), form_decoded(v))));
        let headers = canonical(headers.iter().map(|(n, v)| (n.clone(), trimmed(v))));
        let mut http_string = format!("{}\n", method.to_lowercase()).into_bytes();
        http_string.extend(percent_decoded(path));
        let rest = format!("\n{}\n{}\n", joined(&parameters), joined(&headers));
        http_string.extend(rest.into_bytes());
        let key_time = "1700000000;1700003600";
        let sign_key = hex(&hmac_sha1(super::SECRET.as_bytes(), key_time.as_bytes()));
        let string_to_sign = format!("sha1\n{key_time}\n{}\n", hex(&Sha1::digest(&http_string)));
        let signature = hex(&hmac_sha1(sign_key.as_bytes(), string_to_sign.as_bytes()));
        format!(
            "q-sign-algorithm=sha1&q-ak={}&q-sign-time={key_time}&q-key-time={key_time}\
             &q-header-list={}&q-url-param-list={}&q-signature={signature}",
            super::ID,
            names(&headers),
            names(&parameters),
        )
    }

    fn canonical(pairs: impl Iterator<Item = Pair>) -> BTreeMap<String, Vec<String>> {
        let mut map = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in pairs {
            map.entry(encoded(&name).to_lowercase()).or_default().push(encoded(&value));
        }
        map
    }

    fn joined(map: &BTreeMap<String, Vec<String>>) -> String {
        let pairs =
            map.iter().flat_map(|(n, values)| values.iter().map(move |v| format!("{n}={v}")));
        pairs.collect::<Vec<_>>().join("&")
    }

    fn names(map: &BTreeMap<String, Vec<String>>) -> String {
        let names = map.iter().flat_map(|(n, values)| values.iter().map(move |_| n.clone()));
        names.collect::<Vec<_>>().join(";")
    }

    fn encoded(bytes: &[u8]) -> String {
        let one = |b: &u8| match *b as char {
            c if c.is_ascii_alphanumeric() || "-_.~".contains(c) => c.to_string(),
            _ => format!("%{b:02X}"),
        };
        bytes.iter().map(one).collect()
    }

    fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut i) = (Vec::new(), 0);
        while i < bytes.len() {
            let digits = bytes.get(i + 1..i + 3).and_then(|d| str::from_utf8(d).ok());
            let digits = digits.filter(|d| d.chars().all(|c| c.is_ascii_hexdigit()));
            match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                Some(byte) if bytes[i] == b'%' => {
                    out.push(byte);
                    i += 3;
                }
                _ => {
                    out.push(bytes[i]);
                    i += 1;
                }
            }
        }
        out
    }

    fn form_decoded(bytes: &[u8]) -> Vec<u8> {
        let spaced: Vec<u8> = bytes.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
        percent_decoded(&spaced)
    }

    fn trimmed(value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        while matches!(value.last(), Some(b' ' | b'\t')) {
            value.pop();
        }
        while matches!(value.first(), Some(b' ' | b'\t')) {
            value.remove(0);
        }
        value
    }

    /// RFC 2104, for keys of at most one block.
    fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
        let padded = |pad: u8| (0..64).map(move |i| key.get(i).copied().unwrap_or(0) ^ pad);
        let inner: Vec<u8> = padded(0x36).chain(message.iter().copied()).collect();
        let outer: Vec<u8> = padded(0x5c).chain(Sha1::digest(inner)).collect();
        Sha1::digest(outer).into()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}

fn slices(pairs: &[Pair]) -> Vec<(&[u8], &[u8])> {
    pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

fn authorized(
    scratch: &mut Scratch,
    method: &str,
    path: &[u8],
    query: &[Pair],
    headers: &[Pair],
) -> String {
    let key = SigningKey::derive(&SecretKey::new(SECRET).unwrap(), WINDOW);
    let (parameters, headers) = (slices(query), slices(headers));
    let request = ToSign { method, path, parameters: &parameters, headers: &headers };
    let mut out = Vec::new();
    key.authorize(&SecretId::new(ID).unwrap(), &request, scratch, &mut out);
    String::from_utf8(out).unwrap()
}

/// Text of a wire: plain, escaped, badly escaped, with `+`, UTF-8 or anything.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-zA-Z0-9._~-]{0,24}".prop_map(String::into_bytes),
        "([a-zA-Z]|%[0-9a-fA-F]{2}|%[0-9a-zG-Z]?|[+/=;!'()*|^ ]|[测é\u{1f600}]){0,12}"
            .prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
    ]
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    vec((wire(), wire()), 0..8)
}

fn headers() -> impl Strategy<Value = Vec<Pair>> {
    let name = "[a-zA-Z0-9!#$&'*+.^_`|~-]{1,12}".prop_map(String::into_bytes);
    vec(
        (
            name,
            prop_oneof![
                wire(),
                "[ \t]{0,2}[a-zA-Z0-9 =,;+/]{0,60}[ \t]{0,2}".prop_map(String::into_bytes)
            ],
        ),
        0..30,
    )
}

/// Pairs whose names stay different after decoding and lower-casing.
fn distinct(pairs: Vec<Pair>) -> Vec<Pair> {
    let number =
        |(i, (name, value)): (usize, Pair)| ([format!("n{i}-").into_bytes(), name].concat(), value);
    pairs.into_iter().enumerate().map(number).collect()
}

proptest! {
    #[test]
    fn signatures_equal_those_of_the_reference(
        method in "(GET|PUT|HEAD|post|Delete)",
        path in wire(),
        query in pairs(),
        headers in headers(),
        leftover in pairs(),
    ) {
        let path = [b"/".as_slice(), &path].concat();
        // What an earlier, unrelated request left in the scratch must not matter.
        let mut scratch = Scratch::default();
        authorized(&mut scratch, "PUT", b"/earlier", &leftover, &leftover);
        let made = authorized(&mut scratch, &method, &path, &query, &headers);
        prop_assert_eq!(made, reference::authorization(&method, &path, &query, &headers));
    }

    #[test]
    fn order_and_case_of_distinct_names_do_not_matter(
        query in pairs().prop_map(distinct),
        headers in headers().prop_map(distinct),
        swaps in vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..20),
    ) {
        let mut scratch = Scratch::default();
        let straight = authorized(&mut scratch, "GET", b"/k", &query, &headers);
        let (mut query, mut headers) = (query, headers);
        for (a, b) in swaps {
            for list in [&mut query, &mut headers] {
                if !list.is_empty() {
                    let (a, b) = (a.index(list.len()), b.index(list.len()));
                    list.swap(a, b);
                }
            }
        }
        for (name, _) in &mut headers {
            name.make_ascii_uppercase();
        }
        prop_assert_eq!(authorized(&mut scratch, "get", b"/k", &query, &headers), straight);
    }

    #[test]
    fn changing_one_signed_value_changes_the_signature(
        headers in headers().prop_map(distinct),
        which in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!headers.is_empty());
        let mut scratch = Scratch::default();
        let straight = authorized(&mut scratch, "GET", b"/k", &[], &headers);
        let mut changed = headers;
        let at = which.index(changed.len());
        changed[at].1 = [b"x".as_slice(), trim(&changed[at].1)].concat();
        prop_assert_ne!(authorized(&mut scratch, "GET", b"/k", &[], &changed), straight);
    }
}

fn trim(value: &[u8]) -> &[u8] {
    super::canonical::trim_blanks(value)
}
