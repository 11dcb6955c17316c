//! Is this request signed as COS wants it? The COS v5 signature, checked from its documentation.
//!
//! Source: Tencent Cloud doc 436/7778 (request signature), with the readings that the official
//! SDKs agree on: the path is decoded once, the query is form-decoded once, names are encoded and
//! then lower-cased, `q-*` fields are read by name. Signatures come in the `Authorization` header,
//! as `q-*` query parameters, or as one `sign` query parameter.
//!
//! Answers, where the documentation leaves a choice:
//! - a temporary key past its end: [`super::accounts::ExpiredKeyAnswer`], 400 `ExpiredToken` at first;
//! - outside the signature's window: 403 `AccessDenied` "Request has expired" with the server's
//!   time; a window that starts more than 15 minutes ahead: 403 `RequestTimeTooSkewed`;
//! - revoked or unknown id, a new key that is not known yet, token missing or foreign: 403 `InvalidAccessKeyId`.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use sha1::{Digest, Sha1};

use super::{
    accounts::{Accounts, ExpiredKeyAnswer, KnownKey},
    errors::CosError,
    policy::{Policy, form_decode, percent_decode},
};

/// How far in the future a window may start before it counts as a wrong clock, in seconds.
const SKEW: u64 = 15 * 60;

/// Who signed a request, and what the key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key's id.
    pub secret_id: String,
    /// What the key may do; `None`: everything the account may.
    pub policy: Option<Policy>,
    /// The account's number.
    pub uin: String,
    /// The number at the end of the account's bucket names.
    pub appid: String,
}

/// A request as it arrived, nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path of the target as on the wire, without scheme and host.
    pub path: &'a str,
    /// The query of the target as on the wire, without `?`; empty if there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The `Host` the request was sent to, with its port if it had one.
    pub host: &'a str,
}

/// Checks signature, key, token, window and (in strict mode) completeness of `request` at
/// `now_unix`, whole seconds since the epoch on the emulator's clock.
///
/// # Errors
/// The answer COS gives: see the head of this file.
pub fn verify(accounts: &Accounts, request: &Seen<'_>, now_unix: u64) -> Result<Caller, CosError> {
    let claim = Claim::of(request)?;
    let key = accounts.find(&claim.secret_id).ok_or_else(unknown_key)?;
    if !accounts.is_known_yet(&claim.secret_id) {
        return Err(unknown_key());
    }
    check_token(&key, request)?;
    check_key_life(&key, accounts.expired_key_answer(), now_unix)?;
    check_window(&claim, now_unix)?;
    check_signature(&claim, &key, request)?;
    if accounts.strict() {
        check_completeness(&claim, &key, request)?;
    }
    Ok(Caller {
        policy: key.policy().cloned(),
        uin: key.uin().to_owned(),
        appid: key.appid().to_owned(),
        secret_id: claim.secret_id,
    })
}

/// What a request says about its own signature.
struct Claim {
    form: Form,
    secret_id: String,
    /// As written: the text that is signed.
    sign_time: String,
    sign_window: Window,
    key_time: String,
    key_window: Window,
    /// Encoded lower-case names.
    headers: Vec<String>,
    parameters: Vec<String>,
    signature: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Header,
    /// `q-*` parameters.
    Query,
    /// One `sign` parameter.
    SignParameter,
}

/// `start;end`, whole seconds since the epoch, both inside.
#[derive(Clone, Copy)]
struct Window {
    starts_at: u64,
    ends_at: u64,
}

impl Claim {
    /// Finds the one signature of a request.
    fn of(request: &Seen<'_>) -> Result<Self, CosError> {
        let parameters = parameters(request.query);
        let in_query = parameters.iter().any(|(name, _)| name == b"q-signature");
        let sign_parameter: Vec<_> =
            parameters.iter().filter(|(name, _)| name == b"sign").map(|(_, text)| text).collect();
        let headers: Vec<_> = request.headers.get_all(http::header::AUTHORIZATION).iter().collect();
        match (headers.as_slice(), in_query, sign_parameter.as_slice()) {
            ([], false, []) => Err(CosError::access_denied("Access Denied.")),
            ([header], false, []) => {
                let text = String::from_utf8_lossy(header.as_bytes());
                Self::parse(Form::Header, split_fields(&text))
            }
            ([], true, []) => {
                let fields = parameters.into_iter().filter(|(name, _)| name.starts_with(b"q-"));
                Self::parse(Form::Query, fields.map(|(name, value)| (text(&name), text(&value))))
            }
            ([], false, [whole]) => Self::parse(Form::SignParameter, split_fields(&text(whole))),
            _ => Err(CosError::new(400, "InvalidArgument", "More than one signature was sent.")),
        }
    }

