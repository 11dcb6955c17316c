//! The COS v5 signature (`q-sign-algorithm=sha1`).
//!
//! Words and formulas are those of "Request Signature", Tencent Cloud doc 436/7778:
//!
//! ```text
//! SignKey      = hex(HMAC-SHA1(SecretKey, KeyTime))
//! HttpString   = method LF UriPathname LF HttpParameters LF HttpHeaders LF
//! StringToSign = "sha1" LF KeyTime LF hex(SHA1(HttpString)) LF
//! Signature    = hex(HMAC-SHA1(SignKey, StringToSign))
//! ```

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use zeroize::{Zeroize, Zeroizing};

use super::{
    canonical::{Pairs, decode_path_into},
    hex,
};
use crate::{
    clock::Timestamp,
    secret::{SecretId, SecretKey},
};

/// Seconds by which a signature starts early, so that a clock ahead of the server's does no harm.
const HEAD_START: u64 = 60;
/// Starts are cut to this many seconds, so that one sign key serves a whole minute.
const STEP: u64 = 60;
/// Seconds a signature is valid, unless its key ends earlier.
const LENGTH: u64 = 3600;

/// `KeyTime`: the seconds between which a signature is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// First valid second, Unix time.
    pub start: u64,
    /// Last valid second, Unix time.
    pub end: u64,
}

impl Window {
    /// The window for a signature made at `now` with a key that ends at `key_expires_at`:
    /// starts 60 s back, cut to the whole minute; lasts 3600 s; never past the key.
    ///
    /// `start < end` always holds: for a key that ended before the window would start, the window
    /// is the last second of the key. Such a signature is well-formed, and COS names the reason
    /// when it refuses it.
    #[must_use]
    pub fn covering(now: Timestamp, key_expires_at: Option<Timestamp>) -> Self {
        let earlier = now.unix_seconds().saturating_sub(HEAD_START);
        let start = earlier - earlier % STEP;
        let key_end = key_expires_at.map_or(u64::MAX, Timestamp::unix_seconds);
        let end = start.saturating_add(LENGTH).min(key_end).max(1);
        Self { start: start.min(end - 1), end }
    }
}

/// `start;end`, as it is written in `q-sign-time` and `q-key-time`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.start, self.end)
    }
}

/// `SignKey` of one secret and one window, ready to sign many requests.
#[derive(Clone)]
pub struct SigningKey {
    window: Window,
    /// The part of every `Authorization` between the secret id and the header list.
    times: String,
    /// Keyed with `SignKey`, and fed the part of `StringToSign` that every request shares.
    opened: Hmac<Sha1>,
}

impl SigningKey {
    /// Derives the key: one HMAC.
    #[must_use]
    pub fn derive(secret: &SecretKey, window: Window) -> Self {
        let key_time = window.to_string();
        let sign_key = sign_key(secret, &key_time);
        let mut opened = keyed(sign_key.as_slice());
        for part in ["sha1\n", &key_time, "\n"] {
            opened.update(part.as_bytes());
        }
        let times = format!("&q-sign-time={key_time}&q-key-time={key_time}&q-header-list=");
        Self { window, times, opened }
    }

    /// The window this key is for.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// Appends the value of the `Authorization` header to `out`.
    ///
    /// Exactly the given headers and parameters are signed. Names that repeat are signed in the
    /// given order; whether they may repeat is for the caller to say. Allocates only to grow `out`
    /// and `scratch`.
    pub fn authorize(
        &self,
        id: &SecretId,
        request: &ToSign<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) {
        scratch.compose(request);
        let signature = self.sign(&scratch.http_string_sha1());
        out.extend_from_slice(b"q-sign-algorithm=sha1&q-ak=");
        out.extend_from_slice(id.as_str().as_bytes());
        out.extend_from_slice(self.times.as_bytes());
        scratch.headers.write_names(out);
        out.extend_from_slice(b"&q-url-param-list=");
        scratch.parameters.write_names(out);
        out.extend_from_slice(b"&q-signature=");
        out.extend_from_slice(&signature);
    }

