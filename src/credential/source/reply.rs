//! Reads a key out of every shape of answer that key servers give.
//!
//! Shapes: the STS API (`Response.Credentials`), the COS STS SDKs (`credentials.tmpSecretId`), flat
//! ones (instance metadata, JavaScript SDK callbacks, `tccli`), HashiCorp Vault (`data`), and AWS
//! credential processes. Field names are compared without case, `_` and `-`.

use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::{
    clock::Timestamp,
    credential::{Credential, endpoint::Endpoint, error::SourceError},
    secret::{BadSecret, SecretId, SecretKey, SessionToken},
};

use super::Fetched;

/// Why an answer gives no key. Holds no value of the answer but a checked error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReplyError {
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("it is not a JSON object")]
    NotObject,
    #[error("it has no {what}")]
    Missing { what: &'static str },
    #[error("its {what} {fault}")]
    Bad { what: &'static str, fault: BadSecret },
    #[error("it is error {code}")]
    Failed { code: String, request_id: Option<String>, names_region: bool },
}

impl ReplyError {
    pub(super) fn from(self, endpoint: &Endpoint) -> SourceError {
        self.of(endpoint.to_string())
    }

    /// The answer came from `endpoint`, or from a program.
    pub(super) fn of(self, endpoint: String) -> SourceError {
        match self {
            Self::Failed { code, request_id, names_region: _ } => SourceError::Refused {
                endpoint,
                code,
                request_id: request_id.unwrap_or_else(|| "-".to_owned()),
            },
            fault @ (Self::NotJson { .. }
            | Self::NotObject
            | Self::Missing { .. }
            | Self::Bad { .. }) => SourceError::Unreadable { endpoint, fault: fault.to_string() },
        }
    }
}

/// Reads `body`, which came at `now`. Id, secret and token come from one object, so that a key is
/// never put together from two; a key without a token or an expiry is refused.
pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Fetched, ReplyError> {
    read(body, now, None)
}

/// The same for a file or a command of this machine, written at `written_at`: there a key may be
/// permanent, or its end unknown. An end that is there must be readable all the same.
pub(super) fn parse_local(
    body: &[u8],
    now: Timestamp,
    written_at: Timestamp,
) -> Result<Fetched, ReplyError> {
    read(body, now, Some(written_at))
}

fn read(body: &[u8], now: Timestamp, written_at: Option<Timestamp>) -> Result<Fetched, ReplyError> {
    let json = serde_json::from_slice::<Value>(body)
        .map(Wiped)
        .map_err(|fault| ReplyError::NotJson { line: fault.line(), column: fault.column() })?;
    let root = json.0.as_object().ok_or(ReplyError::NotObject)?;
    let paths = paths(root);
    let request_id =
        paths.iter().flat_map(|path| path.last()).find_map(|object| short(object, &["requestid"]));
    if let Some(failure) = failure(&paths, request_id.as_ref()) {
        return Err(failure);
    }
    let path = paths
        .iter()
        .rev()
        .max_by_key(|path| parts(path))
        .filter(|path| parts(path) > 0)
        .ok_or(ReplyError::Missing { what: "secret id" })?;
    let object = path.last().copied().ok_or(ReplyError::NotObject)?;
    let id = part(object, &ID, "secret id")?;
    let secret = part(object, &SECRET, "secret key")?;
    let is_local = written_at.is_some();
    let token = match text(object, &TOKEN) {
        None if is_local && !says(&[object], &TOKEN) => None,
        None => return Err(ReplyError::Missing { what: "session token" }),
        token => token,
    };
    // The lease of a permanent key is renewed, not ended.
    let leased_at = token.map(|_temporary| written_at.unwrap_or(now));
    let expires_at = expiry(path, leased_at)
        .filter(|at| at.unix_seconds() <= LAST_SECOND)
        .filter(|at| !is_local || at.unix_seconds() > 0);
    if expires_at.is_none() && (!is_local || says(path, &EXPIRY)) {
        return Err(ReplyError::Missing { what: "expiry that can be read" });
    }
    let credential = checked(id, secret, token, expires_at, now)?;
    Ok(Fetched { credential, request_id })
}

/// A key from its texts. A temporary key without its token is refused.
pub(super) fn checked(
    id: &str,
    secret: &str,
    token: Option<&str>,
    expires_at: Option<Timestamp>,
    received_at: Timestamp,
) -> Result<Credential, ReplyError> {
    let bad = |what| move |fault| ReplyError::Bad { what, fault };
    let id = SecretId::new(id).map_err(bad("secret id"))?;
    let secret = SecretKey::new(secret).map_err(bad("secret key"))?;
    let token = token.map(SessionToken::new).transpose().map_err(bad("session token"))?;
    if token.is_none() && id.looks_temporary() {
        return Err(ReplyError::Missing {
            what: "session token, and its secret id is that of a temporary key",
        });
    }
    Ok(Credential { id, secret, token, expires_at, received_at })
}

/// Whether any of these fields stands there with something in it.
fn says(path: &[&Object], names: &[&str]) -> bool {
    path.iter().flat_map(|object| values(object, names)).any(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Number(number) => number.as_u64() != Some(0),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
    })
}

