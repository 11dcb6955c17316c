//! The STS API: temporary keys for permanent keys, roles and web identities.
//!
//! Requests, answers and error codes as in Tencent Cloud docs 1312/48195 (GetFederationToken),
//! 1312/48197 (AssumeRole), 1312/73070 (AssumeRoleWithWebIdentity), 1312/57053 (GetCallerIdentity)
//! and 1150/49458 (codes). Errors come with HTTP 200, as on the real service.

use std::{io, net::SocketAddr};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    accounts::{Accounts, Grant, KnownKey, Subject, TemporaryKey},
    faults::{Fault, Faults, Service},
    policy::{Policy, form_decode},
    seen::{SeenLog, SeenRequest},
    serve::{self, Reply, WholeRequest},
    tc3_check::{self, ApiError, ApiRequest},
};
use crate::{
    clock::{Clock, Timestamp},
    shutdown::Shutdown,
};

/// The only version of the API.
const VERSION: &str = "2018-08-13";
/// The longest session of any role, in seconds.
const LONGEST_ROLE_SESSION: u64 = 43_200;

/// Starts the STS API on `bind` (port 0: any); it ends with `shutdown`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn start_sts(
    accounts: Accounts,
    faults: Faults,
    seen: SeenLog,
    clock: Clock,
    bind: SocketAddr,
    shutdown: &Shutdown,
) -> io::Result<SocketAddr> {
    let sts = Sts { accounts, faults, seen, clock };
    serve::serve("emulator-sts", bind, shutdown, move |request| {
        let sts = sts.clone();
        async move { sts.handle(request).await }
    })
    .await
}

#[derive(Clone)]
struct Sts {
    accounts: Accounts,
    faults: Faults,
    seen: SeenLog,
    clock: Clock,
}

impl Sts {
    async fn handle(self, request: WholeRequest) -> Reply {
        let fault = self.faults.next(Service::Sts);
        if let Some(Fault::Slow(wait)) = fault {
            tokio::time::sleep(wait).await;
        }
        let now_unix = self.accounts.now_unix(&self.clock);
        let at = Timestamp::from_unix_seconds(now_unix);
        let mut seen = SeenRequest::new(Service::Sts, at, &request);
        let api = ApiRequest {
            method: request.method().as_str(),
            query: request.uri().query().unwrap_or_default(),
            headers: request.headers(),
            body: request.body(),
        };
        seen.action = api.header("x-tc-action").unwrap_or_default().to_owned();

        let outcome = match refused_by(fault) {
            Some(error) => Err(error),
            None => self.act(&api, now_unix, fault, &mut seen),
        };
        let status = match fault {
            Some(Fault::Status(status)) => StatusCode::from_u16(status).unwrap_or_default(),
            _ => StatusCode::OK,
        };
        seen.verdict = match (&outcome, fault) {
            (Ok(_), Some(fault)) => format!("{fault:?}"),
            (Ok(_), None) => "ok".to_owned(),
            (Err(error), _) => error.code.to_owned(),
        };
        let reply = serve::json(status, &envelope(outcome), now_unix).spoilt_by(fault);
        seen.status = match &reply {
            Reply::Answer(answer) => answer.status().as_u16(),
            Reply::Reset | Reply::Close => 0,
        };
        self.seen.record(seen);
        reply
    }

    /// Does what the request asks, and writes down who asked.
    fn act(
        &self,
        api: &ApiRequest<'_>,
        now_unix: u64,
        fault: Option<Fault>,
        seen: &mut SeenRequest,
    ) -> Result<Map<String, Value>, ApiError> {
        let action = required_header(api, "X-TC-Action")?;
        if required_header(api, "X-TC-Version")? != VERSION {
            return Err(ApiError::new("NoSuchVersion", "The version is not 2018-08-13."));
        }
        required_header(api, "X-TC-Region")?;
        if action == "AssumeRoleWithWebIdentity" {
            if api.header("authorization") != Some("SKIP") || api.header("x-tc-token").is_some() {
                let message = "Authorization must be SKIP, without X-TC-Token.";
                return Err(ApiError::new("AuthFailure.InvalidAuthorization", message));
            }
            let asked = Parameters::of(api, &WEB_IDENTITY_PARAMETERS)?;
            return self.assume_role_with_web_identity(&asked, now_unix, fault);
        }
        let caller = tc3_check::check(&self.accounts, api, "sts", now_unix)?;
        seen.secret_id = Some(caller.secret_id);
        match action {
            "GetFederationToken" => {
                let asked = Parameters::of(api, &FEDERATION_PARAMETERS)?;
                self.get_federation_token(&caller.key, &asked, now_unix, fault)
            }
            "AssumeRole" => {
                let asked = Parameters::of(api, &ROLE_PARAMETERS)?;
                self.assume_role(&caller.key, &asked, now_unix, fault)
            }
            "GetCallerIdentity" => {
                Parameters::of(api, &[])?;
                Ok(identity(&caller.key))
            }
            _ => Err(ApiError::new("InvalidAction", format!("{action} is not an action."))),
        }
    }

