//! The series of the keys. Labels come from key set names and enums, so their number is bounded.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::clock::Timestamp;

use super::{Credential, error::RetryClass};

/// How an attempt to get a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A new key became the current one.
    Swapped,
    /// The source gave the key that is held.
    Unchanged,
    /// The source gave a key that was not acceptable.
    Refused,
    /// The source gave no key.
    Failed,
}

impl Outcome {
    /// The value of the label `outcome`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        self.label().encode(encoder)
    }
}

/// An upstream error code that names the key, as a bounded label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionCode {
    /// `InvalidAccessKeyId`.
    InvalidAccessKeyId,
    /// `ExpiredToken`.
    ExpiredToken,
    /// `InvalidToken`.
    InvalidToken,
    /// `InvalidSecurityToken`.
    InvalidSecurityToken,
    /// `AccessDenied`, with a message that the request has expired.
    AccessDenied,
    /// `SignatureDoesNotMatch`.
    SignatureDoesNotMatch,
    /// Any other code.
    Other,
}

impl RejectionCode {
    /// The code by COS's text.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code {
            "InvalidAccessKeyId" => Self::InvalidAccessKeyId,
            "ExpiredToken" => Self::ExpiredToken,
            "InvalidToken" => Self::InvalidToken,
            "InvalidSecurityToken" => Self::InvalidSecurityToken,
            "AccessDenied" => Self::AccessDenied,
            "SignatureDoesNotMatch" => Self::SignatureDoesNotMatch,
            _ => Self::Other,
        }
    }

    /// The value of the label `code`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::InvalidAccessKeyId => "InvalidAccessKeyId",
            Self::ExpiredToken => "ExpiredToken",
            Self::InvalidToken => "InvalidToken",
            Self::InvalidSecurityToken => "InvalidSecurityToken",
            Self::AccessDenied => "AccessDenied",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::Other => "other",
        }
    }
}

impl EncodeLabelValue for RejectionCode {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        self.label().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeysLabel {
    keys: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    keys: String,
    outcome: Outcome,
}

impl EncodeLabelValue for RetryClass {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        self.label().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    keys: String,
    class: RetryClass,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectionLabels {
    code: RejectionCode,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The series of all key sets. Clones count into the same series; `default()` counts for nobody.
#[derive(Debug, Clone)]
pub struct KeyMetrics {
    expiry: Family<KeysLabel, Seconds>,
    received: Family<KeysLabel, Seconds>,
    usable: Family<KeysLabel, Gauge>,
    next_refresh: Family<KeysLabel, Seconds>,
    last_success: Family<KeysLabel, Seconds>,
    refreshes: Family<RefreshLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    forced: Family<KeysLabel, Counter>,
    refresh_duration: Family<KeysLabel, Histogram>,
    swaps: Family<KeysLabel, Counter>,
    rejections: Family<RejectionLabels, Counter>,
    on_previous: Counter,
    on_expired: Counter,
    narrowed: Family<RefreshLabels, Counter>,
    narrowed_scopes: Family<KeysLabel, Gauge>,
    clock_offset: Seconds,
}

impl Default for KeyMetrics {
    fn default() -> Self {
        const BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self {
            expiry: Family::default(),
            received: Family::default(),
            usable: Family::default(),
            next_refresh: Family::default(),
            last_success: Family::default(),
            refreshes: Family::default(),
            failures: Family::default(),
            forced: Family::default(),
            refresh_duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            swaps: Family::default(),
            rejections: Family::default(),
            on_previous: Counter::default(),
            on_expired: Counter::default(),
            narrowed: Family::default(),
            narrowed_scopes: Family::default(),
            clock_offset: Gauge::default(),
        }
    }
}

impl KeyMetrics {
    /// Registers the series. `registry` carries the prefix of the process.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "key_expiry_timestamp_seconds",
            "When the current key ends, in seconds since the epoch; absent if that is not known",
            metrics.expiry.clone(),
        );
        registry.register(
            "key_received_timestamp_seconds",
            "When the current key came, in seconds since the epoch",
            metrics.received.clone(),
        );
        registry.register(
            "key_usable",
            "1 while a key is held that may be used",
            metrics.usable.clone(),
        );
        registry.register(
            "key_next_refresh_timestamp_seconds",
            "When the next attempt is due, in seconds since the epoch; absent if none is planned",
            metrics.next_refresh.clone(),
        );
        registry.register(
            "key_last_success_timestamp_seconds",
            "When the source last gave an acceptable key, in seconds since the epoch",
            metrics.last_success.clone(),
        );
        registry.register(
            "key_refreshes",
            "Attempts to get a key, by how they ended",
            metrics.refreshes.clone(),
        );
        registry.register(
            "key_refresh_failures",
            "Attempts that gave no new key, by how they are retried",
            metrics.failures.clone(),
        );
        registry.register(
            "key_forced_refreshes",
            "Attempts made because the key was refused or somebody asked",
            metrics.forced.clone(),
        );
        registry.register(
            "key_refresh_duration_seconds",
            "How long attempts to get a key took",
            metrics.refresh_duration.clone(),
        );
        registry.register("key_swaps", "Keys that became the current one", metrics.swaps.clone());
        registry.register(
            "key_rejections",
            "Upstream answers that refused the key, by their code",
            metrics.rejections.clone(),
        );
        registry.register(
            "key_requests_on_previous",
            "Requests signed with the key before the current one",
            metrics.on_previous.clone(),
        );
        registry.register(
            "key_requests_on_expired",
            "Requests signed with an expired key",
            metrics.on_expired.clone(),
        );
        registry.register(
            "key_narrowed_fetches",
            "Attempts to get a key for a narrower scope, by how they ended",
            metrics.narrowed.clone(),
        );
        registry.register(
            "key_narrowed_scopes",
            "Narrower scopes that are remembered",
            metrics.narrowed_scopes.clone(),
        );
        registry.register(
            "clock_offset_seconds",
            "How far the servers' clocks are ahead of ours",
            metrics.clock_offset.clone(),
        );
        metrics
    }

