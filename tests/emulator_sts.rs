//! The emulator's STS and key server over real sockets, and the TC3 check against known answers.
#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "helpers of tests may panic")]

use std::{io, net::SocketAddr, time::Duration};

use cos_auth_proxy::{
    clock::{Clock, Timestamp},
    emulator::{
        accounts::{Account, Accounts, KeyServerRules, Role, Subject, TemporaryKey, WebIdentity},
        faults::{Fault, Faults, Service},
        key_server::start_key_server,
        policy::Policy,
        seen::SeenLog,
        sts::start_sts,
        tc3_check::{ApiRequest, check},
    },
    shutdown::Shutdown,
};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
const KEY: &str = "ExampleSecretKeyExampleSecretKey01";
const ROLE: &str = "qcs::cam::uin/100000000001:roleName/cos-sidecar";
const OBJECT: &str = "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/a.txt";
/// `allow cos:GetObject on *`, percent-encoded as the API wants it.
const READ_ONLY: &str = "%7B%22version%22%3A%222.0%22%2C%22statement%22%3A%7B%22effect%22%3A%22allow%22%2C\
    %22action%22%3A%22name%2Fcos%3AGetObject%22%2C%22resource%22%3A%22%2A%22%7D%7D";
const NOW: u64 = 1_700_000_000;

// ---- the check, against known answers ----

fn known_answers() -> Value {
    serde_json::from_str(include_str!("vectors/tc3.json")).unwrap()
}

fn headers_of(vector: &Value) -> HeaderMap {
    let headers = vector["headers"].as_object().unwrap().iter();
    headers
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap();
            (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
        })
        .collect()
}

fn accounts_of(vector: &Value) -> Accounts {
    let text = |name: &str| vector["input"][name].as_str().unwrap().to_owned();
    let accounts = Accounts::new();
    match vector["input"]["token"].as_str() {
        None => accounts.add_account(Account::example(text("secret_id"), text("secret_key"))),
        Some(token) => accounts.add_temporary(TemporaryKey {
            secret_id: text("secret_id"),
            secret_key: text("secret_key"),
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

fn verdict(vector: &Value, headers: &HeaderMap, body: &str, at: u64) -> Result<(), &'static str> {
    let request = ApiRequest {
        method: vector["input"]["method"].as_str().unwrap(),
        query: vector["query_string"].as_str().unwrap_or_default(),
        headers,
        body: body.as_bytes(),
    };
    match check(&accounts_of(vector), &request, "sts", at) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.code),
    }
}

#[test]
fn every_known_tc3_answer_is_accepted_within_five_minutes_of_its_time() {
    let known = known_answers();
    let vectors = known["tc3"].as_array().unwrap();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let headers = headers_of(vector);
        let body = vector["body"].as_str().unwrap_or_default();
        let at = vector["input"]["timestamp"].as_u64().unwrap();
        let name = &vector["name"];
        for fine in [at - 300, at, at + 300] {
            assert_eq!(verdict(vector, &headers, body, fine), Ok(()), "{name}");
        }
        for off in [at - 301, at + 301] {
            let verdict = verdict(vector, &headers, body, off);
            assert_eq!(verdict, Err("AuthFailure.SignatureExpire"), "{name}");
        }
    }
}