    /// Every intermediate value of the signature of `request`, to compare with what the server
    /// says it computed (`FormatString` and `StringToSign` of a `SignatureDoesNotMatch` error).
    #[must_use]
    pub fn explain(&self, request: &ToSign<'_>) -> Explanation {
        let mut scratch = Scratch::default();
        scratch.compose(request);
        let sha1 = ascii(&scratch.http_string_sha1());
        Explanation {
            http_parameters: written(|out| scratch.parameters.write_pairs(out)),
            url_param_list: written(|out| scratch.parameters.write_names(out)),
            http_headers: written(|out| scratch.headers.write_pairs(out)),
            header_list: written(|out| scratch.headers.write_names(out)),
            http_string: scratch.http_string.to_vec(),
            string_to_sign: format!("sha1\n{}\n{sha1}\n", self.window),
            signature: ascii(&self.sign(&scratch.http_string_sha1())),
            http_string_sha1: sha1,
        }
    }

    /// The signature over a text that somebody calls `HttpString`, to find out what was signed.
    #[must_use]
    pub fn signature_of(&self, http_string: &[u8]) -> String {
        ascii(&self.sign(&hex_of(&Sha1::digest(http_string).0)))
    }

    fn sign(&self, http_string_sha1: &[u8; 40]) -> [u8; 40] {
        let mut mac = self.opened.clone();
        mac.update(http_string_sha1);
        mac.update(b"\n");
        hex_of(&mac.finalize().into_bytes().0)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.window)
    }
}

/// What is signed, as explicit lists: exactly these headers and these parameters.
#[derive(Clone, Copy)]
pub struct ToSign<'a> {
    /// Method as sent.
    pub method: &'a str,
    /// Path as on the wire (percent-encoded); decoded here once, `+` stays `+`.
    pub path: &'a [u8],
    /// Query parameters as on the wire, `(name, value)`; decoded here once, `+` is a space.
    pub parameters: &'a [(&'a [u8], &'a [u8])],
    /// Headers as sent; names in any case.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// Names only: a header may hold a session token.
impl fmt::Debug for ToSign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(&[u8], &[u8])]| -> Vec<String> {
            pairs.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
        };
        f.debug_struct("ToSign")
            .field("method", &self.method)
            .field("path", &String::from_utf8_lossy(self.path))
            .field("parameters", &names(self.parameters))
            .field("headers", &names(self.headers))
            .finish()
    }
}

/// Buffers kept between signatures so that signing allocates nothing.
///
/// They hold the last request, its session token included, and are wiped when dropped.
#[derive(Default)]
pub struct Scratch {
    parameters: Pairs,
    headers: Pairs,
    http_string: Zeroizing<Vec<u8>>,
}

impl Scratch {
    /// Fills the lists and `HttpString`.
    fn compose(&mut self, request: &ToSign<'_>) {
        self.parameters.fill_parameters(request.parameters);
        self.headers.fill_headers(request.headers);
        let text = &mut *self.http_string;
        text.clear();
        text.extend(request.method.bytes().map(|b| b.to_ascii_lowercase()));
        text.push(b'\n');
        decode_path_into(request.path, text);
        text.push(b'\n');
        self.parameters.write_pairs(text);
        text.push(b'\n');
        self.headers.write_pairs(text);
        text.push(b'\n');
    }

    fn http_string_sha1(&self) -> [u8; 40] {
        hex_of(&Sha1::digest(&*self.http_string).0)
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch(redacted)")
    }
}

