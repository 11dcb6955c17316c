//! The one table of settings: it drives `config.toml`, the environment, the flags and
//! `print-config`. A key that is not here does not exist.

use super::value::Kind::{
    self, Addresses, Choice, Count, Flag, List, Path, Share, Size, Span, Text, Variable,
};

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key`; `keys.*.key` stands in every table `[keys.NAME]`, `route[].key` in every
    /// `[[route]]`.
    pub path: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// The default in the spelling of the environment; empty where there is none.
    pub default: &'static str,
    /// One line for `--help-all`.
    pub help: &'static str,
}

const fn now(path: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { path, kind, default, help }
}

/// Every setting, in the order of `config.toml`.
pub const SETTINGS: &[Setting] = &[
    now("listen.address", Addresses, "127.0.0.1:9000,[::1]:9000", "where local programs connect"),
    now("listen.allow_remote_clients", Flag, "false", "listen beyond loopback"),
    now("listen.allowed_hosts", List, "", "names of this proxy besides localhost"),
    now("listen.path_style", Choice(PATH_STYLES), "auto", "how a bare path is read"),
    now("listen.threads", Count(0, 1024), "0", "data threads, 0 = one per core"),
    now("listen.idle_timeout", Span, "75s", "a client between two requests"),
    now("telemetry.address", Addresses, "127.0.0.1:9001", "/metrics /livez /readyz /startup"),
    now("control.address", Addresses, "127.0.0.1:9002", "status, refresh, quit: loopback or unix"),
    now("upstream.region", Text, "", "such as ap-guangzhou"),
    now("upstream.bucket", Text, "", "such as examplebucket-1250000000"),
    now("upstream.endpoint", Text, "https://{bucket}.cos.{region}.myqcloud.com", "COS"),
    now("upstream.service_endpoint", Text, "https://service.cos.myqcloud.com", "list of buckets"),
    now("upstream.domains", List, "", "custom domains that are buckets of this account"),
    now(
        "upstream.host_families",
        List,
        "myqcloud.com,tencentcos.cn,tencentci.cn",
        "COS names that clients may ask for",
    ),
    now("upstream.connect_to", Text, "", "host:port to dial instead; Host and TLS name stay"),
    now("upstream.splice", Flag, "true", "large bodies pass inside the kernel"),
    now("upstream.ca_file", Path, "", "trusted besides the system's certificates"),
    now("upstream.connect_timeout", Span, "2s", "TCP, and after it TLS"),
    now("upstream.first_byte_timeout", Span, "60s", "from the end of the upload to the answer"),
    now("upstream.stall_timeout", Span, "60s", "no byte in either direction"),
    now("upstream.pool_idle_timeout", Span, "50s", "life of an idle connection, below 60s"),
    now("upstream.pool_idle_per_thread", Count(0, 65_536), "1024", "idle connections per thread"),
    now("limits.connections", Count(1, 1_000_000), "10000", "client connections at once"),
    now(
        "limits.requests_per_connection",
        Count(0, 1_000_000_000),
        "100000",
        "then closed, 0 = never",
    ),
    now("limits.head_bytes", Size(1024, 1 << 20), "64KiB", "request line and headers"),
    now("limits.fields", Count(8, 128), "128", "header lines"),
    now("limits.target_bytes", Size(256, 1 << 20), "16KiB", "path and query"),
    now("limits.head_timeout", Span, "10s", "from the first byte of a head to its last"),
    now("limits.body_min_rate", Size(0, 1 << 30), "256B", "of bodies, a second; 0B = any"),
    now("limits.held_body_bytes", Size(0, 16 << 20), "1MiB", "XML posts held to be digested"),
    now("limits.replay_body_bytes", Size(0, 1 << 20), "0B", "uploads held to be repeated"),
    now("keys.wait", Span, "3s", "a request without a key waits this long, then 503"),
    now("keys.on_expired", Choice(&["refuse", "try"]), "refuse", "no key left: 503, or try"),
    now("keys.*.source", Choice(SOURCES), "auto", "where keys come from"),
    now("keys.*.secret_id_env", Variable, "", "environment variable with the SecretId"),
    now("keys.*.secret_key_env", Variable, "", "environment variable with the SecretKey"),
    now("keys.*.token_env", Variable, "", "environment variable with the token"),
    now("keys.*.secret_id_file", Path, "", "file with the SecretId"),
    now("keys.*.secret_key_file", Path, "", "file with the SecretKey"),
    now("keys.*.token_file", Path, "", "file with the token"),
    now("keys.*.endpoint", Text, "", "the source's server"),
    now("keys.*.region", Text, "", "X-TC-Region of STS"),
    now("keys.*.duration", Span, "2h", "life to ask for"),
    now("keys.*.scope", Choice(&["bucket", "routes", "role"]), "", "policy sent to STS"),
    now("keys.*.list_form", Choice(&["prefix", "condition"]), "prefix", "scope routes: lists"),
    now("keys.*.policy_file", Path, "", "a policy written by hand"),
    now("keys.*.role_arn", Text, "", "role to take"),
    now("keys.*.session_name", Text, "", "name in the audit log, not set: cos-auth-proxy-POD"),
    now("keys.*.external_id", Text, "", "agreed with the role's owner"),
    now("keys.*.tags", List, "", "name=value"),
    now("keys.*.via", Text, "", "the key set that signs the call"),
    now("keys.*.provider_id", Text, "", "web-identity: identity provider"),
    now("keys.*.web_identity_token_file", Path, "", "web-identity: token, re-read at each call"),
    now("keys.*.role", Text, "", "instance-role: one of several"),
    now("keys.*.method", Choice(&["GET", "POST"]), "GET", "http: request method"),
    now("keys.*.headers", List, "", "http: \"Name: value\""),
    now("keys.*.body", Text, "", "http: sent with POST"),
    now("keys.*.bearer_token_file", Path, "", "http: file with a bearer token"),
    now("keys.*.ca_file", Path, "", "trusted for the source's server"),
    now("keys.*.path", Path, "", "file: watched"),
    now("keys.*.format", Choice(&["auto", "json", "env", "ini"]), "auto", "file: its form"),
    now("keys.*.command", List, "", "exec: absolute path and arguments"),
    now("keys.*.timeout", Span, "", "http: instead of refresh.attempt_timeout; exec: 30s"),
    now("keys.*.cache_file", Path, "", "keeps the key over a restart"),
    now("refresh.from", Share, "0.5", "refresh after this share of a key's life"),
    now("refresh.to", Share, "0.7", "and before this share"),
    now("refresh.floor", Span, "30s", "never sooner after a key came"),
    now("refresh.least_remaining_life", Span, "60s", "a new key with less is refused"),
    now("refresh.longest_life", Span, "48h", "a new key with more is refused"),
    now("refresh.previous_key_retention", Span, "5m", "the replaced key stays as a fallback"),
    now("refresh.connect_timeout", Span, "2s", "one attempt: TCP and TLS"),
    now("refresh.attempt_timeout", Span, "5s", "one attempt as a whole"),
    now("refresh.transient_base", Span, "1s", "first wait after a fault"),
    now("refresh.transient_cap_least", Span, "15s", "cap of the wait, at least"),
    now("refresh.transient_cap_most", Span, "60s", "cap of the wait, at most"),
    now("refresh.transient_cap_without_key", Span, "30s", "cap with no usable key"),
    now("refresh.throttled_base", Span, "4s", "first wait after \"slow down\""),
    now("refresh.throttled_cap", Span, "120s", "its cap"),
    now("refresh.throttled_cap_without_key", Span, "60s", "its cap with no usable key"),
    now("refresh.operator_pause", Span, "5m", "after a fault that only a person can mend"),
    now("refresh.operator_spread", Share, "0.2", "more or less by this share"),
    now("refresh.operator_pause_without_key", Span, "30s", "the same with no usable key"),
    now("refresh.parent_pause_least", Span, "15s", "the asking key was refused: least wait"),
    now("refresh.parent_pause_most", Span, "60s", "the asking key was refused: longest wait"),
    now("refresh.unchanged_poll", Span, "60s", "the source gave the same key: ask again"),
    now("refresh.unchanged_poll_near_end", Span, "10s", "the same when the key is about to end"),
    now("refresh.longest_poll", Span, "10m", "instance-role: ask at least this often"),
    now("refresh.forced_interval", Span, "30s", "COS refused the key: one extra refresh per this"),
    now("refresh.forced_burst", Count(1, 100), "2", "or so many at once"),
    now("refresh.wall_clock_tick", Span, "5s", "look for a suspended host or a stepped clock"),
    now("refresh.startup_jitter", Span, "0s", "first fetch after a random wait up to this"),
    now("refresh.warn_share", Share, "0.3", "rest of the life at which to warn"),
    now("refresh.critical_share", Share, "0.1", "rest of the life at which to cry"),
    now("refresh.critical_life", Span, "5m", "or this much"),
    now("refresh.near_expiry", Span, "5s", "with less, wait for the key under way"),
    now("clock.samples", Count(1, 100), "5", "median of so many `Date` headers"),
    now("clock.ignore_below", Span, "2s", "smaller offsets count as none"),
    now("clock.longest", Span, "24h", "larger offsets are nonsense"),
    now("route[].bucket", Text, "", "upstream.bucket if not set"),
    now("route[].region", Text, "", "upstream.region if not set"),
    now("route[].prefix", Text, "", "keys that begin so"),
    now("route[].allow", List, "", "groups or CAM actions"),
    now("route[].keys", Text, "default", "the key set to sign with"),
    now("key_endpoint.address", Addresses, "", "hands out keys: loopback or unix"),
    now("key_endpoint.socket_mode", Choice(SOCKET_MODES), "0600", "mode of its unix sockets"),
    now("key_endpoint.shapes", List, "metadata,sts", "replies to speak"),
    now("key_endpoint.keys", List, "default", "the key sets to hand out"),
    now("key_endpoint.bearer_token_file", Path, "", "file with the token that is asked for"),
    now("key_endpoint.margin", Span, "60s", "told ends are earlier than real ones by this"),
    now("log.level", Text, "info", "error, warn, info, debug, trace, or target=level,…"),
    now("log.format", Choice(&["auto", "human", "json"]), "auto", "human on a terminal, else JSON"),
    now("log.access", Flag, "false", "one line per request"),
    now("shutdown.grace", Span, "25s", "running requests may end in this time"),
];

const SOCKET_MODES: &[&str] = &["0600", "0660", "0666"];
const PATH_STYLES: &[&str] = &["auto", "key", "bucket/key"];

/// All names of sources.
pub const SOURCES: &[&str] = &[
    "auto",
    "static",
    "federation-token",
    "assume-role",
    "http",
    "web-identity",
    "instance-role",
    "file",
    "exec",
];

/// Everyday flags: alias and what it means.
pub const ALIASES: &[(&str, &str)] = &[
    ("bucket", "upstream.bucket"),
    ("region", "upstream.region"),
    ("listen", "listen.address"),
    ("allow-remote-clients", "listen.allow_remote_clients"),
];

/// The setting that `path` belongs to; `keys.reports.source` finds `keys.*.source`.
#[must_use]
pub fn setting(path: &str) -> Option<&'static Setting> {
    let template = template(path);
    SETTINGS.iter().find(|setting| setting.path == template)
}

/// `keys.reports.source` → `keys.*.source`, `route[3].bucket` → `route[].bucket`.
#[must_use]
pub fn template(path: &str) -> String {
    let mut parts = path.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("keys"), Some(_), Some(key), None) => format!("keys.*.{key}"),
        (Some(route), Some(key), None, None) if route.starts_with("route[") => {
            format!("route[].{key}")
        }
        _ => path.to_owned(),
    }
}

impl Setting {
    /// Whether it has the spellings of environment and flag too. Lists and tables do not, except
    /// the listen addresses, which are comma separated there.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        !matches!(self.kind, List) && !self.path.starts_with("route[")
    }

    /// The path of the setting itself; that of the key set `default` where it stands in every one.
    #[must_use]
    pub fn own_path(&self) -> String {
        self.path.replace(".*.", ".default.")
    }

    /// `upstream-region`, without the dashes before it.
    #[must_use]
    pub fn flag(&self) -> String {
        self.own_path().replace(['.', '_'], "-")
    }

    /// `COS_AUTH_PROXY_UPSTREAM_REGION`
    #[must_use]
    pub fn variable(&self) -> String {
        format!("COS_AUTH_PROXY_{}", self.own_path().replace('.', "_").to_ascii_uppercase())
    }

    /// The section as a header of `config.toml` writes it, and the key inside it.
    #[must_use]
    pub fn section_and_key(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}