    fn parse(
        form: Form,
        fields: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, CosError> {
        let mut fields: Vec<_> = fields.into_iter().collect();
        let mut take = |name: &str| {
            let at = fields.iter().position(|(known, _)| known == name);
            at.map(|at| fields.swap_remove(at).1)
                .ok_or_else(|| malformed(&format!("{name} is missing from the signature")))
        };
        let algorithm = take("q-sign-algorithm")?;
        if algorithm != "sha1" {
            return Err(malformed("q-sign-algorithm must be sha1"));
        }
        let sign_time = take("q-sign-time")?;
        let key_time = take("q-key-time")?;
        let claim = Self {
            form,
            secret_id: take("q-ak")?,
            sign_window: Window::parse(&sign_time)?,
            key_window: Window::parse(&key_time)?,
            sign_time,
            key_time,
            headers: split_list(&take("q-header-list")?),
            parameters: split_list(&take("q-url-param-list")?),
            signature: take("q-signature")?,
        };
        match fields.first() {
            Some((name, _)) => Err(malformed(&format!("{name} does not belong in a signature"))),
            None => Ok(claim),
        }
    }
}

impl Window {
    fn parse(text: &str) -> Result<Self, CosError> {
        let digits = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
        let window = text.split_once(';').and_then(|(start, end)| {
            Some(Self { starts_at: digits(start)?, ends_at: digits(end)? })
        });
        window
            .filter(|window| window.starts_at < window.ends_at)
            .ok_or_else(|| malformed("q-sign-time and q-key-time must be start;end in seconds"))
    }
}

fn split_fields(text: &str) -> Vec<(String, String)> {
    let split = |field: &str| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        (name.to_owned(), value.to_owned())
    };
    text.trim().split('&').map(split).collect()
}

fn split_list(text: &str) -> Vec<String> {
    text.split(';').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn malformed(what: &str) -> CosError {
    CosError::new(400, "InvalidArgument", format!("Authorization is malformed: {what}."))
}

fn unknown_key() -> CosError {
    let message = "The Access Key Id you provided does not exist in our records";
    CosError::new(403, "InvalidAccessKeyId", message)
}

/// The names under which a session token travels: in a header or in the query, data processing
/// hosts have a name of their own.
const TOKEN_NAMES: [&str; 2] = ["x-cos-security-token", "x-ci-security-token"];

/// A temporary key comes with its own token, a permanent one with none.
fn check_token(key: &KnownKey, request: &Seen<'_>) -> Result<(), CosError> {
    let expected: &[&[u8]] = match key {
        KnownKey::Permanent(_) => &[],
        KnownKey::Temporary(key) => &[key.token.as_bytes()],
    };
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for name in TOKEN_NAMES {
        sent.extend(request.headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()));
        // The Node SDK leaves `+` raw in pre-signed URLs and production takes it.
        let in_query = raw_parameters(request.query).filter(|(raw_name, _)| *raw_name == name);
        sent.extend(in_query.map(|(_, value)| percent_decode(value.as_bytes())));
    }
    if sent == expected { Ok(()) } else { Err(unknown_key()) }
}

fn check_key_life(key: &KnownKey, answer: ExpiredKeyAnswer, now_unix: u64) -> Result<(), CosError> {
    match (key, answer) {
        (KnownKey::Permanent(_), _) => Ok(()),
        (KnownKey::Temporary(key), _) if now_unix < key.expires_at => Ok(()),
        (KnownKey::Temporary(_), ExpiredKeyAnswer::ExpiredToken) => {
            Err(CosError::new(400, "ExpiredToken", "The provided token has expired."))
        }
        (KnownKey::Temporary(_), ExpiredKeyAnswer::InvalidAccessKeyId) => Err(unknown_key()),
        (KnownKey::Temporary(_), ExpiredKeyAnswer::RequestHasExpired) => {
            Err(CosError::access_denied("Request has expired"))
        }
    }
}

fn check_window(claim: &Claim, now_unix: u64) -> Result<(), CosError> {
    for window in [claim.sign_window, claim.key_window] {
        if window.starts_at > now_unix.saturating_add(SKEW) {
            let message = "The difference between the request time and the current time is too \
                           large.";
            let skewed = CosError::new(403, "RequestTimeTooSkewed", message);
            return Err(CosError { server_time: true, ..skewed });
        }
        if now_unix < window.starts_at || now_unix > window.ends_at {
            return Err(CosError::access_denied("Request has expired"));
        }
    }
    Ok(())
}

/// Computes the signature as the documentation says and compares.
fn check_signature(claim: &Claim, key: &KnownKey, request: &Seen<'_>) -> Result<(), CosError> {
    let format_string = format_string(claim, request)?;
    let string_to_sign =
        format!("sha1\n{}\n{}\n", claim.sign_time, hex(&Sha1::digest(&format_string)));
    let sign_key = hex(&hmac_sha1(key.secret_key().as_bytes(), claim.key_time.as_bytes()));
    let signature = hex(&hmac_sha1(sign_key.as_bytes(), string_to_sign.as_bytes()));
    if signature == claim.signature {
        return Ok(());
    }
    Err(CosError {
        string_to_sign: Some(string_to_sign),
        format_string: Some(String::from_utf8_lossy(&format_string).into_owned()),
        ..mismatch("The Signature you specified is invalid.".to_owned())
    })
}