    fn get_federation_token(
        &self,
        caller: &KnownKey,
        asked: &Parameters,
        now_unix: u64,
        fault: Option<Fault>,
    ) -> Result<Map<String, Value>, ApiError> {
        let KnownKey::Permanent(account) = caller else {
            let message = "GetFederationToken takes permanent keys only.";
            return Err(ApiError::new("FailedOperation.TempKeyNotAllowed", message));
        };
        let name = asked.required("Name")?;
        let policy = read_policy(asked.required("Policy")?)?;
        let longest = if account.root { 7200 } else { 129_600 };
        let grant = Grant {
            uin: &account.uin,
            appid: &account.appid,
            policy: Some(policy),
            duration: asked.duration(1800, longest)?,
            subject: Subject::Federated(name.to_owned()),
        };
        // The real service answers `null` here.
        Ok(credentials(&self.accounts.issue(grant, now_unix), false, fault))
    }

    fn assume_role(
        &self,
        caller: &KnownKey,
        asked: &Parameters,
        now_unix: u64,
        fault: Option<Fault>,
    ) -> Result<Map<String, Value>, ApiError> {
        let arn = asked.required("RoleArn")?;
        let session = asked.session_name("RoleSessionName", "+=,.@_-")?;
        let role = self.accounts.role(arn).ok_or_else(|| role_not_found(arn))?;
        if caller.policy().is_some_and(|policy| !policy.allows("name/sts:AssumeRole", arn)) {
            let message = format!("The caller's own policy does not allow AssumeRole on {arn}.");
            return Err(ApiError::new("UnauthorizedOperation", message));
        }
        if asked.text("ExternalId")?.is_some() {
            asked.session_name("ExternalId", "+=,.@_-:/")?;
        }
        if role.external_id.is_some() && role.external_id.as_deref() != asked.text("ExternalId")? {
            let message = "The role wants another ExternalId.";
            return Err(ApiError::new("UnauthorizedOperation", message));
        }
        let tags = asked.tags()?;
        let narrowing = asked.text("Policy")?.map(read_policy).transpose()?;
        let policy = match (role.policy, narrowing) {
            (Some(role), Some(narrowing)) => Some(role.narrowed_by(&narrowing)),
            (role, narrowing) => role.or(narrowing),
        };
        let grant = Grant {
            uin: caller.uin(),
            appid: caller.appid(),
            policy,
            duration: asked.duration(7200, role.longest_session.min(LONGEST_ROLE_SESSION))?,
            subject: Subject::RoleSession { arn: role.arn, session: session.to_owned() },
        };
        let key = self.accounts.issue(grant, now_unix);
        self.accounts.tag_session(&key.secret_id, tags);
        Ok(credentials(&key, true, fault))
    }

    fn assume_role_with_web_identity(
        &self,
        asked: &Parameters,
        now_unix: u64,
        fault: Option<Fault>,
    ) -> Result<Map<String, Value>, ApiError> {
        let arn = asked.required("RoleArn")?;
        let session = asked.session_name("RoleSessionName", "+=,.@_-")?;
        let token = asked.required("WebIdentityToken")?;
        let identity = self.accounts.web_identity(asked.required("ProviderId")?, token);
        let Some(identity) = identity.filter(|identity| identity.role_arn == arn) else {
            let message = "The web identity token is expired, unreadable or not of this provider \
                           and role.";
            return Err(ApiError::new("InvalidParameter.WebIdentityTokenError", message));
        };
        let role = self.accounts.role(&identity.role_arn).ok_or_else(|| role_not_found(arn))?;
        let uin = uin_of(arn).ok_or_else(|| role_not_found(arn))?;
        let owner = self.accounts.account_of(uin);
        let grant = Grant {
            uin,
            appid: owner.as_ref().map_or("", |account| account.appid.as_str()),
            policy: role.policy,
            duration: asked.duration(7200, role.longest_session.min(LONGEST_ROLE_SESSION))?,
            subject: Subject::RoleSession { arn: role.arn, session: session.to_owned() },
        };
        Ok(credentials(&self.accounts.issue(grant, now_unix), true, fault))
    }
}