    pub(super) fn refreshed(&self, keys: &str, outcome: Outcome, seconds: f64) {
        let keys = KeysLabel { keys: keys.to_owned() };
        self.refresh_duration.get_or_create(&keys).observe(seconds);
        if outcome == Outcome::Swapped {
            self.swaps.get_or_create(&keys).inc();
        }
        let labels = RefreshLabels { keys: keys.keys, outcome };
        self.refreshes.get_or_create(&labels).inc();
    }

    pub(super) fn failed(&self, keys: &str, class: RetryClass) {
        let labels = FailureLabels { keys: keys.to_owned(), class };
        self.failures.get_or_create(&labels).inc();
    }

    pub(super) fn forced(&self, keys: &str) {
        self.forced.get_or_create(&KeysLabel { keys: keys.to_owned() }).inc();
    }

    pub(super) fn planned(&self, keys: &str, next: Option<Timestamp>) {
        set_or_remove(&self.next_refresh, keys, next);
    }

    pub(super) fn holds(&self, keys: &str, usable: bool, held: Option<&Credential>) {
        let label = KeysLabel { keys: keys.to_owned() };
        self.usable.get_or_create(&label).set(i64::from(usable));
        set_or_remove(&self.received, keys, held.map(|key| key.received_at));
        set_or_remove(&self.expiry, keys, held.and_then(|key| key.expires_at));
    }

    pub(super) fn succeeded(&self, keys: &str, at: Timestamp) {
        let keys = KeysLabel { keys: keys.to_owned() };
        self.last_success.get_or_create(&keys).set(seconds(at));
    }

    pub(super) fn narrowed(&self, keys: &str, outcome: Outcome) {
        let labels = RefreshLabels { keys: keys.to_owned(), outcome };
        self.narrowed.get_or_create(&labels).inc();
    }

    pub(super) fn narrowed_held(&self, keys: &str, scopes: usize) {
        let label = KeysLabel { keys: keys.to_owned() };
        let scopes = i64::try_from(scopes).unwrap_or(i64::MAX);
        self.narrowed_scopes.get_or_create(&label).set(scopes);
    }