/// Every intermediate value of one signature, under its name in doc 436/7778.
///
/// `http_headers` and `http_string` hold the values of the signed headers, a session token
/// included; neither is shown by `Debug`. No field holds the secret or the sign key.
#[derive(Clone, PartialEq, Eq)]
pub struct Explanation {
    /// `HttpParameters`: `name=value&name=value`.
    pub http_parameters: String,
    /// `UrlParamList`: `name;name`.
    pub url_param_list: String,
    /// `HttpHeaders`: `name=value&name=value`.
    pub http_headers: String,
    /// `HeaderList`: `name;name`.
    pub header_list: String,
    /// `HttpString`, which COS calls `FormatString` in its errors. Bytes: a path need not be UTF-8.
    pub http_string: Vec<u8>,
    /// Lower-case hex SHA-1 of `http_string`.
    pub http_string_sha1: String,
    /// `StringToSign`.
    pub string_to_sign: String,
    /// `Signature`: 40 lower-case hex digits.
    pub signature: String,
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("url_param_list", &self.url_param_list)
            .field("header_list", &self.header_list)
            .field("http_string_sha1", &self.http_string_sha1)
            .field("string_to_sign", &self.string_to_sign)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

/// `SignKey`. The second HMAC is keyed with these 40 hex digits, not with the 20 bytes they say.
fn sign_key(secret: &SecretKey, key_time: &str) -> Zeroizing<[u8; 40]> {
    let mut mac = keyed(secret.expose().as_bytes());
    mac.update(key_time.as_bytes());
    let mut raw = mac.finalize().into_bytes();
    let text = Zeroizing::new(hex_of(&raw.0));
    raw.0.zeroize();
    text
}

fn keyed(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hex_of(digest: &[u8; 20]) -> [u8; 40] {
    let mut text = [0; 40];
    hex::write(digest, &mut text);
    text
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    ascii(&out)
}

fn ascii(text: &[u8]) -> String {
    text.iter().map(|&byte| char::from(byte)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn sign_keys_equal_those_of_all_recorded_vectors() {
        let file = include_str!("../../tests/vectors/cos.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 30);
        for vector in vectors {
            let secret = SecretKey::new(vector["secret_key"].as_str().unwrap()).unwrap();
            let made = sign_key(&secret, vector["key_time"].as_str().unwrap());
            assert_eq!(ascii(&*made), vector["expected"]["sign_key"], "{}", vector["id"]);
        }
    }

    #[test]
    fn a_window_starts_at_the_minute_before_last_and_lasts_an_hour() {
        for (now, start) in [(1_700_000_040, 1_699_999_980), (1_700_000_099, 1_699_999_980)] {
            let window = Window::covering(at(now), None);
            assert_eq!(window, Window { start, end: start + 3600 });
        }
        assert_eq!(Window::covering(at(1_700_000_100), None).start, 1_700_000_040);
    }

    #[test]
    fn a_window_ends_with_its_key() {
        let now = 1_700_000_040;
        let window = Window::covering(at(now), Some(at(now + 90)));
        assert_eq!(window, Window { start: now - 60, end: now + 90 });
        let window = Window::covering(at(now), Some(at(now + 7200)));
        assert_eq!(window.end, now + 3540);
    }

    #[test]
    fn a_key_that_ended_long_ago_gets_its_last_second() {
        let window = Window::covering(at(1_700_000_040), Some(at(1_600_000_000)));
        assert_eq!(window, Window { start: 1_599_999_999, end: 1_600_000_000 });
        assert_eq!(Window::covering(at(0), Some(at(0))), Window { start: 0, end: 1 });
    }

    #[test]
    fn debug_shows_neither_key_nor_token() {
        let secret = SecretKey::new("verysecretkey").unwrap();
        let key = SigningKey::derive(&secret, Window { start: 1, end: 2 });
        let headers: &[(&[u8], &[u8])] = &[(b"x-cos-security-token", b"verysecrettoken")];
        let request = ToSign { method: "GET", path: b"/k", parameters: &[], headers };
        let mut scratch = Scratch::default();
        let mut out = Vec::new();
        key.authorize(&SecretId::new("AKIDexample").unwrap(), &request, &mut scratch, &mut out);
        let shown = format!("{key:?} {request:?} {scratch:?} {:?}", key.explain(&request));
        assert!(shown.contains("SigningKey(1;2, redacted)"), "{shown}");
        let sign_key = ascii(&*sign_key(&secret, "1;2"));
        for hidden in ["verysecret", &sign_key] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn a_window_is_never_empty_nor_past_its_key(
            now in 0..=u64::MAX / 1000,
            life in -10_000_i64..10_000,
        ) {
            let key_end = now.saturating_add_signed(life).min(u64::MAX / 1000);
            let window = Window::covering(at(now), Some(at(key_end)));
            prop_assert!(window.start < window.end);
            prop_assert!(window.end <= key_end.max(1));
            prop_assert!(window.end - window.start <= 3600);
            prop_assert!(window.start <= now.saturating_sub(60));
            if life > 0 && (120..u64::MAX / 1000).contains(&now) {
                prop_assert!(window.start > now - 120);
                prop_assert!(window.end > now);
            }
        }
    }
}
