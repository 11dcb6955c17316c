//! Requests that official SDKs signed, damage done to them on their way, and what COS answers.

use cos_auth_proxy::{
    emulator::{
        CosError,
        accounts::{Account, Accounts, Subject, TemporaryKey},
        errors::ErrorPlace,
        verify::{Seen, verify},
    },
    explain::{self, Evidence, Explanation, Input},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A request as it is on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        &mut found.unwrap().1
    }

    pub(crate) fn without(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn target(&self) -> String {
        let question = if self.query.is_empty() { "" } else { "?" };
        format!("{}{question}{}", self.path, self.query)
    }

    /// Request line and headers with this mark before each line.
    pub(crate) fn text(&self, mark: &str) -> String {
        let mut text = format!("{mark}{} {} HTTP/1.1\r\n", self.method, self.target());
        for (name, value) in &self.headers {
            text.push_str(&format!("{mark}{name}: {value}\r\n"));
        }
        text + mark.trim_end() + "\r\n"
    }

    /// What COS answers at `now`; `None` if it takes the request.
    pub(crate) fn refused(&self, accounts: &Accounts, now: u64) -> Option<CosError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let host = headers.get("host").map_or("", |host| host.to_str().unwrap());
        let seen = Seen {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            host,
        };
        verify(accounts, &seen, now).err()
    }
}

/// A request that was signed, who may sign it, and when it is good.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) request: Request,
    pub(crate) accounts: Accounts,
    pub(crate) secret_id: String,
    pub(crate) starts_at: u64,
    pub(crate) ends_at: u64,
    pub(crate) string_to_sign: String,
    /// As recorded: with the token in it.
    pub(crate) http_string: String,
}

pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/cos.json")).unwrap()
}

pub(crate) fn known() -> Vec<Known> {
    vectors()["vectors"].as_array().unwrap().iter().map(of_vector).collect()
}

pub(crate) fn named(id: &str) -> Known {
    let vectors = vectors();
    let found = vectors["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id);
    of_vector(found.unwrap_or_else(|| panic!("no vector {id}")))
}

fn of_vector(vector: &Value) -> Known {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let target = text(&vector["wire_target"]);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers: Vec<_> = vector["headers_to_sign"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .collect();
    let token = vector["security_token"].as_str();
    if let Some(token) = token
        && !headers.iter().any(|(name, _)| name == "x-cos-security-token")
    {
        headers.push(("x-cos-security-token".to_owned(), token.to_owned()));
    }
    headers.push(("Authorization".to_owned(), text(&vector["expected"]["authorization"])));
    let window = text(&vector["key_time"]);
    let (start, end) = window.split_once(';').unwrap();
    let (secret_id, secret_key) = (text(&vector["secret_id"]), text(&vector["secret_key"]));
    Known {
        request: Request {
            method: text(&vector["method"]),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
        },
        accounts: accounts(&secret_id, &secret_key, token),
        secret_id,
        starts_at: start.parse().unwrap(),
        ends_at: end.parse().unwrap(),
        string_to_sign: text(&vector["expected"]["string_to_sign"]),
        http_string: text(&vector["expected"]["http_string"]),
    }
}

pub(crate) fn accounts(secret_id: &str, secret_key: &str, token: Option<&str>) -> Accounts {
    let accounts = Accounts::new();
    accounts.set_strict(false);
    match token {
        None => accounts.add_account(Account::example(secret_id, secret_key)),
        Some(token) => accounts.add_temporary(TemporaryKey {
            secret_id: secret_id.to_owned(),
            secret_key: secret_key.to_owned(),
            token: token.to_owned(),
            issued_at: 0,
            expires_at: u64::MAX,
            policy: None,
            uin: "100000000001".to_owned(),
            appid: "1250000000".to_owned(),
            subject: Subject::Federated("vectors".to_owned()),
        }),
    }
    accounts
}

pub(crate) fn xml(error: &CosError, now: u64) -> String {
    error.to_xml(ErrorPlace {
        resource: "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/k",
        request_id: "NjVhMDFfMQ==",
        trace_id: "",
        now_unix: now,
    })
}

/// The explanation of `sent` having been refused with `error`.
pub(crate) fn explained(sent: &Request, error: &CosError, now: u64) -> Explanation {
    explain::explain(evidence(sent, &xml(error, now)))
}

pub(crate) fn evidence(sent: &Request, xml: &str) -> Evidence {
    Input::of_parts(sent.text("").as_bytes(), xml.as_bytes()).unwrap().evidence(None)
}

/// COS's answer with the strings that the documentation tells, written by the test.
pub(crate) fn mismatch(format_string: &str, string_to_sign: &str) -> CosError {
    CosError {
        format_string: Some(format_string.to_owned()),
        string_to_sign: Some(string_to_sign.to_owned()),
        ..CosError::new(403, "SignatureDoesNotMatch", "The Signature you specified is invalid.")
    }
}
