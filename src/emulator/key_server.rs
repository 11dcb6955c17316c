//! A home-made key server as teams run them next to the COS STS SDK, and the instance metadata.
//!
//! `GET` or `POST /sts` answers a temporary key in one of seven shapes, chosen by `?shape=A`:
//! A the COS STS SDKs (camelCase), B the API itself, C flat as metadata, D the JS SDK's callback,
//! E Vault, F tccli's file, G an AWS credential process. A POST body may be a JSON array of
//! `{action, bucket, region, prefix}`, as the SDK's scope demo takes it.
//!
//! `/latest/meta-data/cam/security-credentials/` (also without `latest/`) lists the bound role, and its
//! name below it answers its key. As on an instance, the key stays the same until it has
//! lived for half its life.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    accounts::{Account, Accounts, Grant, Role, Subject, TemporaryKey},
    faults::{Fault, Faults, Service},
    policy::Policy,
    seen::{SeenLog, SeenRequest},
    serve::{self, Answer, Reply, WholeRequest},
    sts::request_id,
};
use crate::{
    clock::{Clock, Timestamp},
    shutdown::Shutdown,
};

/// How long a key lives unless [`Accounts::set_key_life`] says otherwise, in seconds.
const KEY_LIFE: u64 = 1800;
const METADATA_PATHS: [&str; 2] =
    ["/latest/meta-data/cam/security-credentials/", "/meta-data/cam/security-credentials/"];

