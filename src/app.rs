//! Puts the rooms together and runs them until told to end.

use crate::config::Settings;

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// As it was told to.
    Clean,
    /// An address could not be bound.
    CannotBind,
    /// A mistake in this program.
    Bug,
    /// Requests were still running when their time was over.
    DrainDeadline,
}

impl ExitReason {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::CannotBind => 69,
            Self::Bug => 70,
            Self::DrainDeadline => 75,
        }
    }
}

/// Serves until told to end.
#[must_use]
pub fn run(_settings: Settings) -> ExitReason {
    ExitReason::Bug
}

/// Gets one key and sends one HEAD to the bucket.
///
/// # Errors
/// What failed and what to do.
pub fn check_online(_settings: &Settings) -> Result<String, String> {
    Err("not built yet".to_owned())
}
