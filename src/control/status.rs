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
    /// When it ends, RFC 3339; `null` when the source does not say.
    pub expires_at: Option<String>,
    /// Seconds until then; negative once it is over.
    pub expires_in_seconds: Option<i64>,
    /// When the next refresh is due, RFC 3339.
    pub next_refresh_at: Option<String>,
    /// What the last attempt failed with; `null` after a success.
    pub last_error: Option<String>,
    /// Keys swapped in since the start.
    pub swaps: u64,
    /// Refreshes that COS's refusals or the operator forced.
    pub forced_refreshes: u64,
}
