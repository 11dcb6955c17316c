//! From settings to a running refresher, or to one key for a check.

use std::collections::BTreeMap;

use crate::{clock::Clock, shutdown::Shutdown};

use super::{
    Credential, KeyMetrics, KeyReader, KeySetSettings, SettingProblem,
    accept::{self, Refusal},
    cache::KeyCache,
    chain::{self, Link},
    error::{RetryClass, SourceError},
    handle::RefresherHandle,
    refresher::Refresher,
    source::{self, KeySource, fetch},
    store,
};

/// Starts the task that keeps a key set fresh, on the current runtime, and returns at once: the
/// first key comes when it comes. For a key set that makes its own calls; see [`start_all`].
///
/// # Errors
/// [`StartError`] with everything that is wrong with the settings.
pub fn start(
    settings: &KeySetSettings,
    clock: &Clock,
    metrics: &KeyMetrics,
    shutdown: &Shutdown,
) -> Result<(KeyReader, RefresherHandle), StartError> {
    Ok(set_going(assemble(settings, None, clock, metrics)?, shutdown))
}

/// The same for all key sets, of which some may make the calls of others (`via`). The results are in
/// the order of the settings.
///
/// # Errors
/// [`StartError`] for the first key set that cannot be started; then none is.
pub fn start_all(
    sets: &[KeySetSettings],
    clock: &Clock,
    metrics: &KeyMetrics,
    shutdown: &Shutdown,
) -> Result<Vec<(KeyReader, RefresherHandle)>, StartError> {
    let mut ready: BTreeMap<&str, Ready> = BTreeMap::new();
    for set in sets {
        for settings in way_to(sets, &set.name)? {
            if !ready.contains_key(settings.name.as_str()) {
                let parent = settings.via().and_then(|via| ready.get(via)).map(Ready::reader);
                ready.insert(&settings.name, assemble(settings, parent, clock, metrics)?);
            }
        }
    }
    let in_order = sets.iter().filter_map(|set| ready.remove(set.name.as_str()));
    Ok(in_order.map(|ready| set_going(ready, shutdown)).collect())
}

/// Gets one key and judges it as a refresher would, without keeping it: for a check of the
/// configuration. For a key set that makes its own calls; see [`once_of`].
///
/// # Errors
/// [`RefreshError`] from the settings, the source or the judgement.
pub async fn once(settings: &KeySetSettings, clock: &Clock) -> Result<Credential, RefreshError> {
    try_once(settings, None, clock).await
}

/// The same for the key set `name` of `sets`. If others make its calls, they get one key each first.
///
/// # Errors
/// [`RefreshError`] from the settings, a source or the judgement.
pub async fn once_of(
    sets: &[KeySetSettings],
    name: &str,
    clock: &Clock,
) -> Result<Credential, RefreshError> {
    let way = way_to(sets, name)?;
    let mut parent = None;
    for settings in way.iter().filter(|settings| settings.name != name) {
        let key = try_once(settings, parent.take(), clock).await.map_err(|fault| {
            let name = settings.name.clone();
            SourceError::ParentWithoutKey { name, reason: fault.to_string() }
        })?;
        let (writer, reader) = store::channel_named(&settings.name, clock.clone());
        writer.publish(key);
        parent = Some(reader);
    }
    let settings = way.last().ok_or_else(|| unstartable(name, chain::unknown(name)))?;
    try_once(settings, parent, clock).await
}

/// The key sets that lead to `name`, those that make calls for others first.
fn way_to<'a>(
    sets: &'a [KeySetSettings],
    name: &'a str,
) -> Result<Vec<&'a KeySetSettings>, StartError> {
    let links: Vec<_> = sets.iter().map(Link::from).collect();
    let way = chain::way_to(&links, name).map_err(|problem| unstartable(name, problem))?;
    Ok(way.iter().filter_map(|name| sets.iter().find(|set| set.name == *name)).collect())
}

/// A refresher that does not run yet.
struct Ready(Refresher, KeyReader, RefresherHandle);

impl Ready {
    fn reader(&self) -> KeyReader {
        self.1.clone()
    }
}

fn assemble(
    settings: &KeySetSettings,
    parent: Option<KeyReader>,
    clock: &Clock,
    metrics: &KeyMetrics,
) -> Result<Ready, StartError> {
    let (refresher, reader, handle) = Refresher::new(
        &settings.name,
        build(settings, parent, clock)?,
        settings.refresh.clone(),
        clock.clone(),
        metrics.clone(),
        fastrand::Rng::new(),
    );
    let refresher = refresher.keeping_in(KeyCache::of(settings));
    Ok(Ready(refresher, reader, handle))
}

fn set_going(ready: Ready, shutdown: &Shutdown) -> (KeyReader, RefresherHandle) {
    let Ready(refresher, reader, handle) = ready;
    shutdown.spawn("key refresher", refresher.run(shutdown.clone()));
    (reader, handle)
}

async fn try_once(
    settings: &KeySetSettings,
    parent: Option<KeyReader>,
    clock: &Clock,
) -> Result<Credential, RefreshError> {
    let source = build(settings, parent, clock)?;
    let mut attempt = fetch(source.as_ref()).await;
    if attempt.as_ref().is_err_and(|fault| fault.retry() == RetryClass::Clock) {
        attempt = fetch(source.as_ref()).await;
    }
    let credential = attempt?.credential;
    accept::judge(&credential, None, clock.now(), false, &settings.refresh)?;
    Ok(credential)
}

fn build(
    settings: &KeySetSettings,
    parent: Option<KeyReader>,
    clock: &Clock,
) -> Result<Box<dyn KeySource>, StartError> {
    let problems = settings.problems();
    if !problems.is_empty() {
        return Err(StartError { name: settings.name.clone(), problems });
    }
    source::build(settings, clock, parent).map_err(|problem| unstartable(&settings.name, problem))
}

fn unstartable(name: &str, problem: SettingProblem) -> StartError {
    StartError { name: name.to_owned(), problems: vec![problem] }
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
