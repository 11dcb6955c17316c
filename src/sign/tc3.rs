//! TC3-HMAC-SHA256, the signature of the STS API.
//!
//! As in "Signature v3" of the Tencent Cloud API documentation and the official SDKs: content type and
//! host are signed, the values byte for byte as sent. Action, version, region and token are not
//! covered by the signature.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::hex;
use crate::{
    clock::Timestamp,
    secret::{SecretId, SecretKey},
};

/// The `Authorization` of calls that carry a proof of their own (`AssumeRoleWithWebIdentity`,
/// `AssumeRoleWithSAML`) and so are not signed. `X-TC-Token` must not be sent with it.
pub const SKIP: &str = "SKIP";

/// The value of `X-TC-Content-SHA256` that goes with [`Payload::Unsigned`].
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// One call of the API, as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `POST` or `GET`, in upper case.
    pub method: &'a str,
    /// The query as sent, without `?`; empty for `POST`.
    pub query: &'a str,
    /// The `Host` header as sent, with its port if one is sent.
    pub host: &'a str,
    /// The `Content-Type` header as sent.
    pub content_type: &'a str,
    /// The body.
    pub payload: Payload<'a>,
    /// When: the whole seconds are what `X-TC-Timestamp` must say. The server allows 5 minutes.
    pub at: Timestamp,
    /// The service in the scope: `sts`.
    pub service: &'a str,
}

/// What is said about the body.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// These bytes are sent, and their hash is signed.
    Signed(&'a [u8]),
    /// The body is not covered; `X-TC-Content-SHA256` must say [`UNSIGNED_PAYLOAD`].
    Unsigned,
}

/// Without the bytes: a body may hold a token.
impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signed(body) => write!(f, "Signed({} bytes)", body.len()),
            Self::Unsigned => f.write_str("Unsigned"),
        }
    }
}

/// The value of the `Authorization` header of `call`.
#[must_use]
pub fn authorize(id: &SecretId, secret: &SecretKey, call: &Call<'_>) -> String {
    let explanation = explain(secret, call);
    format!(
        "TC3-HMAC-SHA256 Credential={}/{}, SignedHeaders={SIGNED_HEADERS}, Signature={}",
        id.as_str(),
        explanation.credential_scope,
        explanation.signature,
    )
}

/// Every intermediate value of one signature, under its name in the documentation. Holds no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Lower-case hex SHA-256 of the body, or of the words `UNSIGNED-PAYLOAD`.
    pub hashed_payload: String,
    /// `CanonicalRequest`.
    pub canonical_request: String,
    /// Lower-case hex SHA-256 of `canonical_request`.
    pub hashed_canonical_request: String,
    /// `CredentialScope`: UTC date, service, `tc3_request`.
    pub credential_scope: String,
    /// `StringToSign`.
    pub string_to_sign: String,
    /// `Signature`: 64 lower-case hex digits.
    pub signature: String,
}

/// Signs `call` and shows every intermediate value.
#[must_use]
pub fn explain(secret: &SecretKey, call: &Call<'_>) -> Explanation {
    let Call { method, query, host, content_type, service, .. } = *call;
    let hashed_payload = match call.payload {
        Payload::Signed(body) => sha256(body),
        Payload::Unsigned => sha256(UNSIGNED_PAYLOAD.as_bytes()),
    };
    let canonical_request = format!(
        "{method}\n/\n{query}\ncontent-type:{content_type}\nhost:{host}\n\n{SIGNED_HEADERS}\n{hashed_payload}"
    );
    let hashed_canonical_request = sha256(canonical_request.as_bytes());
    let seconds = call.at.unix_seconds();
    let date = utc_date(seconds);
    let credential_scope = format!("{date}/{service}/{TERMINATOR}");
    let string_to_sign =
        format!("TC3-HMAC-SHA256\n{seconds}\n{credential_scope}\n{hashed_canonical_request}");
    let keys = Keys::derive(secret, &date, service);
    let signature = hex::text(&*hmac(&*keys.signing, string_to_sign.as_bytes()));
    Explanation {
        hashed_payload,
        canonical_request,
        hashed_canonical_request,
        credential_scope,
        string_to_sign,
        signature,
    }
}

/// The headers that every official SDK signs: the least the server accepts.
const SIGNED_HEADERS: &str = "content-type;host";
const TERMINATOR: &str = "tc3_request";

/// The chain of keys of one secret, day and service, each the raw bytes of an HMAC.
struct Keys {
    #[cfg(test)]
    date: Zeroizing<[u8; 32]>,
    #[cfg(test)]
    service: Zeroizing<[u8; 32]>,
    signing: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn derive(secret: &SecretKey, date: &str, service: &str) -> Self {
        let first = Zeroizing::new(["TC3", secret.expose()].concat());
        let date = hmac(first.as_bytes(), date.as_bytes());
        let service = hmac(&*date, service.as_bytes());
        let signing = hmac(&*service, TERMINATOR.as_bytes());
        Self {
            #[cfg(test)]
            date,
            #[cfg(test)]
            service,
            signing,
        }
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    let mut raw = mac.finalize().into_bytes();
    let mut kept = Zeroizing::new([0; 32]);
    kept.copy_from_slice(raw.as_slice());
    raw.as_mut_slice().zeroize();
    kept
}

fn sha256(bytes: &[u8]) -> String {
    hex::text(Sha256::digest(bytes).as_slice())
}

/// The UTC day of a Unix time, `YYYY-MM-DD`.
///
/// Howard Hinnant's `civil_from_days`: years are counted from 1 March, so that the leap day is the
/// last of its year, in eras of 400 years, which all have 146,097 days.
fn utc_date(unix_seconds: u64) -> String {
    let days = unix_seconds / 86_400 + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn derived_keys_equal_those_of_all_recorded_vectors() {
        let file = include_str!("../../tests/vectors/tc3.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let vectors = file["tc3"].as_array().unwrap();
        assert_eq!(vectors.len(), 8);
        for vector in vectors {
            let input = &vector["input"];
            let secret = SecretKey::new(input["secret_key"].as_str().unwrap()).unwrap();
            let date = utc_date(input["timestamp"].as_u64().unwrap());
            let keys = Keys::derive(&secret, &date, input["service"].as_str().unwrap());
            assert_eq!(hex::text(&*keys.date), vector["secret_date_hex"]);
            assert_eq!(hex::text(&*keys.service), vector["secret_service_hex"]);
            assert_eq!(hex::text(&*keys.signing), vector["secret_signing_hex"]);
        }
    }

    #[test]
    fn debug_of_a_call_does_not_show_its_body() {
        let payload = Payload::Signed(b"{\"WebIdentityToken\":\"secret\"}");
        assert_eq!(format!("{payload:?} {:?}", Payload::Unsigned), "Signed(29 bytes) Unsigned");
    }

    #[test]
    fn dates_around_leap_days_and_ends_of_centuries() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_251_199, "2024-02-29"),
            (1_709_251_200, "2024-03-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(utc_date(seconds), date);
        }
    }

    proptest! {
        #[test]
        fn dates_equal_those_of_humantime(seconds in 0..253_402_300_800_u64) {
            let instant = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            let text = humantime::format_rfc3339_seconds(instant).to_string();
            let date = utc_date(seconds);
            prop_assert_eq!(Some(date.as_str()), text.get(..10));
        }
    }
}