/// The last second of the year 9999: nothing later can be written as a date.
const LAST_SECOND: u64 = 253_402_300_799;
pub(super) const ID: [&str; 3] = ["tmpsecretid", "secretid", "accesskeyid"];
pub(super) const SECRET: [&str; 3] = ["tmpsecretkey", "secretkey", "secretaccesskey"];
pub(super) const TOKEN: [&str; 4] = ["sessiontoken", "token", "securitytoken", "xcossecuritytoken"];
pub(super) const EXPIRY: [&str; 5] =
    ["expiredtime", "expiretime", "expiresat", "expiration", "expiry"];
const WRAPPERS: [&str; 4] = ["response", "data", "result", "credentials"];

type Object = Map<String, Value>;

/// The objects that may hold a key, each with those around it: the root, and two levels down.
fn paths(root: &Object) -> Vec<Vec<&Object>> {
    let mut paths = vec![vec![root]];
    let mut begin = 0;
    for _ in 0..2 {
        let end = paths.len();
        for index in begin..end {
            let Some(path) = paths.get(index).cloned() else { continue };
            let Some(object) = path.last().copied() else { continue };
            for (name, value) in object {
                if let Some(inner) = value.as_object()
                    && WRAPPERS.contains(&plain(name).as_str())
                {
                    let mut longer = path.clone();
                    longer.push(inner);
                    paths.push(longer);
                }
            }
        }
        begin = end;
    }
    paths
}

/// How many of id, secret and token the innermost object has.
fn parts(path: &[&Object]) -> usize {
    let Some(object) = path.last() else { return 0 };
    [&ID[..], &SECRET, &TOKEN].iter().filter(|names| text(object, names).is_some()).count()
}

fn part<'a>(object: &'a Object, names: &[&str], what: &'static str) -> Result<&'a str, ReplyError> {
    text(object, names).ok_or(ReplyError::Missing { what })
}

fn text<'a>(object: &'a Object, names: &[&str]) -> Option<&'a str> {
    values(object, names).find_map(|value| value.as_str().filter(|text| !text.trim().is_empty()))
}

/// The values under `names`, in the order of the names.
fn values<'a>(object: &'a Object, names: &[&str]) -> impl Iterator<Item = &'a Value> {
    names.iter().flat_map(|name| {
        object.iter().filter(move |(key, _)| plain(key) == *name).map(|(_, value)| value)
    })
}

pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// The end of the key: whole seconds, milliseconds, RFC 3339, a lease; the nearest object first.
fn expiry(path: &[&Object], leased_at: Option<Timestamp>) -> Option<Timestamp> {
    let found = path.iter().rev().find_map(|object| {
        let instants = || values(object, &EXPIRY);
        instants()
            .find_map(number)
            .map(instant_of_number)
            .or_else(|| instants().find_map(|value| value.as_str().and_then(instant_of_text)))
    });
    found.or_else(|| {
        path.iter().rev().find_map(|object| {
            let lease = values(object, &["leaseduration"]).find_map(number).filter(|l| *l > 0)?;
            Some(leased_at? + Duration::from_secs(lease))
        })
    })
}

fn number(value: &Value) -> Option<u64> {
    match value {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be a whole number that f64 holds exactly"
        )]
        Value::Number(number) => number.as_u64().or_else(|| {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n))?;
            Some(whole as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn instant_of_number(number: u64) -> Timestamp {
    if number > 100_000_000_000 {
        Timestamp::from_unix_millis(number)
    } else {
        Timestamp::from_unix_seconds(number)
    }
}

/// The end of a key as text: whole seconds, milliseconds, RFC 3339.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let number = text.trim().parse().ok().map(instant_of_number);
    number.or_else(|| instant_of_text(text)).filter(|at| at.unix_seconds() <= LAST_SECOND)
}

/// RFC 3339 with `Z`, an offset, or nothing (read as UTC).
fn instant_of_text(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (local, ahead_minutes) = match text.get(text.len().checked_sub(6)?..) {
        Some(tail) if tail.starts_with(['+', '-']) && tail.as_bytes().get(3) == Some(&b':') => {
            let hours: i64 = tail.get(1..3)?.parse().ok()?;
            let minutes: i64 = tail.get(4..6)?.parse().ok()?;
            let sign = if tail.starts_with('-') { -1 } else { 1 };
            (text.get(..text.len() - 6)?, sign * (hours * 60 + minutes))
        }
        _ => (text.trim_end_matches(['Z', 'z']), 0),
    };
    let local = local.replace('t', "T");
    let at = humantime::parse_rfc3339_weak(&format!("{local}Z")).ok()?;
    let seconds = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp::from_unix_seconds(seconds.saturating_add_signed(-ahead_minutes * 60)))
}

/// The error in an answer, which often comes with status 200.
fn failure(paths: &[Vec<&Object>], request_id: Option<&String>) -> Option<ReplyError> {
    let objects = || paths.iter().filter_map(|path| path.last().copied());
    let failed = |code: String, detail: Option<&Object>| {
        let message = detail.and_then(|object| text(object, &["message"])).unwrap_or_default();
        let names_region = message.to_ascii_lowercase().contains("region");
        ReplyError::Failed { code, request_id: request_id.cloned(), names_region }
    };
    let error = objects().find_map(|object| values(object, &["error"]).find_map(Value::as_object));
    if let Some(error) = error {
        let code = short(error, &["code"]).unwrap_or_else(|| "unknown".to_owned());
        return Some(failed(code, Some(error)));
    }
    let has_key = paths.iter().any(|path| parts(path) == 3);
    objects().find_map(|object| {
        let code = values(object, &["code"]).next()?;
        let failing = match code {
            Value::Number(code) => {
                let code = code.as_i64().unwrap_or(1);
                code != 0 && !(has_key && code == 200)
            }
            Value::String(code) => {
                !["", "0", "200", "ok", "success"].contains(&code.to_ascii_lowercase().as_str())
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        };
        failing.then(|| {
            let named = short(object, &["codedesc"]).or_else(|| short(object, &["code"]));
            failed(named.unwrap_or_else(|| "unknown".to_owned()), Some(object))
        })
    })
}

/// A code or id of the server, if it looks like one: what it says goes to logs.
fn short(object: &Object, names: &[&str]) -> Option<String> {
    values(object, names).find_map(|value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        (!text.is_empty() && text.len() <= 96 && text.bytes().all(harmless)).then_some(text)
    })
}

/// JSON whose texts are wiped when dropped.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(values) => values.iter_mut().for_each(wipe),
                Value::Object(fields) => fields.values_mut().for_each(wipe),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        wipe(&mut self.0);
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
