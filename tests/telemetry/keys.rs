//! Keys and a source of keys that does what a test says.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cos_auth_proxy::{
    clock::{Clock, Timestamp},
    credential::{Credential, Fetched, Fetching, KeySource, SourceError},
    secret::{SecretId, SecretKey, SessionToken},
};

pub(crate) const SECRET: &str = "the-secret-key-of-the-test";
pub(crate) const TOKEN: &str = "the-session-token-of-the-test";

pub(crate) fn key(id: &str, expires_at: Option<Timestamp>) -> Credential {
    Credential {
        id: SecretId::new(id).unwrap(),
        secret: SecretKey::new(SECRET).unwrap(),
        token: Some(SessionToken::new(TOKEN).unwrap()),
        expires_at,
        received_at: Clock::system().now(),
    }
}

/// Gives a new key of two hours each time, or never one.
pub(crate) struct Scripted {
    pub(crate) works: bool,
    pub(crate) fetches: AtomicU64,
}

impl Scripted {
    pub(crate) fn boxed(works: bool) -> Box<Self> {
        Box::new(Self { works, fetches: AtomicU64::new(0) })
    }
}

impl KeySource for Scripted {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let number = self.fetches.fetch_add(1, Ordering::Relaxed);
            if !self.works {
                return Err(SourceError::TimedOut {
                    endpoint: "https://sts.example".to_owned(),
                    waited: Duration::from_secs(5),
                });
            }
            let expires_at = Clock::system().now() + Duration::from_secs(7200);
            let credential = key(&format!("AKIDscripted{number}"), Some(expires_at));
            Ok(Fetched { credential, request_id: None })
        })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }
}