fn mismatch(message: String) -> CosError {
    CosError::new(403, "SignatureDoesNotMatch", message)
}

/// `HttpString`: method, decoded path, listed parameters, listed headers.
fn format_string(claim: &Claim, request: &Seen<'_>) -> Result<Vec<u8>, CosError> {
    let sent: Vec<(String, String)> = signable_parameters(claim, request)
        .map(|(name, value)| (encode(&name).to_lowercase(), encode(&value)))
        .collect();
    let parameters = listed("q-url-param-list", &claim.parameters, &sent)?;
    let headers = listed("q-header-list", &claim.headers, &signable_headers(request))?;

    let mut canonical = request.method.to_lowercase().into_bytes();
    canonical.push(b'\n');
    canonical.extend(percent_decode(request.path.as_bytes()));
    canonical.extend(format!("\n{parameters}\n{headers}\n").bytes());
    Ok(canonical)
}

/// The pairs whose names are listed, sorted by name, as `name=value&…`. Every listed name must have
/// been sent, and as often as it is listed.
fn listed(list_name: &str, list: &[String], sent: &[(String, String)]) -> Result<String, CosError> {
    let mut pairs: Vec<&(String, String)> = Vec::new();
    for name in list.iter().collect::<std::collections::BTreeSet<_>>() {
        let of_name: Vec<_> = sent.iter().filter(|(known, _)| known == name).collect();
        if of_name.len() != list.iter().filter(|known| *known == name).count() {
            let message = format!(
                "{list_name} and the request differ: {name} was sent {} times.",
                of_name.len()
            );
            return Err(mismatch(message));
        }
        pairs.extend(of_name);
    }
    let joined: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(joined.join("&"))
}

/// The decoded parameters of a request without those that carry its signature.
fn signable_parameters<'a>(
    claim: &Claim,
    request: &Seen<'a>,
) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<'a> {
    let form = claim.form;
    parameters(request.query).into_iter().filter(move |(name, _)| match form {
        Form::Header => true,
        Form::Query => !SIGNATURE_FIELDS.iter().any(|field| field.as_bytes() == name),
        Form::SignParameter => name != b"sign",
    })
}

const SIGNATURE_FIELDS: [&str; 7] = [
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
];

/// All headers as encoded pairs, values trimmed; the host is the one the request was sent to.
fn signable_headers(request: &Seen<'_>) -> Vec<(String, String)> {
    let others = request.headers.iter().filter(|(name, _)| *name != http::header::HOST);
    let others = others.map(|(name, value)| {
        let name = encode(name.as_str().as_bytes()).to_lowercase();
        (name, encode(value.as_bytes().trim_ascii()))
    });
    others.chain([("host".to_owned(), encode(request.host.as_bytes()))]).collect()
}

/// Splits and form-decodes a query. A parameter without `=` has an empty value.
fn parameters(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    raw_parameters(query).map(|(name, value)| (form_decode(name), form_decode(value))).collect()
}

fn raw_parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Headers that the strict form signs whenever they are sent, besides the two prefixes: the list
/// that the official Python, Java and C++ SDKs share.
const STRICT_HEADERS: [&str; 17] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-type",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "origin",
    "pic-operations",
    "range",
    "transfer-encoding",
];

/// Everything that can be signed is signed, lists are sorted, and the window ends with the key.
fn check_completeness(claim: &Claim, key: &KnownKey, request: &Seen<'_>) -> Result<(), CosError> {
    let refuse = |what: String| Err(CosError::access_denied(format!("Strict signature: {what}.")));
    let signed = |name: &str| claim.headers.iter().any(|listed| listed == name);
    if !signed("host") {
        return refuse("host is not in q-header-list".to_owned());
    }
    if let Some(name) =
        request.headers.keys().find(|name| is_strict(name) && !signed(&listed_as(name)))
    {
        return refuse(format!("{name} is not in q-header-list"));
    }
    for (name, _) in signable_parameters(claim, request) {
        let name = encode(&name).to_lowercase();
        if !claim.parameters.contains(&name) {
            return refuse(format!("{name} is not in q-url-param-list"));
        }
    }
    for (list_name, list) in
        [("q-header-list", &claim.headers), ("q-url-param-list", &claim.parameters)]
    {
        if !list.is_sorted_by(|a, b| a < b) {
            return refuse(format!("{list_name} is not sorted or names something twice"));
        }
    }
    match key {
        KnownKey::Temporary(key) if claim.sign_window.ends_at > key.expires_at => {
            refuse("q-sign-time ends after the temporary key".to_owned())
        }
        KnownKey::Temporary(_) | KnownKey::Permanent(_) => Ok(()),
    }
}

fn is_strict(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-cos-") || name.starts_with("x-ci-") || STRICT_HEADERS.contains(&name)
}

fn listed_as(name: &HeaderName) -> String {
    encode(name.as_str().as_bytes()).to_lowercase()
}

/// Percent-encodes everything but `A-Z a-z 0-9 - _ . ~`, with upper-case hex.
fn encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