#[test]
fn every_single_change_to_a_signed_api_request_is_refused() {
    for vector in known_answers()["tc3"].as_array().unwrap() {
        let headers = headers_of(vector);
        let body = vector["body"].as_str().unwrap_or_default();
        let at = vector["input"]["timestamp"].as_u64().unwrap();
        let name = vector["name"].as_str().unwrap();
        let with = |header: &'static str, value: &str| {
            let mut headers = headers.clone();
            headers.insert(header, HeaderValue::from_str(value).unwrap());
            verdict(vector, &headers, body, at).unwrap_err()
        };
        assert_eq!(with("host", "sts.example.com"), "AuthFailure.SignatureFailure", "{name}");
        let later = (at + 1).to_string();
        assert_eq!(with("x-tc-timestamp", &later), "AuthFailure.SignatureFailure", "{name}");
        let other = "application/json; charset=gbk";
        assert_eq!(with("content-type", other), "AuthFailure.SignatureFailure", "{name}");
        assert_eq!(with("x-tc-token", "another"), "AuthFailure.TokenFailure", "{name}");

        let authorization = headers["authorization"].to_str().unwrap();
        for place in authorization.len() - 64..authorization.len() {
            let mut changed = authorization.as_bytes().to_vec();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let code = with("authorization", std::str::from_utf8(&changed).unwrap());
            assert_eq!(code, "AuthFailure.SignatureFailure", "{name} {place}");
        }
        let stranger = authorization.replace(ID, "AKIDstranger");
        assert_eq!(with("authorization", &stranger), "AuthFailure.SecretIdNotFound", "{name}");
        for broken in [
            authorization.replace("TC3-HMAC-SHA256", "TC3"),
            authorization.replace("/sts/", "/cvm/"),
            authorization.replace("content-type;host", "host"),
            authorization.replace("content-type;host", "host;content-type"),
            "SKIP".to_owned(),
        ] {
            let code = with("authorization", &broken);
            assert_eq!(code, "AuthFailure.InvalidAuthorization", "{name} {broken}");
        }
        let signed_body = !vector["input"]["unsigned_payload"].as_bool().unwrap()
            && vector["input"]["method"] == "POST";
        if signed_body {
            let changed = verdict(vector, &headers, &format!("{body} "), at);
            assert_eq!(changed, Err("AuthFailure.SignatureFailure"), "{name}");
        }
    }
}

// ---- a house of real sockets ----

struct House {
    accounts: Accounts,
    faults: Faults,
    seen: SeenLog,
    sts: SocketAddr,
    key_server: SocketAddr,
    shutdown: Shutdown,
}

impl House {
    async fn new() -> Self {
        let (accounts, faults, seen) = (Accounts::new(), Faults::new(), SeenLog::new());
        accounts.add_account(Account::example(ID, KEY));
        accounts.add_role(Role::unlimited(ROLE));
        let clock = Clock::following_tokio(Timestamp::from_unix_seconds(NOW));
        let shutdown = Shutdown::new();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let parts = || (accounts.clone(), faults.clone(), seen.clone(), clock.clone());
        let (a, f, s, c) = parts();
        let sts = start_sts(a, f, s, c, any, &shutdown).await.unwrap();
        let (a, f, s, c) = parts();
        let key_server = start_key_server(a, f, s, c, any, &shutdown).await.unwrap();
        Self { accounts, faults, seen, sts, key_server, shutdown }
    }

    /// The life of the key issued last, in seconds, once its end was found to be the one answered.
    fn life(&self, answer: &Value) -> u64 {
        let key = self.accounts.latest().unwrap();
        assert_eq!(answer["ExpiredTime"], key.expires_at, "{answer}");
        key.expires_at - key.issued_at
    }