    pub(super) fn rejected(&self, code: RejectionCode) {
        self.rejections.get_or_create(&RejectionLabels { code }).inc();
    }

    pub(super) fn used_previous(&self) {
        self.on_previous.inc();
    }

    pub(super) fn used_expired(&self) {
        self.on_expired.inc();
    }

    #[expect(clippy::cast_precision_loss, reason = "offsets are at most a day")]
    pub(super) fn clock_is_off_by(&self, millis: i64) {
        self.clock_offset.set(millis as f64 / 1000.0);
    }
}

/// An instant that is not known has no series.
fn set_or_remove(family: &Family<KeysLabel, Seconds>, keys: &str, at: Option<Timestamp>) {
    let label = KeysLabel { keys: keys.to_owned() };
    match at {
        Some(at) => {
            family.get_or_create(&label).set(seconds(at));
        }
        None => {
            family.remove(&label);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact until the year 280,000,000")]
fn seconds(at: Timestamp) -> f64 {
    at.unix_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SecretId, SecretKey};

    #[test]
    fn the_series_have_their_documented_names() {
        let mut registry = Registry::with_prefix("cos_auth_proxy");
        let metrics = KeyMetrics::register(&mut registry);
        metrics.refreshed("default", Outcome::Swapped, 0.2);
        let mut key = key();
        metrics.holds("default", true, Some(&key));
        metrics.planned("default", Some(Timestamp::from_unix_seconds(1_700_004_000)));
        metrics.failed("default", RetryClass::Throttled);
        metrics.forced("default");
        metrics.succeeded("default", Timestamp::from_unix_seconds(1_700_000_000));
        metrics.rejected(RejectionCode::of("InvalidAccessKeyId"));
        metrics.rejected(RejectionCode::of("whatever a server makes up"));
        metrics.used_previous();
        metrics.used_expired();
        metrics.clock_is_off_by(-2500);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "cos_auth_proxy_key_expiry_timestamp_seconds{keys=\"default\"} 1700007200.0",
            "cos_auth_proxy_key_received_timestamp_seconds{keys=\"default\"} 1700000000.0",
            "cos_auth_proxy_key_usable{keys=\"default\"} 1",
            "cos_auth_proxy_key_next_refresh_timestamp_seconds{keys=\"default\"} 1700004000.0",
            "cos_auth_proxy_key_refresh_failures_total{keys=\"default\",class=\"throttled\"} 1",
            "cos_auth_proxy_key_forced_refreshes_total{keys=\"default\"} 1",
            "cos_auth_proxy_key_last_success_timestamp_seconds{keys=\"default\"} 1700000000.0",
            "cos_auth_proxy_key_refreshes_total{keys=\"default\",outcome=\"swapped\"} 1",
            "cos_auth_proxy_key_refresh_duration_seconds_count{keys=\"default\"} 1",
            "cos_auth_proxy_key_swaps_total{keys=\"default\"} 1",
            "cos_auth_proxy_key_rejections_total{code=\"InvalidAccessKeyId\"} 1",
            "cos_auth_proxy_key_rejections_total{code=\"other\"} 1",
            "cos_auth_proxy_key_requests_on_previous_total 1",
            "cos_auth_proxy_key_requests_on_expired_total 1",
            "cos_auth_proxy_clock_offset_seconds -2.5",
        ] {
            assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
        }
        key.expires_at = None;
        metrics.holds("default", true, Some(&key));
        metrics.planned("default", None);
        text.clear();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(!text.contains("key_expiry_timestamp_seconds{"), "unknown expiry has no series");
        assert!(!text.contains("key_next_refresh_timestamp_seconds{"), "nothing is planned");
    }

    fn key() -> Credential {
        Credential {
            id: SecretId::new("AKIDexample").unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: None,
            expires_at: Some(Timestamp::from_unix_seconds(1_700_007_200)),
            received_at: Timestamp::from_unix_seconds(1_700_000_000),
        }
    }
}
