//! What the probes ask: has it started, may it get requests.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{clock::Clock, credential::KeyReader};

/// The state behind the probes.
#[derive(Debug, Clone)]
pub struct Health {
    clock: Clock,
    keys: Vec<KeyReader>,
    draining: Arc<AtomicBool>,
}

/// Why no requests should come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The process is on its way out.
    #[error("draining; no new requests, please")]
    Draining,
    /// No first key yet.
    #[error("the first key has not come yet; the log says why")]
    NoFirstKey,
    /// Every key has expired and no new one came.
    #[error("every key has expired and no new one came; the log says why")]
    KeysExpired,
}

impl Health {
    /// Health of `keys`, judged by `clock`; not ready once `draining` is true.
    #[must_use]
    pub fn new(clock: Clock, keys: Vec<KeyReader>, draining: Arc<AtomicBool>) -> Self {
        Self { clock, keys, draining }
    }

    /// Whether requests may come: at least one usable key, and not draining.
    ///
    /// # Errors
    /// [`NotReady`] says what is missing.
    pub fn ready(&self) -> Result<(), NotReady> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(NotReady::Draining);
        }
        let now = self.clock.now();
        if self.keys.iter().any(|keys| keys.health(now).usable) {
            Ok(())
        } else if self.started() {
            Err(NotReady::KeysExpired)
        } else {
            Err(NotReady::NoFirstKey)
        }
    }

    /// Whether the first key has been had; stays true.
    #[must_use]
    pub fn started(&self) -> bool {
        let now = self.clock.now();
        self.keys.iter().any(|keys| keys.health(now).started)
    }
}