    async fn end(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(Duration::from_secs(10)).await, "tasks were left");
    }

    /// Calls STS with the permanent key.
    async fn call(&self, action: &str, parameters: &Value) -> Value {
        self.call_as(ID, KEY, None, action, parameters).await
    }

    async fn call_as(
        &self,
        id: &str,
        key: &str,
        token: Option<&str>,
        action: &str,
        parameters: &Value,
    ) -> Value {
        let request = signed_call(self.sts, (id, key, token), NOW, action, &parameters.to_string());
        let answer = exchange(self.sts, &request).await.unwrap();
        assert_eq!(answer.status, 200, "errors come with HTTP 200 too");
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        let response = body["Response"].take();
        assert!(response["RequestId"].as_str().is_some_and(|id| id.len() == 36), "{response}");
        response
    }

    async fn error(&self, action: &str, parameters: Value) -> String {
        let response = self.call(action, &parameters).await;
        response["Error"]["Code"].as_str().unwrap_or("no error").to_owned()
    }

    async fn get(&self, target: &str, headers: &str) -> Answer {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: k\r\nConnection: close\r\n{headers}\r\n");
        exchange(self.key_server, request.as_bytes()).await.unwrap()
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends a request on a connection of its own and reads until the end.
async fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed_call(
    to: SocketAddr,
    (id, key, token): (&str, &str, Option<&str>),
    now: u64,
    action: &str,
    body: &str,
) -> Vec<u8> {
    signed_on(Timestamp::from_unix_seconds(now), to, (id, key, token), now, action, body)
}

/// Signs with the date of another instant than the request's own.
fn signed_on(
    day: Timestamp,
    to: SocketAddr,
    (id, key, token): (&str, &str, Option<&str>),
    now: u64,
    action: &str,
    body: &str,
) -> Vec<u8> {
    let date = day.to_string()[..10].to_owned();
    let canonical = format!(
        "POST\n/\n\ncontent-type:application/json\nhost:{to}\n\ncontent-type;host\n{}",
        hex(&Sha256::digest(body))
    );
    let to_sign = format!(
        "TC3-HMAC-SHA256\n{now}\n{date}/sts/tc3_request\n{}",
        hex(&Sha256::digest(canonical))
    );
    let signing = hmac(&hmac(&hmac(format!("TC3{key}").as_bytes(), &date), "sts"), "tc3_request");
    let signature = hex(&hmac(&signing, &to_sign));
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential={id}/{date}/sts/tc3_request, SignedHeaders=content-type;host, \
         Signature={signature}"
    );
    let token = token.map(|token| format!("X-TC-Token: {token}\r\n")).unwrap_or_default();
    api_call(to, &authorization, &token, now, action, body)
}

fn api_call(
    to: SocketAddr,
    authorization: &str,
    more: &str,
    now: u64,
    action: &str,
    body: &str,
) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\nAuthorization: {authorization}\r\n{more}X-TC-Action: {action}\r\n\
         X-TC-Version: 2018-08-13\r\nX-TC-Region: ap-guangzhou\r\nX-TC-Timestamp: {now}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn a_federation_token_carries_its_policy_and_has_no_expiration_text() {
    let house = House::new().await;
    let asked = json!({"Name": "cos-sidecar", "Policy": READ_ONLY});
    let answer = house.call("GetFederationToken", &asked).await;
    assert_eq!(house.life(&answer), 1800);
    assert_eq!(answer.get("Expiration"), Some(&Value::Null));
    let key = house.accounts.latest().unwrap();
    assert_eq!(answer["Credentials"]["TmpSecretId"], key.secret_id);
    assert_eq!(answer["Credentials"]["TmpSecretKey"], key.secret_key);
    assert_eq!(answer["Credentials"]["Token"], key.token);
    let policy = key.policy.as_ref().unwrap();
    assert!(policy.allows("name/cos:GetObject", OBJECT));
    assert!(!policy.allows("name/cos:PutObject", OBJECT));
    assert_eq!(house.seen.count_action(Service::Sts, "GetFederationToken"), 1);
    assert_eq!(house.seen.count_verdict(Service::Sts, "ok"), 1);
    let seen = house.seen.since(0).remove(0);
    assert_eq!(seen.secret_id.as_deref(), Some(ID));
    house.end().await;
}

