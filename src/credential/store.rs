//! One writer, many readers, one atomic load.

use std::{sync::Arc, time::Duration};

use crate::clock::Timestamp;

use super::Credential;

/// Why there is no key to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The first key has not come yet.
    #[error("no key yet: {reason}")]
    NotYet {
        /// What the last attempt failed with, or that it is under way.
        reason: String,
    },
    /// The key ran out and no new one came.
    #[error("the key expired at {expired_at}: {reason}")]
    Expired {
        /// When the key ended.
        expired_at: Timestamp,
        /// What the last attempt failed with.
        reason: String,
    },
}

/// How the key set is doing, for health, status and metrics.
#[derive(Debug, Clone)]
pub struct KeyHealth {
    /// A key is held that may be used now.
    pub usable: bool,
    /// The first key has been had.
    pub started: bool,
}

/// The cheap handle of the data path: wait-free reads.
#[derive(Clone, Debug)]
pub struct KeyReader {}

/// The one writer; lives in the refresher.
#[derive(Debug)]
pub struct KeyWriter {}

/// A store without a key: its writer and a first reader.
#[must_use]
pub fn channel() -> (KeyWriter, KeyReader) {
    (KeyWriter {}, KeyReader {})
}

impl KeyReader {
    /// The key to sign with at `now`. Wait-free.
    ///
    /// # Errors
    /// [`NoKey`] until the first key came, and once the key has expired.
    pub fn current(&self, _now: Timestamp) -> Result<Arc<Credential>, NoKey> {
        unimplemented!()
    }

    /// Waits until a usable key is there or `patience` is over. Cancel-safe.
    ///
    /// # Errors
    /// [`NoKey`] when `patience` is over.
    pub async fn wait(&self, _patience: Duration) -> Result<Arc<Credential>, NoKey> {
        unimplemented!()
    }

    /// The upstream refused this key, by its error code: rings the refresher (rate limited there).
    pub fn report_rejected(&self, _credential: &Credential, _code: &str) {
        unimplemented!()
    }

    /// How the key set is doing.
    #[must_use]
    pub fn health(&self, _now: Timestamp) -> KeyHealth {
        unimplemented!()
    }
}
