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
    type Mistake = fn(&str) -> String;
    let table: [(&str, Mistake, Cause); 15] = [
        ("py08-list", |text| text.replace("folder%20one", "folder%2Bone"), Cause::PlusInQuery),
        ("py08-list", |text| text.replace("AD%90%2B", "AD%90%20"), Cause::PlusInQuery),
        ("py08-list", |text| text.replace("%20", "+"), Cause::PlusInQuery),
        ("py08-list", lowered, Cause::EscapeCase),
        ("py08-list", |text| text.replace("%2F", "/"), Cause::SignerDiffers),
        ("py08-list", |text| text.replace("~x", "%7Ex"), Cause::SignerDiffers),
        ("py-edge-pe2", names_upper, Cause::EscapeCase),
        ("py-edge-pe2", |text| text.replace('%', "%25"), Cause::DoubleEncoding),
        ("py16-delete", |text| text.replace("/a b", "/a%20b"), Cause::DoubleEncoding),
        ("py13-percent-in-key", |text| text.replace("a%2Fb", "a/b"), Cause::DoubleEncoding),
        ("py09-range", plain_headers, Cause::SignerDiffers),
        ("py01-get-plain", |text| text.replace("get\n", "GET\n"), Cause::SignerDiffers),
        ("py01-get-plain", |text| text.trim_end().to_owned(), Cause::SignerDiffers),
        ("py04-get-acl", |text| text.replace("acl=\n", "\n"), Cause::ParameterNotSigned),
        ("py02-put-unicode-space-plus", |text| text.replace("a+b", "a b"), Cause::PlusInPath),
    ];
    for (id, mistake, cause) in table {
        let known = named(id);
        let signed = mistake(&known.http_string);
        assert_ne!(signed, known.http_string, "{id}");
        let mut request = known.request.clone();
        if cause == Cause::PlusInPath {
            // Only a bare plus is taken for a space; an encoded one is a plus to everybody.
            request.path = request.path.replace("%2B", "+");
        }
        Key::of_vectors().sign(&mut request, &signed);
        let (check, found, what) = told(&request, &known.http_string, &known.string_to_sign);
        assert!(matches!(check, KeyCheck::MatchesOtherText { .. }), "{id} {check:?} {signed}");
        assert_eq!(found, cause, "{id} {what}");
        assert!(what.contains("proven"), "{what}");
    }
}

/// Escapes in the names keep their case, and so they sort in another place.
fn names_upper(text: &str) -> String {
    let (before, headers) = text.split_once("\n%e4").unwrap();
    let (_, headers) = headers.split_once('\n').unwrap();
    format!("{before}\n%E4%B8%AD=%E6%96%87&a%2Fb=c%2Fd\n{headers}")
}

/// `%2f` in place of `%2F`, below the path.
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

/// Values of headers as they are sent.
fn plain_headers(text: &str) -> String {
    let (before, headers) = text.trim_end().rsplit_once('\n').unwrap();
    let escapes = [("%3D", "="), ("%22", "\""), ("%2B", "+"), ("%2F", "/")];
    let plain = escapes.iter().fold(headers.to_owned(), |text, (from, to)| text.replace(from, to));
    format!("{before}\n{plain}\n")
}