#[tokio::test]
async fn federation_tokens_obey_their_documented_limits() {
    let house = House::new().await;
    let with = |more: Value| {
        let mut asked = json!({"Name": "cos", "Policy": READ_ONLY});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let longest =
        house.call("GetFederationToken", &with(json!({"DurationSeconds": 129_600}))).await;
    assert_eq!(house.life(&longest), 129_600);
    for (more, code) in [
        (json!({"DurationSeconds": 129_601}), "InvalidParameter.OverTimeError"),
        (json!({"DurationSeconds": 0}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": "soon"}), "InvalidParameter.ParamError"),
        (json!({"Name": null}), "MissingParameter"),
        (json!({"Policy": ""}), "MissingParameter"),
        (json!({"Policy": "{}"}), "InvalidParameter.StrategyFormatError"),
        (json!({"RoleArn": ROLE}), "UnknownParameter"),
        (json!({"Name": 1}), "InvalidParameter"),
    ] {
        let shown = more.to_string();
        assert_eq!(house.error("GetFederationToken", with(more)).await, code, "{shown}");
    }
    house.accounts.add_account(Account { root: true, ..Account::example(ID, KEY) });
    let root = with(json!({"DurationSeconds": 7201}));
    assert_eq!(house.error("GetFederationToken", root).await, "InvalidParameter.OverTimeError");
    house.end().await;
}

#[tokio::test]
async fn a_temporary_key_may_assume_a_role_but_not_get_a_federation_token() {
    let house = House::new().await;
    let asked = json!({"RoleArn": ROLE, "RoleSessionName": "one"});
    house.call("AssumeRole", &asked).await;
    let first = house.accounts.latest().unwrap();
    let (id, key, token) = (&first.secret_id, &first.secret_key, Some(first.token.as_str()));

    let second = house.call_as(id, key, token, "AssumeRole", &asked).await;
    assert_eq!(house.life(&second), 7200);
    let federation = json!({"Name": "cos", "Policy": READ_ONLY});
    let refused = house.call_as(id, key, token, "GetFederationToken", &federation).await;
    assert_eq!(refused["Error"]["Code"], "FailedOperation.TempKeyNotAllowed");
    for wrong in [None, Some("another")] {
        let refused = house.call_as(id, key, wrong, "AssumeRole", &asked).await;
        assert_eq!(refused["Error"]["Code"], "AuthFailure.TokenFailure");
    }
    house.accounts.revoke(id);
    let refused = house.call_as(id, key, token, "AssumeRole", &asked).await;
    assert_eq!(refused["Error"]["Code"], "AuthFailure.SecretIdNotFound");
    house.end().await;
}

#[tokio::test]
async fn a_federated_key_without_the_right_cannot_assume_a_role() {
    let house = House::new().await;
    house.call("GetFederationToken", &json!({"Name": "cos", "Policy": READ_ONLY})).await;
    let key = house.accounts.latest().unwrap();
    let asked = json!({"RoleArn": ROLE, "RoleSessionName": "one"});
    let token = Some(key.token.as_str());
    let refused = house.call_as(&key.secret_id, &key.secret_key, token, "AssumeRole", &asked).await;
    assert_eq!(refused["Error"]["Code"], "UnauthorizedOperation");
    house.end().await;
}

#[tokio::test]
async fn roles_have_names_limits_and_external_ids() {
    let house = House::new().await;
    let strict = "qcs::cam::uin/100000000001:roleName/strict";
    house.accounts.add_role(Role {
        longest_session: 3600,
        external_id: Some("partner/7".to_owned()),
        policy: Some(Policy::parse(READ_ONLY).unwrap()),
        ..Role::unlimited(strict)
    });
    let long = "x".repeat(129);
    for (asked, code) in [
        (json!({"RoleSessionName": "one"}), "MissingParameter"),
        (json!({"RoleArn": ROLE}), "MissingParameter"),
        (json!({"RoleArn": ROLE, "RoleSessionName": "x"}), "InvalidParameter.ParamError"),
        (json!({"RoleArn": ROLE, "RoleSessionName": "a b"}), "InvalidParameter.ParamError"),
        (json!({"RoleArn": ROLE, "RoleSessionName": long}), "InvalidParameter.ParamError"),
        (
            json!({"RoleArn": "qcs::cam::uin/1:roleName/no", "RoleSessionName": "one"}),
            "ResourceNotFound.RoleNotFound",
        ),
        (
            json!({"RoleArn": ROLE, "RoleSessionName": "one", "DurationSeconds": 43_201}),
            "InvalidParameter.OverTimeError",
        ),
        (
            json!({"RoleArn": strict, "RoleSessionName": "one", "DurationSeconds": 60}),
            "UnauthorizedOperation",
        ),
        (
            json!({"RoleArn": strict, "RoleSessionName": "one", "DurationSeconds": 60, "ExternalId": "partner/8"}),
            "UnauthorizedOperation",
        ),
        (
            json!({"RoleArn": strict, "RoleSessionName": "one", "DurationSeconds": 3601, "ExternalId": "partner/7"}),
            "InvalidParameter.OverTimeError",
        ),
        (
            json!({"RoleArn": strict, "RoleSessionName": "one", "DurationSeconds": 3600, "ExternalId": "partner/7"}),
            "no error",
        ),
        (
            json!({"RoleArn": ROLE, "RoleSessionName": "a+=,.@_-1", "DurationSeconds": 43_200}),
            "no error",
        ),
    ] {
        assert_eq!(house.error("AssumeRole", asked.clone()).await, code, "{asked}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_policy_given_with_assume_role_narrows_the_roles_own() {
    let house = House::new().await;
    let asked = json!({"RoleArn": ROLE, "RoleSessionName": "one", "Policy": READ_ONLY});
    let answer = house.call("AssumeRole", &asked).await;
    let end = house.accounts.latest().unwrap().expires_at;
    assert_eq!(answer["Expiration"], Timestamp::from_unix_seconds(end).to_string());
    let narrowed = house.accounts.latest().unwrap().policy.clone().unwrap();
    assert!(narrowed.allows("name/cos:GetObject", OBJECT));
    assert!(!narrowed.allows("name/cos:DeleteObject", OBJECT));

    house.accounts.add_role(Role {
        policy: Some(Policy::parse(&READ_ONLY.replace("GetObject", "PutObject")).unwrap()),
        ..Role::unlimited(ROLE)
    });
    house.call("AssumeRole", &asked).await;
    let nothing = house.accounts.latest().unwrap().policy.clone().unwrap();
    assert!(!nothing.allows("name/cos:GetObject", OBJECT));
    assert!(!nothing.allows("name/cos:PutObject", OBJECT));
    house.end().await;
}

#[tokio::test]
async fn a_web_identity_is_its_own_proof_and_is_not_signed() {
    let house = House::new().await;
    house.accounts.add_web_identity(WebIdentity {
        provider_id: "cls-example".to_owned(),
        token: "header.claims.signature".to_owned(),
        role_arn: ROLE.to_owned(),
    });
    let asked = |token: &str| {
        json!({"ProviderId": "cls-example", "WebIdentityToken": token, "RoleArn": ROLE,
               "RoleSessionName": "pod-0", "DurationSeconds": 3600})
    };
    let call = async |authorization: &str, more: &str, asked: Value| {
        let action = "AssumeRoleWithWebIdentity";
        let request = api_call(house.sts, authorization, more, NOW, action, &asked.to_string());
        exchange(house.sts, &request).await.unwrap().json()["Response"].take()
    };
    let good = asked("header.claims.signature");
    let answer = call("SKIP", "", good.clone()).await;
    assert_eq!(house.life(&answer), 3600);
    assert_eq!(house.accounts.latest().unwrap().appid, "1250000000");

    let code = |answer: Value| answer["Error"]["Code"].as_str().map(str::to_owned);
    let wrong_token = call("SKIP", "", asked("stale.claims.signature")).await;
    assert_eq!(code(wrong_token).as_deref(), Some("InvalidParameter.WebIdentityTokenError"));
    let with_token = call("SKIP", "X-TC-Token: t\r\n", good.clone()).await;
    assert_eq!(code(with_token).as_deref(), Some("AuthFailure.InvalidAuthorization"));
    let signed = house.call("AssumeRoleWithWebIdentity", &good).await;
    assert_eq!(code(signed).as_deref(), Some("AuthFailure.InvalidAuthorization"));
    let mut narrowed = good.clone();
    narrowed["Policy"] = Value::from(READ_ONLY);
    assert_eq!(code(call("SKIP", "", narrowed).await).as_deref(), Some("UnknownParameter"));
    house.accounts.forget_web_identity("header.claims.signature");
    let expired = call("SKIP", "", good).await;
    assert_eq!(code(expired).as_deref(), Some("InvalidParameter.WebIdentityTokenError"));
    house.end().await;
}

#[tokio::test]
async fn callers_learn_who_they_are_and_unknown_actions_are_named() {
    let house = House::new().await;
    let me = house.call("GetCallerIdentity", &json!({})).await;
    assert_eq!(me["AccountId"], "100000000001");
    assert_eq!(me["Type"], "CAMUser");
    house.call("AssumeRole", &json!({"RoleArn": ROLE, "RoleSessionName": "pod-0"})).await;
    let key = house.accounts.latest().unwrap();
    let (id, secret, token) = (&key.secret_id, &key.secret_key, Some(key.token.as_str()));
    let role = house.call_as(id, secret, token, "GetCallerIdentity", &json!({})).await;
    assert_eq!(role["UserId"], "cos-sidecar:pod-0");
    assert_eq!(role["Type"], "CAMRole");
    assert_eq!(house.error("DeleteEverything", json!({})).await, "InvalidAction");
    house.end().await;
}

#[tokio::test]
async fn a_signature_scoped_to_another_day_than_its_time_is_refused() {
    let house = House::new().await;
    for (day, accepted) in [(NOW, true), (NOW - 86_400, false), (NOW + 86_400, false)] {
        let day = Timestamp::from_unix_seconds(day);
        let key = (ID, KEY, None);
        let request = signed_on(day, house.sts, key, NOW, "GetCallerIdentity", "{}");
        let answer = exchange(house.sts, &request).await.unwrap().json();
        let code = &answer["Response"]["Error"]["Code"];
        assert_eq!(code.is_null(), accepted, "{day}");
        assert!(accepted || code == "AuthFailure.SignatureFailure", "{code}");
    }
    house.end().await;
}

#[tokio::test]
async fn the_emulators_clock_decides_and_its_date_tells() {
    let house = House::new().await;
    house.accounts.set_clock_offset(3600);
    assert_eq!(house.error("GetCallerIdentity", json!({})).await, "AuthFailure.SignatureExpire");
    let late = signed_call(house.sts, (ID, KEY, None), NOW + 3600, "GetCallerIdentity", "{}");
    let answer = exchange(house.sts, &late).await.unwrap();
    assert!(answer.json()["Response"]["AccountId"].is_string());
    let date = answer.head.to_lowercase();
    assert!(date.contains("date: tue, 14 nov 2023 23:1"), "{date}");
    house.end().await;
}

#[tokio::test]
async fn keys_live_as_long_as_the_emulator_was_told() {
    let house = House::new().await;
    house.accounts.set_key_life(Some(6));
    let asked = json!({"Name": "cos", "Policy": READ_ONLY, "DurationSeconds": 1800});
    let answer = house.call("GetFederationToken", &asked).await;
    assert_eq!(house.life(&answer), 6);
    house.end().await;
}

// ---- faults ----

async fn identity_call(house: &House) -> io::Result<Answer> {
    let request = signed_call(house.sts, (ID, KEY, None), NOW, "GetCallerIdentity", "{}");
    exchange(house.sts, &request).await
}

#[tokio::test]
async fn every_fault_goes_wrong_in_its_own_way_and_ends() {
    let house = House::new().await;
    let whole = identity_call(&house).await.unwrap();
    let set = |fault: Fault| house.faults.for_next(Service::Sts, 1, fault);

    set(Fault::Reset);
    let reset = identity_call(&house).await.map(|answer| answer.status);
    assert_eq!(reset.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    set(Fault::Close);
    let closed = identity_call(&house).await.map(|answer| answer.status);
    assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

    set(Fault::Html200);
    let html = identity_call(&house).await.unwrap();
    assert_eq!(html.status, 200);
    assert!(html.head.contains("text/html") && html.body.starts_with(b"<!DOCTYPE html>"));

    set(Fault::TruncateBody(10));
    let cut = identity_call(&house).await.unwrap();
    assert_eq!(cut.body.len(), 10);
    assert!(cut.head.contains(&format!("content-length: {}", whole.body.len())), "{}", cut.head);

    set(Fault::Oversized);
    assert_eq!(identity_call(&house).await.unwrap().body.len(), 8 * 1024 * 1024);

    set(Fault::DripBody(Duration::from_micros(10)));
    let dripped = identity_call(&house).await.unwrap();
    assert_eq!(dripped.body.len(), whole.body.len());
    assert_eq!(dripped.json()["Response"]["AccountId"], "100000000001");

    set(Fault::Slow(Duration::from_millis(1)));
    assert_eq!(identity_call(&house).await.unwrap().json()["Response"]["Type"], "CAMUser");

    set(Fault::Status(503));
    assert_eq!(identity_call(&house).await.unwrap().status, 503);
    set(Fault::Throttle);
    let throttled = identity_call(&house).await.unwrap();
    assert_eq!(throttled.json()["Response"]["Error"]["Code"], "RequestLimitExceeded");
    set(Fault::ErrorCode("InternalError.DbError"));
    let named = identity_call(&house).await.unwrap();
    assert_eq!(named.json()["Response"]["Error"]["Code"], "InternalError.DbError");

    assert_eq!(identity_call(&house).await.unwrap().status, 200, "the faults are used up");
    assert_eq!(house.faults.given(Service::Sts), 10);
    assert_eq!(house.seen.count(Service::Sts), 12);
    house.end().await;
}

#[tokio::test]
async fn answers_can_lack_a_field_or_lie_about_the_end() {
    let house = House::new().await;
    let asked = json!({"Name": "cos", "Policy": READ_ONLY});
    house.faults.for_next(Service::Sts, 1, Fault::WrongFields);
    let lacking = house.call("GetFederationToken", &asked).await;
    assert!(lacking["Credentials"]["Token"].is_string());
    assert!(lacking["Credentials"].get("TmpSecretKey").is_none());
    house.faults.for_next(Service::Sts, 1, Fault::ExpiresAt(9_223_372_036));
    let lying = house.call("GetFederationToken", &asked).await;
    assert_eq!(lying["ExpiredTime"], 9_223_372_036_u64);
    house.end().await;
}

#[tokio::test]
async fn a_slow_answer_does_not_hold_up_the_end() {
    let house = House::new().await;
    house.faults.until_cleared(Service::Sts, Fault::Slow(Duration::from_secs(3600)));
    let mut stream = TcpStream::connect(house.sts).await.unwrap();
    let request = signed_call(house.sts, (ID, KEY, None), NOW, "GetCallerIdentity", "{}");
    stream.write_all(&request).await.unwrap();
    while house.faults.given(Service::Sts) == 0 {
        tokio::task::yield_now().await;
    }
    house.end().await;
}

// ---- the key server and the metadata ----

/// Every string and number in a JSON value.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

#[tokio::test]
async fn the_key_server_answers_in_seven_shapes() {
    let house = House::new().await;
    for (shape, path) in [
        ("A", "/credentials/tmpSecretKey"),
        ("B", "/Response/Credentials/TmpSecretKey"),
        ("C", "/TmpSecretKey"),
        ("D", "/data/TmpSecretKey"),
        ("E", "/data/secret_key"),
        ("F", "/secretKey"),
        ("G", "/SecretAccessKey"),
    ] {
        let target = format!("/sts?shape={shape}");
        let answer = house.get(&target, "").await.json();
        let key = house.accounts.latest().unwrap();
        assert_eq!(answer.pointer(path), Some(&Value::from(key.secret_key.as_str())), "{answer}");
        let leaves = leaves(&answer);
        for part in [&key.secret_id, &key.token] {
            assert!(leaves.contains(part), "{shape} lacks a part: {answer}");
        }
        let end = Timestamp::from_unix_seconds(key.expires_at).to_string();
        let seconds = key.expires_at.to_string();
        assert!(leaves.contains(&end) || leaves.contains(&seconds), "{shape}: {answer}");

        house.faults.for_next(Service::KeyServer, 1, Fault::WrongFields);
        let lacking = house.get(&target, "").await.json();
        assert_eq!(lacking.pointer(path), None, "{lacking}");
        house.faults.for_next(Service::KeyServer, 1, Fault::ExpiresAt(4_102_444_800));
        let lying = house.get(&target, "").await.json().to_string();
        assert!(lying.contains("4102444800") || lying.contains("2100-01-01T00:00:00Z"), "{lying}");
    }
    assert_eq!(
        house.get("/sts", "").await.json()["startTime"].as_u64().map(|t| t >= NOW),
        Some(true)
    );
    assert_eq!(house.get("/sts?shape=Z", "").await.status, 400);
    assert_eq!(house.get("/elsewhere", "").await.status, 404);
    assert_eq!(house.seen.count_action(Service::KeyServer, "/sts"), 23);
    house.end().await;
}

#[tokio::test]
async fn the_key_server_wants_its_bearer_token_and_hides_it_from_the_log() {
    let house = House::new().await;
    let bearer = Some("open-sesame".to_owned());
    let policy = Some(Policy::parse(READ_ONLY).unwrap());
    house.accounts.set_key_server_rules(KeyServerRules { bearer, policy: policy.clone() });
    assert_eq!(house.get("/sts", "").await.status, 401);
    assert_eq!(house.get("/sts", "Authorization: Bearer wrong\r\n").await.status, 401);
    assert_eq!(house.accounts.issued(), 0);
    assert_eq!(house.get("/sts", "Authorization: Bearer open-sesame\r\n").await.status, 200);
    assert_eq!(house.accounts.latest().unwrap().policy, policy);
    assert!(!format!("{:?}", house.seen.since(0)).contains("open-sesame"));
    house.end().await;
}

#[tokio::test]
async fn a_posted_scope_becomes_the_keys_policy() {
    let house = House::new().await;
    let post = async |body: &str| {
        let request = format!(
            "POST /sts HTTP/1.1\r\nHost: k\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(house.key_server, request.as_bytes()).await.unwrap()
    };
    let scope = r#"[{"action":"name/cos:PutObject","bucket":"bucket-1250000000",
                     "region":"ap-guangzhou","prefix":"100%+up/*"}]"#;
    assert_eq!(post(scope).await.status, 200);
    let policy = house.accounts.latest().unwrap().policy.clone().unwrap();
    let resource = |key: &str| OBJECT.replace("a.txt", key);
    assert!(policy.allows("name/cos:PutObject", &resource("100%+up/x")));
    assert!(!policy.allows("name/cos:PutObject", &resource("down/x")));
    assert!(!policy.allows("name/cos:GetObject", &resource("100%+up/x")));
    assert_eq!(post("not json").await.json()["Code"], "ScopeNotAllowed");
    house.end().await;
}

#[tokio::test]
async fn the_metadata_shows_one_key_until_half_its_life_is_over() {
    let house = House::new().await;
    for prefix in ["/latest/meta-data", "/meta-data"] {
        let list = house.get(&format!("{prefix}/cam/security-credentials/"), "").await;
        assert_eq!((list.status, list.body.as_slice()), (200, b"cos-sidecar".as_slice()));
    }
    let target = "/latest/meta-data/cam/security-credentials/cos-sidecar";
    let first = house.get(target, "").await.json();
    assert_eq!(first["Code"], "Success");
    let again = house.get(target, "").await.json();
    assert_eq!(first["TmpSecretId"], again["TmpSecretId"]);
    house.accounts.set_clock_offset(900);
    let next = house.get(target, "").await.json();
    assert_ne!(first["TmpSecretId"], next["TmpSecretId"]);
    let other = house.get("/latest/meta-data/cam/security-credentials/other", "").await;
    assert_eq!(other.status, 404);
    house.end().await;
}

#[tokio::test]
async fn a_throttled_or_broken_key_server_says_so() {
    let house = House::new().await;
    house.faults.for_next(Service::KeyServer, 1, Fault::Throttle);
    assert_eq!(house.get("/sts", "").await.status, 429);
    house.faults.for_next(Service::KeyServer, 1, Fault::Status(500));
    assert_eq!(house.get("/sts", "").await.status, 500);
    house.faults.for_next(Service::KeyServer, 1, Fault::ErrorCode("ScopeNotAllowed"));
    let refused = house.get("/sts", "").await;
    assert_eq!((refused.status, &refused.json()["Code"]), (200, &json!("ScopeNotAllowed")));
    assert_eq!(house.accounts.issued(), 0);
    house.end().await;
}
