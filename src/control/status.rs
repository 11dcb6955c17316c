//! What `GET /status` tells. No secret has a field here.

use serde::Serialize;

/// How the process is doing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Version that runs.
    pub version: &'static str,
    /// When the process started, RFC 3339.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// Where clients connect, as in `config.toml`.
    pub listen: Vec<String>,
    /// The process is on its way out.
    pub draining: bool,
    /// Threads that carry requests.
    pub data_threads: usize,
    /// Requests whose answer is not complete.
    pub requests_in_flight: u64,
    /// Requests that ended.
    pub requests_total: u64,
    /// Open client connections.
    pub client_connections: u64,
    /// How far the servers' clocks are ahead of ours (negative: behind).
    pub clock_offset_millis: i64,
    /// The key sets.
    pub keys: Vec<KeyStatus>,
}

/// How one key set is doing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeyStatus {
    /// Name in `config.toml`.
    pub name: String,
    /// Kind of source.
    pub source: String,
    /// A key is held that may be used now.
    pub usable: bool,
    /// First 8 characters of the key's public name.
    pub secret_id: Option<String>,
    /// When the key reached us, RFC 3339.
    pub received_at: Option<String>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
    /// When it ends, RFC 3339; `null` when the source does not say.
    pub expires_at: Option<String>,
    /// Seconds until then; negative once it is over.
    pub expires_in_seconds: Option<i64>,
    /// How much that should trouble you: `calm`, `warn` or `critical`.
    pub urgency: String,
    /// When the next refresh is due, RFC 3339.
    pub next_refresh_at: Option<String>,
    /// Seconds until then; negative while an attempt is under way.
    pub next_refresh_in_seconds: Option<i64>,
    /// When the source last gave an acceptable key, RFC 3339.
    pub last_success_at: Option<String>,
    /// What the last attempt failed with; `null` after a success.
    pub last_error: Option<String>,
    /// When it failed, RFC 3339.
    pub last_error_at: Option<String>,
    /// How that failure is retried: `transient`, `throttled`, `clock`, `parent` or `operator`.
    pub last_error_class: Option<String>,
    /// The id that STS gave the request that failed.
    pub last_error_request_id: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// Keys swapped in since the start.
    pub swaps: u64,
    /// Refreshes that COS's refusals or the operator forced.
    pub forced_refreshes: u64,
}

/// What became of an ordered refresh of one key set.
#[derive(Debug, Clone, Serialize)]
pub struct RefreshOutcome {
    /// How it ended.
    pub outcome: Refreshed,
    /// Why there is no new key; `null` if there is one.
    pub error: Option<String>,
    /// The key set after that.
    #[serde(flatten)]
    pub keys: KeyStatus,
}

/// How an ordered refresh ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refreshed {
    /// A new key is in use.
    Swapped,
    /// The source gave the key that is in use already.
    Unchanged,
    /// The attempt failed; the key that was held still is.
    Failed,
    /// Nothing was asked: forced refreshes are limited.
    Limited,
    /// The attempt takes longer than an order waits.
    Pending,
}
