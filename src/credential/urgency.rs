//! How near its end a key is.

use serde::Serialize;

use crate::clock::Timestamp;

use super::{Credential, RefreshSettings};

/// How much a key's end should trouble an operator. A key is renewed long before it troubles
/// anybody, so anything but `calm` means that refreshes fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Nothing to worry about, or no key at all.
    #[default]
    Calm,
    /// Less than `refresh.warn_share` of its life is left.
    Warn,
    /// Less than `refresh.critical_share` of its life is left, or less than
    /// `refresh.critical_life`.
    Critical,
}

impl Urgency {
    /// How urgent `key` is at `now`.
    #[must_use]
    pub fn of(key: &Credential, now: Timestamp, settings: &RefreshSettings) -> Self {
        let Some(expires_at) = key.expires_at else { return Self::Calm };
        let life = expires_at.since(key.received_at);
        let left = expires_at.since(now);
        let warn = life.mul_f64(settings.warn_share);
        // A short-lived key is not critical from its first day.
        let critical = life.mul_f64(settings.critical_share).max(settings.critical_life.min(warn));
        if left < critical {
            Self::Critical
        } else if left < warn {
            Self::Warn
        } else {
            Self::Calm
        }
    }

    /// The name in `status`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Warn => "warn",
            Self::Critical => "critical",
        }
    }

    /// One line for the log.
    pub(super) fn tell(
        self,
        keys: &str,
        expires_at: Option<Timestamp>,
        now: Timestamp,
        next_refresh_at: Option<Timestamp>,
    ) {
        let left = expires_at.map(|at| at.since(now).as_secs());
        let next = next_refresh_at.map(tracing::field::display);
        match self {
            Self::Calm => {}
            Self::Warn => tracing::warn!(
                target: "cos_auth_proxy::keys",
                keys, expires_in_seconds = left, next_refresh_at = next,
                "the key is running out and no new one has come"
            ),
            Self::Critical => tracing::error!(
                target: "cos_auth_proxy::keys",
                keys, expires_in_seconds = left, next_refresh_at = next,
                "the key is about to end and no new one has come"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::{SecretId, SecretKey};

    const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    #[test]
    fn a_keys_end_troubles_in_two_steps() {
        let settings = RefreshSettings::default();
        for (life, passed, expected) in [
            (Some(7200), 0, Urgency::Calm),
            (Some(7200), 5040, Urgency::Calm),
            (Some(7200), 5041, Urgency::Warn),
            (Some(7200), 6480, Urgency::Warn),
            (Some(7200), 6481, Urgency::Critical),
            (Some(7200), 9999, Urgency::Critical),
            (Some(1800), 1500, Urgency::Warn),
            (Some(1800), 1501, Urgency::Critical), // five minutes
            (Some(60), 42, Urgency::Calm),         // five minutes would be all of it
            (Some(60), 43, Urgency::Critical),
            (None, 1_000_000, Urgency::Calm),
        ] {
            let key = Credential {
                id: SecretId::new("AKID").unwrap(),
                secret: SecretKey::new("secret").unwrap(),
                token: None,
                expires_at: life.map(|life| EPOCH + Duration::from_secs(life)),
                received_at: EPOCH,
            };
            let now = EPOCH + Duration::from_secs(passed);
            assert_eq!(Urgency::of(&key, now, &settings), expected, "{life:?} after {passed}");
        }
    }
}
