//! With the key at hand: the signature itself, and what a client signed instead.

use cos_auth_proxy::{
    explain::{Cause, Input, KeyCheck, TestKey, explain},
    secret::{SecretId, SecretKey},
    sign::cos::{SigningKey, Window},
};

use crate::signed::{Request, mismatch, named, vectors, xml};

/// The key of the vectors.
struct Key {
    id: SecretId,
    secret: SecretKey,
}

impl Key {
    fn of_vectors() -> Self {
        let vector = &vectors()["vectors"][0];
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let (id, secret) = (text("secret_id"), text("secret_key"));
        Self { id: SecretId::new(&id).unwrap(), secret: SecretKey::new(&secret).unwrap() }
    }

    /// Puts a signature over `http_string` into `request`.
    fn sign(&self, request: &mut Request, http_string: &str) {
        let time = "1700000000;1700010060";
        let made = self.signature(time, http_string.as_bytes()).unwrap();
        let value = request.header("authorization");
        let (before, _) = value.split_once("&q-signature=").unwrap();
        *value = format!("{before}&q-signature={made}");
    }
}

impl TestKey for Key {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn signature(&self, key_time: &str, http_string: &[u8]) -> Option<String> {
        let (start, end) = key_time.split_once(';')?;
        let window = Window { start: start.parse().ok()?, end: end.parse().ok()? };
        Some(SigningKey::derive(&self.secret, window).signature_of(http_string))
    }
}

fn told(request: &Request, http_string: &str, to_sign: &str) -> (KeyCheck, Cause, String) {
    let error = xml(&mismatch(http_string, to_sign), 0);
    let input = Input::of_parts(request.text("").as_bytes(), error.as_bytes()).unwrap();
    let told = explain(input.evidence(Some(&Key::of_vectors())));
    assert!(!format!("{told:?}").contains("TOKEN"));
    (told.evidence.key_check.unwrap(), told.finding.cause, told.finding.what)
}

#[test]
fn a_signature_that_the_key_made_is_told_from_one_that_it_did_not_make() {
    let known = named("py08-list");
    let (check, cause, _) = told(&known.request, &known.http_string, &known.string_to_sign);
    assert_eq!((check, cause), (KeyCheck::Matches, Cause::WrongSecret));
    let mut other = known.request.clone();
    Key::of_vectors().sign(&mut other, "something else");
    let (check, cause, _) = told(&other, &known.http_string, &known.string_to_sign);
    assert_eq!((check, cause), (KeyCheck::Differs, Cause::WrongSecret));
    let mut foreign = known.request.clone();
    let value = foreign.header("authorization");
    *value = value.replace("AKIDQjz3", "AKIDOTHE");
    let (check, _, what) = told(&foreign, &known.http_string, &known.string_to_sign);
    assert_eq!(check, KeyCheck::OtherKey("AKIDQjz3".to_owned()));
    assert!(what.contains("AKIDQjz3"), "{what}");
}

#[test]
fn what_a_client_signed_instead_is_found_by_trying() {
    for (id, from, to, cause) in [
        ("py08-list", "folder%20one", "folder%2Bone", Cause::PlusInQuery),
        ("py08-list", "delimiter=%2F", "delimiter=%2f", Cause::EscapeCase),
        ("py-edge-pe2", "a%2fb=", "a%2Fb=", Cause::EscapeCase),
        ("py16-delete", "/a b", "/a%20b", Cause::DoubleEncoding),
        ("py09-range", "bytes%3D0-9", "bytes=0-9", Cause::SignerDiffers),
        ("py01-get-plain", "get\n", "GET\n", Cause::SignerDiffers),
        ("py04-get-acl", "acl=\n", "\n", Cause::ParameterNotSigned),
    ] {
        let known = named(id);
        // One way to write escapes or values holds for the whole text.
        let signed = match cause {
            Cause::EscapeCase if from.starts_with("delimiter") => lowered(&known.http_string),
            Cause::EscapeCase => {
                known.http_string.replace("%e4%b8%ad=", "%E4%B8%AD=").replace("a%2fb=", "a%2Fb=")
            }
            Cause::SignerDiffers if id == "py09-range" => plain(&known.http_string),
            _ => known.http_string.replacen(from, to, 1),
        };
        assert!(signed.contains(to), "{id} {signed}");
        let signed = if id == "py-edge-pe2" { resorted(&signed) } else { signed };
        let mut request = known.request.clone();
        Key::of_vectors().sign(&mut request, &signed);
        let (check, found, what) = told(&request, &known.http_string, &known.string_to_sign);
        assert!(matches!(check, KeyCheck::MatchesOtherText { .. }), "{id} {check:?} {signed}");
        assert_eq!(found, cause, "{id} {what}");
        assert!(what.contains("proven"), "{what}");
    }
}

/// Upper-case names sort by their bytes.
fn resorted(text: &str) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut pairs: Vec<_> = lines[2].split('&').collect();
    pairs.sort_unstable();
    lines[2] = pairs.join("&");
    lines.join("\n")
}

fn lowered(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut lowered = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        lowered.push('%');
        lowered.push_str(&digits.to_lowercase());
        lowered.push_str(rest);
    }
    lowered
}

fn plain(text: &str) -> String {
    let (before, headers) = text.trim_end().rsplit_once('\n').unwrap();
    let decoded =
        headers.replace("%3D", "=").replace("%22", "\"").replace("%2B", "+").replace("%2F", "/");
    format!("{before}\n{decoded}\n")
}