/// Starts the key server and the metadata on `bind` (port 0: any); they end with `shutdown`. Keys
/// belong to the first of the accounts; the metadata's role is the bound one.
///
/// # Errors
/// When the address cannot be bound.
pub async fn start_key_server(
    accounts: Accounts,
    faults: Faults,
    seen: SeenLog,
    clock: Clock,
    bind: SocketAddr,
    shutdown: &Shutdown,
) -> io::Result<SocketAddr> {
    let server = KeyServer { accounts, faults, seen, clock, metadata_key: Arc::default() };
    serve::serve("emulator-key-server", bind, shutdown, move |request| {
        let server = server.clone();
        async move { server.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct KeyServer {
    accounts: Accounts,
    faults: Faults,
    seen: SeenLog,
    clock: Clock,
    /// The key the metadata shows now.
    metadata_key: Arc<Mutex<Option<Arc<TemporaryKey>>>>,
}

/// A refusal: status and code.
type Refusal = (StatusCode, &'static str);

impl KeyServer {
    async fn handle(self, request: WholeRequest) -> Reply {
        let fault = self.faults.next(Service::KeyServer);
        if let Some(Fault::Slow(wait)) = fault {
            tokio::time::sleep(wait).await;
        }
        let now_unix = self.accounts.now_unix(&self.clock);
        let at = Timestamp::from_unix_seconds(now_unix);
        let mut seen = SeenRequest::new(Service::KeyServer, at, &request);
        seen.action = request.uri().path().to_owned();

        let outcome = match refused_by(fault) {
            Some(refusal) => Err(refusal),
            None => self.act(&request, now_unix, fault),
        };
        seen.verdict = match (&outcome, fault) {
            (Ok(_), Some(fault)) => format!("{fault:?}"),
            (Ok(_), None) => "ok".to_owned(),
            (Err((_, code)), _) => (*code).to_owned(),
        };
        let answer = outcome.unwrap_or_else(|(status, code)| {
            let error = json!({"Code": code, "Message": code, "RequestId": request_id()});
            serve::json(status, &error, now_unix)
        });
        let reply = answer.spoilt_by(fault);
        seen.status = match &reply {
            Reply::Answer(answer) => answer.status().as_u16(),
            Reply::Reset | Reply::Close => 0,
        };
        self.seen.record(seen);
        reply
    }

    fn act(
        &self,
        request: &WholeRequest,
        now_unix: u64,
        fault: Option<Fault>,
    ) -> Result<Answer, Refusal> {
        let path = request.uri().path();
        if path == "/sts" {
            self.check_bearer(request)?;
            let key = self.sts_key(request, now_unix)?;
            let shape = Shape::asked_by(request.uri().query().unwrap_or_default())
                .ok_or((StatusCode::BAD_REQUEST, "UnknownShape"))?;
            let body = shape.write(&Shown::of(&key, fault));
            return Ok(serve::json(StatusCode::OK, &without_key(body, fault), now_unix));
        }
        let below = METADATA_PATHS.iter().find_map(|prefix| path.strip_prefix(prefix));
        let not_found = (StatusCode::NOT_FOUND, "NotFound");
        let below = below.ok_or(not_found)?;
        let roles = self.accounts.instance_roles();
        if request.method() != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"));
        }
        let name = |role: &Role| role.arn.rsplit('/').next().unwrap_or_default().to_owned();
        if below.is_empty() && !roles.is_empty() {
            let body = roles.iter().map(name).collect::<Vec<_>>().join("\n");
            let (status, content_type) = (StatusCode::OK, "text/plain");
            return Ok(Answer { status, content_type, body, now_unix });
        }
        let role = roles.into_iter().find(|role| name(role) == below).ok_or(not_found)?;
        let session = Subject::RoleSession { arn: role.arn, session: "instance".to_owned() };
        let key = self.metadata_key(session, role.policy, now_unix)?;
        let body = Shape::C.write(&Shown::of(&key, fault));
        Ok(serve::json(StatusCode::OK, &without_key(body, fault), now_unix))
    }

    fn check_bearer(&self, request: &WholeRequest) -> Result<(), Refusal> {
        let Some(bearer) = self.accounts.key_server_rules().bearer else {
            return Ok(());
        };
        let sent = request.headers().get(http::header::AUTHORIZATION);
        if sent.is_some_and(|sent| sent.as_bytes() == format!("Bearer {bearer}").as_bytes()) {
            return Ok(());
        }
        Err((StatusCode::UNAUTHORIZED, "Unauthorized"))
    }

    fn sts_key(&self, request: &WholeRequest, now_unix: u64) -> Result<Arc<TemporaryKey>, Refusal> {
        let policy = match (request.method(), request.body().is_empty()) {
            (&Method::GET, _) | (&Method::POST, true) => self.accounts.key_server_rules().policy,
            (&Method::POST, false) => Some(scope_policy(request.body())?),
            _ => return Err((StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed")),
        };
        self.issue(Subject::Federated("key-server".to_owned()), policy, now_unix)
    }

    fn metadata_key(
        &self,
        subject: Subject,
        policy: Option<Policy>,
        now_unix: u64,
    ) -> Result<Arc<TemporaryKey>, Refusal> {
        let mut current = self.metadata_key.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |key: &&Arc<TemporaryKey>| {
            let age = self.accounts.instance_key_age(key.expires_at - key.issued_at);
            key.subject == subject && now_unix < key.issued_at + age
        };
        if let Some(key) = current.as_ref().filter(young) {
            return Ok(Arc::clone(key));
        }
        let key = self.issue(subject, policy, now_unix)?;
        *current = Some(Arc::clone(&key));
        Ok(key)
    }

    fn issue(
        &self,
        subject: Subject,
        policy: Option<Policy>,
        now_unix: u64,
    ) -> Result<Arc<TemporaryKey>, Refusal> {
        let Account { uin, appid, .. } = self
            .accounts
            .first_account()
            .ok_or((StatusCode::INTERNAL_SERVER_ERROR, "NoAccount"))?;
        let grant = Grant { uin: &uin, appid: &appid, policy, duration: KEY_LIFE, subject };
        Ok(self.accounts.issue(grant, now_unix))
    }
}

/// The fault's answer, if it is one such a server would give itself.
fn refused_by(fault: Option<Fault>) -> Option<Refusal> {
    match fault? {
        Fault::Throttle => Some((StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        Fault::ErrorCode(code) => Some((StatusCode::OK, code)),
        Fault::Status(status) => {
            Some((StatusCode::from_u16(status).unwrap_or_default(), "SetOnPurpose"))
        }
        Fault::Slow(_)
        | Fault::Reset
        | Fault::Close
        | Fault::Html200
        | Fault::TruncateBody(_)
        | Fault::Oversized
        | Fault::DripBody(_)
        | Fault::WrongFields
        | Fault::ExpiresAt(_) => None,
    }
}

/// One line of the scope demo's request.
#[derive(Deserialize)]
struct Scope {
    action: String,
    bucket: String,
    region: String,
    prefix: String,
}

fn scope_policy(body: &[u8]) -> Result<Policy, Refusal> {
    let refusal = (StatusCode::OK, "ScopeNotAllowed");
    let scopes: Vec<Scope> = serde_json::from_slice(body).map_err(|_error| refusal)?;
    let statements: Vec<Value> = scopes
        .iter()
        .map(|Scope { action, bucket, region, prefix }| {
            let appid = bucket.rsplit('-').next().unwrap_or_default();
            let prefix = prefix.trim_start_matches('/');
            let resource = format!("qcs::cos:{region}:uid/{appid}:{bucket}/{prefix}");
            json!({"effect": "allow", "action": [action], "resource": [resource]})
        })
        .collect();
    let document = json!({"version": "2.0", "statement": statements}).to_string();
    // `parse` takes the encoded form.
    let encoded = document.replace('%', "%25").replace('+', "%2B");
    Policy::parse(&encoded).map_err(|_error| refusal)
}

/// The parts of a key as an answer shows them.
struct Shown<'a> {
    id: &'a str,
    key: &'a str,
    token: &'a str,
    issued_at: u64,
    expires_at: u64,
    expiration: String,
}

impl<'a> Shown<'a> {
    fn of(key: &'a TemporaryKey, fault: Option<Fault>) -> Self {
        let expires_at = match fault {
            Some(Fault::ExpiresAt(unix)) => unix,
            _ => key.expires_at,
        };
        Self {
            id: &key.secret_id,
            key: &key.secret_key,
            token: &key.token,
            issued_at: key.issued_at,
            expires_at,
            expiration: Timestamp::from_unix_seconds(expires_at).to_string(),
        }
    }
}

/// The shapes in which key servers answer.
#[derive(Clone, Copy)]
enum Shape {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
}

impl Shape {
    /// The `shape` parameter; A if there is none.
    fn asked_by(query: &str) -> Option<Self> {
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("shape="));
        Some(match asked.unwrap_or("A") {
            "A" => Self::A,
            "B" => Self::B,
            "C" => Self::C,
            "D" => Self::D,
            "E" => Self::E,
            "F" => Self::F,
            "G" => Self::G,
            _ => return None,
        })
    }

    fn write(self, shown: &Shown<'_>) -> Value {
        let Shown { id, key, token, issued_at, expires_at, expiration } = shown;
        match self {
            Self::A => json!({
                "credentials": {"tmpSecretId": id, "tmpSecretKey": key, "sessionToken": token},
                "startTime": issued_at, "expiredTime": expires_at, "expiration": expiration,
                "requestId": request_id(),
            }),
            Self::B => json!({"Response": {
                "Credentials": {"TmpSecretId": id, "TmpSecretKey": key, "Token": token},
                "ExpiredTime": expires_at, "Expiration": expiration, "RequestId": request_id(),
            }}),
            Self::C => json!({
                "TmpSecretId": id, "TmpSecretKey": key, "Token": token,
                "ExpiredTime": expires_at, "Expiration": expiration, "Code": "Success",
            }),
            Self::D => json!({"code": 0, "data": {
                "TmpSecretId": id, "TmpSecretKey": key, "SecurityToken": token,
                "StartTime": issued_at, "ExpiredTime": expires_at,
            }}),
            Self::E => json!({
                "request_id": request_id(), "lease_id": "tencentcloud/creds/cos/1",
                "lease_duration": expires_at.saturating_sub(*issued_at), "renewable": false,
                "data": {
                    "secret_id": id, "secret_key": key, "token": token, "expiration": expiration,
                },
            }),
            Self::F => json!({
                "secretId": id, "secretKey": key, "token": token, "expiresAt": expires_at,
            }),
            Self::G => json!({
                "Version": 1, "AccessKeyId": id, "SecretAccessKey": key, "SessionToken": token,
                "Expiration": expiration,
            }),
        }
    }
}

/// With [`Fault::WrongFields`] the secret key is left out, at whatever depth it is.
fn without_key(mut body: Value, fault: Option<Fault>) -> Value {
    if fault == Some(Fault::WrongFields) {
        remove_secret_key(&mut body);
    }
    body
}

fn remove_secret_key(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, _| {
            let name = name.to_lowercase().replace('_', "");
            !name.ends_with("secretkey") && name != "secretaccesskey"
        });
        fields.values_mut().for_each(remove_secret_key);
    }
}
