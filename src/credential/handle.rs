//! "A new key now": the way in for an operator.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;

use super::{KeyReader, KeyStatus};

/// Why "a new key now" was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshNowError {
    /// Forced refreshes are limited.
    #[error(
        "forced refreshes are limited (refresh.forced_interval, refresh.forced_burst); the next is possible in {} s",
        try_in.as_secs() + 1
    )]
    Limited {
        /// When to ask again.
        try_in: Duration,
    },
    /// The attempt failed; the key that was held still is.
    #[error("{reason}")]
    Failed {
        /// What it failed with.
        reason: String,
    },
    /// The refresher has ended: the process is going down.
    #[error("the process is ending")]
    Ended,
}

/// Where the outcome of an attempt is told to one who asked for it.
pub(super) type Answer = oneshot::Sender<Result<(), RefreshNowError>>;

/// Asks a refresher for a new key now.
#[derive(Debug, Clone)]
pub struct RefresherHandle {
    pub(super) commands: mpsc::Sender<Answer>,
    pub(super) reader: KeyReader,
    pub(super) clock: Clock,
}

impl RefresherHandle {
    /// Gets a new key now and tells how the key set is doing after that. Those who ask while an
    /// attempt is under way share it. Cancel-safe: the attempt goes on.
    ///
    /// # Errors
    /// [`RefreshNowError`]; the key that was held still is.
    pub async fn refresh_now(&self) -> Result<KeyStatus, RefreshNowError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(answer).await.map_err(|_closed| RefreshNowError::Ended)?;
        answered.await.map_err(|_dropped| RefreshNowError::Ended)??;
        Ok(self.status())
    }

    /// How the key set is doing now.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        self.reader.status(self.clock.now())
    }

    /// The name of the key set.
    #[must_use]
    pub fn name(&self) -> &str {
        self.reader.name()
    }
}
