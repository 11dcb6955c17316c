//! What a key set is made of: its source and the numbers of its refresh, checked.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    secret::{SecretId, SecretKey, SessionToken},
};

use super::settings_check::{self as check, SettingProblem};

use super::{
    cache,
    endpoint::Endpoint,
    identity_settings::{InstanceRoleSettings, WebIdentitySettings},
    refresh_settings::RefreshSettings,
    settings_local::ExecSettings,
    source::{KeyFile, Remembered},
    tags::Tag,
};

/// The region STS is told when none is configured; Tencent Cloud's SDKs hard-code the same.
pub const DEFAULT_STS_REGION: &str = "ap-guangzhou";

/// Everything needed to keep one key fresh.
#[derive(Debug, Clone)]
pub struct KeySetSettings {
    /// The name in `[keys.NAME]`: a label of metrics, logs and status.
    pub name: String,
    /// Where keys come from.
    pub source: SourceSettings,
    /// When they are renewed.
    pub refresh: RefreshSettings,
    /// Where the key is kept over a restart; see `docs/OPERATIONS.md`.
    pub cache_file: Option<PathBuf>,
    /// Why another source was not taken, told while this one gives no key.
    pub passed_over: Vec<String>,
}

impl KeySetSettings {
    /// Settings with the default refresh numbers.
    #[must_use]
    pub fn new(name: &str, source: SourceSettings) -> Self {
        Self {
            name: name.to_owned(),
            source,
            refresh: RefreshSettings::default(),
            cache_file: None,
            passed_over: Vec::new(),
        }
    }

    /// Everything that is wrong, all at once; empty when the key set can be started.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = check::refresh(&self.refresh);
        problems.extend(match &self.source {
            SourceSettings::Static(_) => Vec::new(),
            SourceSettings::FederationToken(settings) => check::federation_token(settings),
            SourceSettings::AssumeRole(settings) => check::assume_role(settings),
            SourceSettings::Http(settings) => check::http(settings),
            SourceSettings::WebIdentity(settings) => check::web_identity(settings),
            SourceSettings::InstanceRole(settings) => check::instance_role(settings),
            SourceSettings::File(_) => Vec::new(),
            SourceSettings::Exec(settings) => settings.problems(),
        });
        if let (Some(_), SourceSettings::Static(_)) = (&self.cache_file, &self.source) {
            problems.push(SettingProblem {
                field: "cache_file",
                problem: "a static key is at hand at each start: nothing needs to be kept"
                    .to_owned(),
            });
        }
        problems
    }

    /// What will work, but is hardly meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.short_life();
        warnings.extend(self.cache_file.as_deref().and_then(cache::warning));
        warnings
    }

    fn short_life(&self) -> Vec<String> {
        let asked = match &self.source {
            SourceSettings::FederationToken(settings) => settings.duration,
            SourceSettings::AssumeRole(settings) => settings.duration,
            SourceSettings::WebIdentity(settings) => settings.duration,
            SourceSettings::Static(_)
            | SourceSettings::Http(_)
            | SourceSettings::InstanceRole(_)
            | SourceSettings::File(_)
            | SourceSettings::Exec(_) => return Vec::new(),
        };
        let warning = check::short_life(asked).map(|text| format!("duration: {text}"));
        warning.into_iter().collect()
    }

    /// The key set that makes the calls of this one.
    #[must_use]
    pub fn via(&self) -> Option<&str> {
        match &self.source {
            SourceSettings::AssumeRole(AssumeRoleSettings {
                parent: RoleParent::KeySet(name),
                ..
            }) => Some(name),
            SourceSettings::AssumeRole(_)
            | SourceSettings::Static(_)
            | SourceSettings::FederationToken(_)
            | SourceSettings::Http(_)
            | SourceSettings::WebIdentity(_)
            | SourceSettings::InstanceRole(_)
            | SourceSettings::File(_)
            | SourceSettings::Exec(_) => None,
        }
    }
}

/// Where keys come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SourceSettings {
    /// A key that is given, not fetched.
    Static(StaticSettings),
    /// `GetFederationToken` with a permanent key.
    FederationToken(FederationTokenSettings),
    /// `AssumeRole` with a permanent or temporary key, or with that of another key set.
    AssumeRole(AssumeRoleSettings),
    /// A home-made key server.
    Http(HttpSettings),
    /// `AssumeRoleWithWebIdentity` with a token that the platform keeps in a file.
    WebIdentity(WebIdentitySettings),
    /// The instance metadata of a CVM.
    InstanceRole(InstanceRoleSettings),
    /// A file that somebody else keeps fresh.
    File(KeyFile),
    /// A command that prints a key.
    Exec(ExecSettings),
}

impl SourceSettings {
    /// The name of the source in `config.toml`, logs and status.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::FederationToken(_) => "federation-token",
            Self::AssumeRole(_) => "assume-role",
            Self::Http(_) => "http",
            Self::WebIdentity(_) => "web-identity",
            Self::InstanceRole(_) => "instance-role",
            Self::File(_) => "file",
            Self::Exec(_) => "exec",
        }
    }
}

