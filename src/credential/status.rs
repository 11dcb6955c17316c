//! What an operator may see of a key set.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;

use super::{Credential, error::RetryClass, metrics::Outcome, urgency::Urgency};

/// A snapshot of a key set, without any secret. Instants are RFC 3339 when serialised.
#[derive(Debug, Clone, Serialize)]
pub struct KeyStatus {
    /// Name of the key set.
    pub name: String,
    /// Kind of its source.
    pub source: &'static str,
    /// A key is held that may be used now.
    pub usable: bool,
    /// The first 8 characters of the current key's id.
    pub secret_id: Option<String>,
    /// When the current key came.
    #[serde(serialize_with = "instant")]
    pub received_at: Option<Timestamp>,
    /// When the current key ends; `None` if that is not known or there is no key.
    #[serde(serialize_with = "instant")]
    pub expires_at: Option<Timestamp>,
    /// Whole seconds until then; 0 if it has passed.
    pub expires_in_seconds: Option<u64>,
    /// How much that should trouble an operator.
    pub urgency: Urgency,
    /// When the next attempt is due; `None` if none is planned.
    #[serde(serialize_with = "instant")]
    pub next_refresh_at: Option<Timestamp>,
    /// What the last attempt failed with; `None` after a success.
    pub last_error: Option<String>,
    /// When that attempt ended.
    #[serde(serialize_with = "instant")]
    pub last_error_at: Option<Timestamp>,
    /// How that failure is retried: the value of the label `class`.
    pub last_error_class: Option<&'static str>,
    /// The server's id of the request that failed, if it gave one.
    pub last_error_request_id: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// When the last attempt succeeded.
    #[serde(serialize_with = "instant")]
    pub last_success_at: Option<Timestamp>,
    /// Keys that became the current one.
    pub swaps: u64,
    /// Attempts made because the key was rejected or somebody asked.
    pub forced_refreshes: u64,
    /// Attempts by how they ended.
    pub refreshes: RefreshCounts,
}

/// Attempts to get a key, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RefreshCounts {
    /// A new key became the current one.
    pub swapped: u64,
    /// The source gave the key that is held.
    pub unchanged: u64,
    /// The source gave a key that was not acceptable.
    pub refused: u64,
    /// The source gave no key.
    pub failed: u64,
}

impl RefreshCounts {
    pub(super) fn count(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Swapped => &mut self.swapped,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Refused => &mut self.refused,
            Outcome::Failed => &mut self.failed,
        };
        *counter += 1;
    }
}

fn instant<S: serde::Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}

/// What the last attempt failed with.
#[derive(Debug)]
pub(super) struct LastError {
    pub(super) text: String,
    pub(super) at: Timestamp,
    pub(super) class: RetryClass,
    pub(super) request_id: Option<String>,
}

/// What the refresher writes down as it goes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) source: &'static str,
    pub(super) urgency: Urgency,
    pub(super) next_refresh_at: Option<Timestamp>,
    pub(super) last_error: Option<LastError>,
    pub(super) failures: u32,
    pub(super) last_success_at: Option<Timestamp>,
    pub(super) forced_refreshes: u64,
    pub(super) refreshes: RefreshCounts,
}

impl Progress {
    pub(super) fn status(
        &self,
        name: &str,
        held: Option<&Credential>,
        now: Timestamp,
    ) -> KeyStatus {
        let last_error = self.last_error.as_ref();
        KeyStatus {
            name: name.to_owned(),
            source: self.source,
            usable: held.is_some_and(|key| key.is_usable(now)),
            secret_id: held.map(|key| key.id.short().to_owned()),
            received_at: held.map(|key| key.received_at),
            expires_at: held.and_then(|key| key.expires_at),
            expires_in_seconds: held
                .and_then(|key| key.remaining(now))
                .as_ref()
                .map(Duration::as_secs),
            urgency: self.urgency,
            next_refresh_at: self.next_refresh_at,
            last_error: last_error.map(|error| error.text.clone()),
            last_error_at: last_error.map(|error| error.at),
            last_error_class: last_error.map(|error| error.class.label()),
            last_error_request_id: last_error.and_then(|error| error.request_id.clone()),
            failures: self.failures,
            last_success_at: self.last_success_at,
            swaps: self.refreshes.swapped,
            forced_refreshes: self.forced_refreshes,
            refreshes: self.refreshes,
        }
    }
}
