//! Is this API request signed as Tencent Cloud's API 3.0 wants it? TC3-HMAC-SHA256, checked from
//! its documentation.
//!
//! Source: Tencent Cloud docs 1278/46710 (signature v3) and 1150/49458 (error codes).

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::accounts::{Accounts, KnownKey};
use crate::clock::Timestamp;

/// How far a request's clock may be off, in seconds.
const TOLERANCE: u64 = 300;

/// An error of the API: a code and a message, sent with HTTP 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// `AuthFailure.SignatureFailure` and the like.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl ApiError {
    /// An error of this code.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// An API request as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct ApiRequest<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The query of the target as on the wire, without `?`.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

impl ApiRequest<'_> {
    /// The value of a header sent once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        std::str::from_utf8(value.as_bytes()).ok().map(str::trim)
    }
}

/// Who signed an API request.
#[derive(Clone, Debug)]
pub struct ApiCaller {
    /// The key's id.
    pub secret_id: String,
    /// The key itself.
    pub key: KnownKey,
}

/// Checks the signature, the clock, the key and its token of a request to `service` (`sts`) at
/// `now_unix`, whole seconds since the epoch on the emulator's clock.
///
/// # Errors
/// The documented `AuthFailure.*` code.
pub fn check(
    accounts: &Accounts,
    request: &ApiRequest<'_>,
    service: &str,
    now_unix: u64,
) -> Result<ApiCaller, ApiError> {
    let timestamp = timestamp(request)?;
    let claim = Claim::of(request, service)?;
    let Some(key) = accounts.find(&claim.secret_id) else {
        let message = "The SecretId is not found, please ensure that your SecretId is correct.";
        return Err(ApiError::new("AuthFailure.SecretIdNotFound", message));
    };
    if now_unix.abs_diff(timestamp) > TOLERANCE {
        let message = format!(
            "The provided credentials could not be validated because of exceeding request \
             timestamp limit. Please check your system time ({timestamp}, here it is {now_unix})."
        );
        return Err(ApiError::new("AuthFailure.SignatureExpire", message));
    }
    check_signature(&claim, &key, request, timestamp, service)?;
    check_token(&key, request.header("x-tc-token"), now_unix)?;
    Ok(ApiCaller { secret_id: claim.secret_id, key })
}

fn timestamp(request: &ApiRequest<'_>) -> Result<u64, ApiError> {
    let digits = request.header("x-tc-timestamp").filter(|text| !text.starts_with('+'));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| {
        ApiError::new("MissingParameter", "X-TC-Timestamp is missing or not a number of seconds.")
    })
}

/// What `Authorization` says.
struct Claim {
    secret_id: String,
    date: String,
    signed_headers: String,
    signature: String,
}

impl Claim {
    fn of(request: &ApiRequest<'_>, service: &str) -> Result<Self, ApiError> {
        let refuse = |what: &str| {
            let message = format!("The Authorization header is not right: {what}.");
            ApiError::new("AuthFailure.InvalidAuthorization", message)
        };
        let text = request
            .header("authorization")
            .ok_or_else(|| refuse("it is missing, repeated or not text"))?;
        let fields = text
            .strip_prefix("TC3-HMAC-SHA256 ")
            .ok_or_else(|| refuse("it must start with TC3-HMAC-SHA256"))?;
        let [credential, signed_headers, signature] =
            <[&str; 3]>::try_from(fields.split(',').map(str::trim).collect::<Vec<_>>())
                .map_err(|_fields| refuse("it must have three fields"))?;
        let credential = credential.strip_prefix("Credential=").map(|text| text.split('/'));
        let scope = <[&str; 4]>::try_from(credential.into_iter().flatten().collect::<Vec<_>>());
        let Ok([secret_id, date, of_service, "tc3_request"]) = scope else {
            return Err(refuse("Credential must be id/date/service/tc3_request"));
        };
        if of_service != service {
            return Err(refuse("Credential names another service"));
        }
        let signed_headers = signed_headers
            .strip_prefix("SignedHeaders=")
            .ok_or_else(|| refuse("SignedHeaders is missing"))?;
        let names: Vec<&str> = signed_headers.split(';').collect();
        if !names.contains(&"content-type") || !names.contains(&"host") {
            return Err(refuse("SignedHeaders must hold content-type and host"));
        }
        if !names.is_sorted_by(|a, b| a < b) || signed_headers != signed_headers.to_lowercase() {
            return Err(refuse("SignedHeaders must be lower-case and sorted"));
        }
        let signature =
            signature.strip_prefix("Signature=").ok_or_else(|| refuse("Signature is missing"))?;
        Ok(Self {
            secret_id: secret_id.to_owned(),
            date: date.to_owned(),
            signed_headers: signed_headers.to_owned(),
            signature: signature.to_owned(),
        })
    }
}

fn check_signature(
    claim: &Claim,
    key: &KnownKey,
    request: &ApiRequest<'_>,
    timestamp: u64,
    service: &str,
) -> Result<(), ApiError> {
    let failure = || {
        let message = "The provided credentials could not be validated. Please check your \
                       signature is correct.";
        ApiError::new("AuthFailure.SignatureFailure", message)
    };
    if claim.date != utc_date(timestamp) {
        return Err(failure());
    }
    let canonical = canonical_request(claim, request).ok_or_else(failure)?;
    let string_to_sign = format!(
        "TC3-HMAC-SHA256\n{timestamp}\n{}/{service}/tc3_request\n{}",
        claim.date,
        hex(&Sha256::digest(canonical))
    );
    let secret = format!("TC3{}", key.secret_key());
    let date_key = hmac_sha256(secret.as_bytes(), claim.date.as_bytes());
    let service_key = hmac_sha256(&date_key, service.as_bytes());
    let signing_key = hmac_sha256(&service_key, b"tc3_request");
    let signature = hex(&hmac_sha256(&signing_key, string_to_sign.as_bytes()));
    if signature == claim.signature { Ok(()) } else { Err(failure()) }
}

/// `None` if a signed header was not sent exactly once.
fn canonical_request(claim: &Claim, request: &ApiRequest<'_>) -> Option<String> {
    let mut headers = String::new();
    for name in claim.signed_headers.split(';') {
        let value = request.header(name)?;
        // The SDKs sign these two as they are sent; the page asks for lower case in the others.
        let value = match name {
            "content-type" | "host" => value.to_owned(),
            _ => value.to_lowercase(),
        };
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let unsigned = request.header("x-tc-content-sha256") == Some("UNSIGNED-PAYLOAD");
    let payload = match request.method {
        _ if unsigned => b"UNSIGNED-PAYLOAD",
        "GET" => b"".as_slice(),
        _ => request.body,
    };
    Some(format!(
        "{}\n/\n{}\n{headers}\n{}\n{}",
        request.method,
        request.query,
        claim.signed_headers,
        hex(&Sha256::digest(payload))
    ))
}

/// A temporary key must show its own token and be alive; a permanent key has none to show.
fn check_token(key: &KnownKey, sent: Option<&str>, now_unix: u64) -> Result<(), ApiError> {
    let fits = match key {
        KnownKey::Permanent(_) => sent.is_none(),
        KnownKey::Temporary(key) => sent == Some(key.token.as_str()) && now_unix < key.expires_at,
    };
    if fits {
        return Ok(());
    }
    Err(ApiError::new("AuthFailure.TokenFailure", "The token is not right or has expired."))
}

/// `2023-11-14`, the UTC day of an instant.
fn utc_date(unix_seconds: u64) -> String {
    Timestamp::from_unix_seconds(unix_seconds).to_string().chars().take(10).collect()
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
