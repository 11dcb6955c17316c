//! From settings to a running refresher, or to one key for a check.

use crate::{clock::Clock, shutdown::Shutdown};

use super::{
    Credential, KeyMetrics, KeyReader, KeySetSettings, SettingProblem,
    accept::{self, Refusal},
    error::{RetryClass, SourceError},
    handle::RefresherHandle,
    refresher::Refresher,
    source::{self, fetch},
};

/// Starts the task that keeps a key set fresh, on the current runtime, and returns at once: the
/// first key comes when it comes.
///
/// # Errors
/// [`StartError`] with everything that is wrong with the settings.
pub fn start(
    settings: &KeySetSettings,
    clock: &Clock,
    metrics: &KeyMetrics,
    shutdown: &Shutdown,
) -> Result<(KeyReader, RefresherHandle), StartError> {
    checked(settings)?;
    let source = source::build(settings, clock);
    let (refresher, reader, handle) = Refresher::new(
        &settings.name,
        source,
        settings.refresh.clone(),
        clock.clone(),
        metrics.clone(),
        fastrand::Rng::new(),
    );
    shutdown.spawn("key refresher", refresher.run(shutdown.clone()));
    Ok((reader, handle))
}

/// Gets one key and judges it as a refresher would, without keeping it: for a check of the
/// configuration.
///
/// # Errors
/// [`RefreshError`] from the settings, the source or the judgement.
pub async fn once(settings: &KeySetSettings, clock: &Clock) -> Result<Credential, RefreshError> {
    checked(settings)?;
    let source = source::build(settings, clock);
    let mut attempt = fetch(source.as_ref()).await;
    if attempt.as_ref().is_err_and(|fault| fault.retry() == RetryClass::Clock) {
        attempt = fetch(source.as_ref()).await;
    }
    let credential = attempt?.credential;
    accept::judge(&credential, None, clock.now(), false, &settings.refresh)?;
    Ok(credential)
}

fn checked(settings: &KeySetSettings) -> Result<(), StartError> {
    let problems = settings.problems();
    if problems.is_empty() {
        return Ok(());
    }
    Err(StartError { name: settings.name.clone(), problems })
}

/// A key set that cannot be started as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keys.{name}: {}", shown(problems))]
pub struct StartError {
    /// Name of the key set.
    pub name: String,
    /// Everything that is wrong with its settings.
    pub problems: Vec<SettingProblem>,
}

fn shown(problems: &[SettingProblem]) -> String {
    problems.iter().map(SettingProblem::to_string).collect::<Vec<_>>().join("; ")
}

/// Why an attempt gave no new key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The source gave no key.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The source gave a key that cannot be used.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] StartError),
}

impl RefreshError {
    /// How the failure is retried.
    #[must_use]
    pub fn retry(&self) -> RetryClass {
        match self {
            Self::Source(fault) => fault.retry(),
            Self::Refused(_) => RetryClass::Transient,
            Self::Settings(_) => RetryClass::Operator,
        }
    }
}
