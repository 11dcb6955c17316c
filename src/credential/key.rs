//! One key: id, secret and token as one value.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    secret::{SecretId, SecretKey, SessionToken},
};

/// A key as a source handed it out, checked at birth.
#[derive(Debug)]
pub struct Credential {
    /// Public name.
    pub id: SecretId,
    /// Signing secret.
    pub secret: SecretKey,
    /// Token of a temporary key; `None` for a permanent one.
    pub token: Option<SessionToken>,
    /// Last instant of validity; `None` when the source does not say.
    pub expires_at: Option<Timestamp>,
    /// When it reached us.
    pub received_at: Timestamp,
}

impl Credential {
    /// Whether requests may still be signed with it. A key of unknown expiry always may.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Life left: zero once expired, `None` when the end is not known.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.expires_at.map(|end| end.since(now))
    }
}
