//! One key: id, secret and token as one value.

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
