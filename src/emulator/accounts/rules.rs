//! What a test may decide about the servers of keys.

use crate::emulator::policy::Policy;

/// What COS answers to a temporary key past its end: reports from production name several codes,
/// so a test can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ExpiredKeyAnswer {
    /// 400 `ExpiredToken`, the code of the official table (doc 436/7730).
    #[default]
    ExpiredToken,
    /// 403 `InvalidAccessKeyId`.
    InvalidAccessKeyId,
    /// 403 `AccessDenied`, `Request has expired`.
    RequestHasExpired,
}

/// How the home-made key server behaves.
#[derive(Clone, Debug, Default)]
pub struct KeyServerRules {
    /// The bearer token every request must show, if any.
    pub bearer: Option<String>,
    /// What its keys may do when the request does not say; `None`: everything.
    pub policy: Option<Policy>,
}