/// A key that is given: it signs STS calls, or, as a `static` source, requests. Clones share it.
#[derive(Debug, Clone)]
pub struct ParentKey {
    /// Public name.
    pub id: SecretId,
    /// Signing secret.
    pub secret: Arc<SecretKey>,
    /// Token, if the key is a temporary one.
    pub token: Option<Arc<SessionToken>>,
    /// Where it is read again; see [`ParentKey::standing_at`].
    pub(super) place: Option<Arc<Remembered>>,
}

impl ParentKey {
    /// A key from its parts.
    #[must_use]
    pub fn new(id: SecretId, secret: SecretKey, token: Option<SessionToken>) -> Self {
        Self { id, secret: Arc::new(secret), token: token.map(Arc::new), place: None }
    }

    /// Whether the id has the look of a temporary key: longer than the 36 characters of a
    /// permanent one. Such a key without its token is refused by everything.
    #[must_use]
    pub fn looks_temporary(&self) -> bool {
        self.id.looks_temporary()
    }
}

/// A `static` source.
#[derive(Debug, Clone)]
pub struct StaticSettings {
    /// The key that requests are signed with.
    pub key: ParentKey,
    /// When it ends, if that is known.
    pub expires_at: Option<Timestamp>,
}

/// How to reach the STS API.
#[derive(Debug, Clone)]
pub struct StsSettings {
    /// `https://sts.tencentcloudapi.com` unless told otherwise; http is for stand-ins.
    pub endpoint: Endpoint,
    /// `X-TC-Region`.
    pub region: String,
    /// PEM file with a certificate authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for StsSettings {
    /// The public host and [`DEFAULT_STS_REGION`].
    fn default() -> Self {
        Self {
            endpoint: Endpoint::public_sts(),
            region: DEFAULT_STS_REGION.to_owned(),
            ca_file: None,
        }
    }
}

/// A `federation-token` source (Tencent Cloud doc 1312/48195).
#[derive(Debug, Clone)]
pub struct FederationTokenSettings {
    /// How to reach STS.
    pub sts: StsSettings,
    /// The permanent key that asks. STS refuses temporary ones here.
    pub parent: ParentKey,
    /// Name of the federated user; anything STS does not take is replaced.
    pub session_name: String,
    /// CAM policy of the key, as JSON. See [`super::bucket_policy`].
    pub policy: String,
    /// Life to ask for, up to 36 h (2 h with a root account's key).
    pub duration: Duration,
}

/// An `assume-role` source.
#[derive(Debug, Clone)]
pub struct AssumeRoleSettings {
    /// How to reach STS.
    pub sts: StsSettings,
    /// The key that asks, permanent or temporary.
    pub parent: RoleParent,
    /// `qcs::cam::uin/<uin>:roleName/<name>` or `…:role/<id>`.
    pub role_arn: String,
    /// Shown in audit logs; stable over refreshes. Cut to 128, other characters replaced.
    pub session_name: String,
    /// Life to ask for, up to 12 h; the role may allow less.
    pub duration: Duration,
    /// CAM policy that narrows the role, as JSON.
    pub policy: Option<String>,
    /// What the role's owner asks for besides the caller's identity.
    pub external_id: Option<String>,
    /// Tags of the session; policies may ask for them.
    pub tags: Vec<Tag>,
}

/// Whose key makes the call of an `assume-role` source.
#[derive(Debug, Clone)]
pub enum RoleParent {
    /// A key that is given.
    Key(ParentKey),
    /// The key that the key set of this name holds at that time.
    KeySet(String),
}

impl From<ParentKey> for RoleParent {
    fn from(key: ParentKey) -> Self {
        Self::Key(key)
    }
}

/// How an `http` source asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMethod {
    /// `GET`.
    #[default]
    Get,
    /// `POST`.
    Post,
}

/// A header sent with each request of an `http` source. Its value is never shown.
#[derive(Debug, Clone)]
pub struct RequestHeader {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl RequestHeader {
    /// A header from its two texts; `None` if HTTP does not allow one of them.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Option<Self> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some(Self { name, value })
    }
}

/// An `http` source: a server that answers with a key in any of the usual shapes.
#[derive(Clone)]
pub struct HttpSettings {
    /// The whole URL. Only scheme, host and port are ever shown.
    pub url: Endpoint,
    /// How to ask.
    pub method: HttpMethod,
    /// Sent with each request.
    pub headers: Vec<RequestHeader>,
    /// Sent with each request; `content-type: application/json` unless a header says otherwise.
    pub body: Option<Zeroizing<String>>,
    /// A file with a token for `authorization: Bearer`, read again for each request.
    pub bearer_token_file: Option<PathBuf>,
    /// Deadline of one request instead of `refresh.attempt_timeout`.
    pub timeout: Option<Duration>,
    /// PEM file with a certificate authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl HttpSettings {
    /// A plain GET.
    #[must_use]
    pub fn get(url: Endpoint) -> Self {
        Self {
            url,
            method: HttpMethod::Get,
            headers: Vec::new(),
            body: None,
            bearer_token_file: None,
            timeout: None,
            ca_file: None,
        }
    }
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("url", &self.url)
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("body", &self.body.as_ref().map(|_| "redacted"))
            .field("bearer_token_file", &self.bearer_token_file)
            .field("timeout", &self.timeout)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}