const FEDERATION_PARAMETERS: [&str; 3] = ["Name", "Policy", "DurationSeconds"];
const ROLE_PARAMETERS: [&str; 9] = [
    "RoleArn",
    "RoleSessionName",
    "DurationSeconds",
    "Policy",
    "ExternalId",
    "Tags",
    "SourceIdentity",
    "SerialNumber",
    "TokenCode",
];
const WEB_IDENTITY_PARAMETERS: [&str; 5] =
    ["ProviderId", "WebIdentityToken", "RoleArn", "RoleSessionName", "DurationSeconds"];

fn required_header<'a>(api: &ApiRequest<'a>, name: &str) -> Result<&'a str, ApiError> {
    let mut values = api.headers.get_all(name).iter().map(|value| value.to_str());
    match (values.next(), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(ApiError::new("MissingParameter", format!("The header {name} is missing."))),
    }
}

/// The fault's error, if it is one the API itself would answer.
fn refused_by(fault: Option<Fault>) -> Option<ApiError> {
    match fault? {
        Fault::Throttle => {
            let message = "Your current request times equals to `600` in a second, which exceeds \
                           the frequency limit.";
            Some(ApiError::new("RequestLimitExceeded", message))
        }
        Fault::ErrorCode(code) => Some(ApiError::new(code, "An error set on purpose.")),
        Fault::Status(_) => Some(ApiError::new("InternalError", "A status set on purpose.")),
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

fn envelope(outcome: Result<Map<String, Value>, ApiError>) -> Value {
    let mut response = outcome.unwrap_or_else(|error| {
        let error = json!({"Code": error.code, "Message": error.message});
        Map::from_iter([("Error".to_owned(), error)])
    });
    response.insert("RequestId".to_owned(), Value::from(request_id()));
    json!({ "Response": response })
}

/// A random UUID's shape.
pub(super) fn request_id() -> String {
    let number = fastrand::u128(..);
    let [a, b, c, d, e] = [(96, 8), (80, 4), (64, 4), (48, 4), (0, 12)].map(|(shift, digits)| {
        let part = number >> shift & ((1 << (digits * 4)) - 1);
        format!("{part:0width$x}", width = digits)
    });
    format!("{a}-{b}-{c}-{d}-{e}")
}

fn credentials(
    key: &TemporaryKey,
    with_expiration: bool,
    fault: Option<Fault>,
) -> Map<String, Value> {
    let expires_at = match fault {
        Some(Fault::ExpiresAt(unix)) => unix,
        _ => key.expires_at,
    };
    let expiration = Timestamp::from_unix_seconds(expires_at);
    let mut parts = json!({"Token": key.token, "TmpSecretId": key.secret_id});
    if fault != Some(Fault::WrongFields) {
        parts["TmpSecretKey"] = Value::from(key.secret_key.as_str());
    }
    Map::from_iter([
        ("Credentials".to_owned(), parts),
        ("ExpiredTime".to_owned(), Value::from(expires_at)),
        (
            "Expiration".to_owned(),
            if with_expiration { Value::from(expiration.to_string()) } else { Value::Null },
        ),
    ])
}

fn identity(key: &KnownKey) -> Map<String, Value> {
    let uin = key.uin();
    let (arn, user_id, kind) = match key {
        KnownKey::Permanent(account) => {
            let kind = if account.root { "RootAccount" } else { "CAMUser" };
            (format!("qcs::cam::uin/{uin}:uin/{uin}"), uin.to_owned(), kind)
        }
        KnownKey::Temporary(key) => match &key.subject {
            Subject::Federated(name) => (
                format!("qcs::sts::uin/{uin}:federated-user/{name}"),
                format!("{uin}:{name}"),
                "CAMUser",
            ),
            Subject::RoleSession { arn, session } => {
                let role = arn.rsplit('/').next().unwrap_or_default();
                (
                    format!("qcs::sts:{uin}:assumed-role/{role}"),
                    format!("{role}:{session}"),
                    "CAMRole",
                )
            }
        },
    };
    let fields = [
        ("Arn", arn),
        ("AccountId", uin.to_owned()),
        ("UserId", user_id.clone()),
        ("PrincipalId", user_id),
        ("Type", kind.to_owned()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn read_policy(text: &str) -> Result<Policy, ApiError> {
    Policy::parse(text)
        .map_err(|error| ApiError::new("InvalidParameter.StrategyFormatError", error.to_string()))
}

fn role_not_found(arn: &str) -> ApiError {
    ApiError::new("ResourceNotFound.RoleNotFound", format!("The role {arn} does not exist."))
}

/// The account number in `qcs::cam::uin/<uin>:roleName/<name>`.
fn uin_of(arn: &str) -> Option<&str> {
    arn.split(':').find_map(|part| part.strip_prefix("uin/"))
}

/// What the request asks, from a JSON body or, with GET, from the query.
struct Parameters(Map<String, Value>);

impl Parameters {
    /// Refuses parameters the action does not know, as the API does.
    fn of(api: &ApiRequest<'_>, known: &[&str]) -> Result<Self, ApiError> {
        let given = match api.method {
            "GET" => from_query(api.query),
            "POST" => from_json(api.body)?,
            _ => {
                let message = "Only GET and POST are supported.";
                return Err(ApiError::new("UnsupportedProtocol", message));
            }
        };
        // `Tags.0.Key` is how the query spells lists.
        let first = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        match given.keys().find(|name| !known.contains(&first(name).as_str())) {
            Some(name) => {
                let message = format!("The parameter {name} is not recognized.");
                Err(ApiError::new("UnknownParameter", message))
            }
            None => Ok(Self(given)),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::new("InvalidParameter", format!("{name} must be a string."))),
        }
    }

    fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            ApiError::new("MissingParameter", format!("The parameter {name} is missing."))
        })
    }

    /// 2 to 128 letters, digits and `extra`.
    fn session_name(&self, name: &str, extra: &str) -> Result<&str, ApiError> {
        let text = self.required(name)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
        if (2..=128).contains(&text.len()) && text.chars().all(fits) {
            return Ok(text);
        }
        let message = format!("{name} must be 2 to 128 of letters, digits and {extra}");
        Err(ApiError::new("InvalidParameter.ParamError", message))
    }

    /// At most 50 of `{"Key": …, "Value": …}`, no key twice.
    fn tags(&self) -> Result<Vec<(String, String)>, ApiError> {
        let refused = |message: &str| ApiError::new("InvalidParameter.ParamError", message);
        let listed = match self.0.get("Tags") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(listed) => listed.as_array().ok_or_else(|| refused("Tags must be a list."))?,
        };
        let text = |tag: &Value, name: &str, longest: usize| {
            let text = tag.get(name).and_then(Value::as_str)?;
            (text.chars().count() <= longest).then(|| text.to_owned())
        };
        let mut tags: Vec<(String, String)> = Vec::new();
        for tag in listed {
            let key = text(tag, "Key", 128).filter(|key| !key.is_empty());
            let (Some(key), Some(value)) = (key, text(tag, "Value", 256)) else {
                return Err(refused("A tag has no Key or Value, or one that is too long."));
            };
            if tags.iter().any(|(known, _)| *known == key) {
                return Err(refused("A tag's Key is there twice."));
            }
            tags.push((key, value));
        }
        if tags.len() > 50 { Err(refused("More than 50 tags.")) } else { Ok(tags) }
    }

    fn duration(&self, default: u64, longest: u64) -> Result<u64, ApiError> {
        let seconds = match self.0.get("DurationSeconds") {
            None | Some(Value::Null) => Some(default),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        match seconds {
            Some(seconds) if (1..=longest).contains(&seconds) => Ok(seconds),
            Some(seconds) if seconds > longest => {
                let message =
                    format!("DurationSeconds is {seconds}, at most {longest} is allowed.");
                Err(ApiError::new("InvalidParameter.OverTimeError", message))
            }
            Some(_) | None => {
                let message = "DurationSeconds must be a positive number of seconds.";
                Err(ApiError::new("InvalidParameter.ParamError", message))
            }
        }
    }
}

fn from_json(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::new("InvalidParameter", format!("The body is not a JSON object: {error}"))
    })
}

fn from_query(query: &str) -> Map<String, Value> {
    let decode = |text: &str| String::from_utf8_lossy(&form_decode(text)).into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), Value::from(decode(value))))
        .collect()
}
