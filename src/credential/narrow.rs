//! Keys that may do less than their key set's own: one for each scope that somebody asks for.
//!
//! They are got when asked for and kept while they are used. What local programs ask can neither
//! fill the memory nor hammer STS: few scopes are held, one call at a time is made for each, all
//! calls together are limited, and failures are remembered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};

use super::{
    Credential, KeyMetrics, KeyReader, KeySetSettings, RefreshSettings, SourceSettings, accept,
    covers::{self, NotCovered, Permission},
    error::RetryClass,
    metrics::Outcome,
    schedule::{self, Failure, ForcedLimit},
    source::{self, Fetched, fetch},
    start::{RefreshError, StartError},
};

/// Scopes held at once; the one not used for longest goes.
const SCOPES: usize = 64;
/// Calls of all scopes together: so many at once …
const BURST: u32 = 32;
/// … and one more in each of these.
const INTERVAL: Duration = Duration::from_secs(1);
/// A scope without a key is remembered this long after it was asked for, with its failures.
const MEMORY: Duration = Duration::from_secs(600);

/// Why there is no key for a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNarrowed {
    /// The source cannot give a narrower key.
    #[error(
        "keys of the source {kind} cannot be narrowed: it takes no policy; federation-token and assume-role do"
    )]
    Source {
        /// The source, as in `config.toml`.
        kind: &'static str,
    },
    /// More is asked for than the key set itself may do.
    #[error(transparent)]
    NotCovered(#[from] NotCovered),
    /// STS gave none.
    #[error("{reason}")]
    NoKey {
        /// What the last attempt failed with.
        reason: String,
        /// When the next one may be made.
        retry_in: Duration,
    },
    /// Too many scopes were asked for in a short time.
    #[error("too many different scopes were asked for; the next call of STS is possible soon")]
    Limited {
        /// When to ask again.
        retry_in: Duration,
    },
}

/// The narrowed keys of one key set.
pub struct Narrowing {
    settings: KeySetSettings,
    /// The key set that makes its calls, if another one does.
    parent: Option<KeyReader>,
    clock: Clock,
    metrics: KeyMetrics,
    scopes: Mutex<HashMap<String, Entry>>,
    calls: Mutex<Calls>,
}

struct Entry {
    scope: Arc<Scope>,
    used_at: Timestamp,
}

/// One scope, by the policy that is sent.
struct Scope {
    policy: String,
    key: ArcSwapOption<Held>,
    /// Held while STS is asked.
    attempts: tokio::sync::Mutex<Attempts>,
}

struct Held {
    key: Arc<Credential>,
    /// From here on a new one is got when somebody asks.
    refresh_at: Timestamp,
}

/// How asking went lately.
#[derive(Default)]
struct Attempts {
    failures: u32,
    pause: Option<Pause>,
}

#[derive(Clone)]
struct Pause {
    until: Instant,
    reason: String,
}

impl Pause {
    fn as_refusal(&self, now: Instant) -> NotNarrowed {
        let retry_in = self.until.saturating_duration_since(now);
        NotNarrowed::NoKey { reason: self.reason.clone(), retry_in }
    }
}

/// What all scopes of the key set share.
struct Calls {
    limit: ForcedLimit,
    /// STS as a whole has trouble: no scope asks meanwhile.
    trouble: Attempts,
}

impl std::fmt::Debug for Narrowing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrowing").field("keys", &self.settings.name).finish_non_exhaustive()
    }
}

impl Narrowing {
    /// Narrowed keys of the key set that `settings` describe; `parent` reads the one that makes its
    /// calls, if there is one. Asks nothing by itself.
    #[must_use]
    pub fn new(
        settings: KeySetSettings,
        parent: Option<KeyReader>,
        clock: Clock,
        metrics: KeyMetrics,
    ) -> Self {
        let numbers = RefreshSettings {
            forced_interval: INTERVAL,
            forced_burst: BURST,
            ..RefreshSettings::default()
        };
        let calls = Calls { limit: ForcedLimit::new(&numbers), trouble: Attempts::default() };
        let (scopes, calls) = (Mutex::default(), Mutex::new(calls));
        Self { settings, parent, clock, metrics, scopes, calls }
    }

    /// A key that may do `wanted` and nothing else, held or got now. Those who ask for the same at
    /// the same time share one call.
    ///
    /// # Errors
    /// [`NotNarrowed`] if that would be more than the key set's own policy surely allows, or if STS
    /// gives none.
    pub async fn key(&self, wanted: &[Permission]) -> Result<Arc<Credential>, NotNarrowed> {
        self.judge(wanted)?;
        let scope = self.scope(policy_of(wanted));
        if let Some(key) = scope.fresh(self.clock.now()) {
            return Ok(key);
        }
        let Ok(mut attempts) = scope.attempts.try_lock() else {
            // Somebody asks already. Whoever has a good key need not wait for a better one.
            return match scope.usable(self.clock.now()) {
                Some(key) => Ok(key),
                None => {
                    let mut attempts = scope.attempts.lock().await;
                    self.renew(&scope, &mut attempts).await
                }
            };
        };
        self.renew(&scope, &mut attempts).await
    }

    /// How many scopes are remembered.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock_scopes().len()
    }

    fn judge(&self, wanted: &[Permission]) -> Result<(), NotNarrowed> {
        let own = match &self.settings.source {
            SourceSettings::FederationToken(source) => Some(&source.policy),
            // Without a policy of its own STS narrows the role by what is asked.
            SourceSettings::AssumeRole(source) => source.policy.as_ref(),
            source @ (SourceSettings::Static(_)
            | SourceSettings::Http(_)
            | SourceSettings::WebIdentity(_)
            | SourceSettings::InstanceRole(_)
            | SourceSettings::File(_)
            | SourceSettings::Exec(_)) => return Err(NotNarrowed::Source { kind: source.kind() }),
        };
        match own {
            Some(policy) => Ok(covers::covers(policy, wanted)?),
            None => Ok(()),
        }
    }

    /// Asks STS unless there is a reason not to; a key in hand outlives any trouble.
    async fn renew(
        &self,
        scope: &Arc<Scope>,
        attempts: &mut Attempts,
    ) -> Result<Arc<Credential>, NotNarrowed> {
        // The one before us may have got it.
        if let Some(key) = scope.fresh(self.clock.now()) {
            return Ok(key);
        }
        let outcome = match self.may_call(attempts) {
            Err(refusal) => Err(refusal),
            Ok(()) => self.call(scope, attempts).await,
        };
        outcome.or_else(|refusal| scope.usable(self.clock.now()).ok_or(refusal))
    }

    fn may_call(&self, attempts: &Attempts) -> Result<(), NotNarrowed> {
        let now = Instant::now();
        let mut calls = self.lock_calls();
        for pause in [&attempts.pause, &calls.trouble.pause].into_iter().flatten() {
            if pause.until > now {
                return Err(pause.as_refusal(now));
            }
        }
        calls.limit.take(now).map_err(|at| {
            let retry_in = at.saturating_duration_since(now);
            NotNarrowed::Limited { retry_in }
        })
    }

    async fn call(
        &self,
        scope: &Arc<Scope>,
        attempts: &mut Attempts,
    ) -> Result<Arc<Credential>, NotNarrowed> {
        match self.fetch(&scope.policy).await {
            Ok(fetched) => Ok(self.keep(scope, attempts, fetched)),
            Err(fault) => Err(self.failed(scope, attempts, &fault)),
        }
    }

    async fn fetch(&self, policy: &str) -> Result<Fetched, RefreshError> {
        let source = source::build(&self.narrowed(policy), &self.clock, self.parent.clone());
        let source = source.map_err(|problem| {
            let name = self.settings.name.clone();
            StartError { name, problems: vec![problem] }
        })?;
        let mut fetched = fetch(source.as_ref()).await;
        if fetched.as_ref().is_err_and(|fault| fault.retry() == RetryClass::Clock) {
            fetched = fetch(source.as_ref()).await;
        }
        let fetched = fetched?;
        let now = self.clock.now();
        accept::judge(&fetched.credential, None, now, false, &self.settings.refresh)?;
        Ok(fetched)
    }

    fn keep(&self, scope: &Scope, attempts: &mut Attempts, fetched: Fetched) -> Arc<Credential> {
        let Fetched { credential, request_id } = fetched;
        let now = self.clock.now();
        let end = credential.expires_at.unwrap_or(now);
        let spread = fastrand::f64();
        let refresh_at =
            schedule::refresh_at(credential.received_at, end, spread, &self.settings.refresh);
        let key = Arc::new(credential);
        scope.key.store(Some(Arc::new(Held { key: Arc::clone(&key), refresh_at })));
        *attempts = Attempts::default();
        self.lock_calls().trouble = Attempts::default();
        self.metrics.narrowed(&self.settings.name, Outcome::Swapped);
        tracing::info!(
            target: "cos_auth_proxy::keys",
            keys = self.settings.name, secret_id = key.id.short(), expires_at = %end,
            next_refresh_at = %refresh_at, sts_request_id = request_id,
            "a narrowed key was got"
        );
        key
    }

    fn failed(&self, scope: &Scope, attempts: &mut Attempts, fault: &RefreshError) -> NotNarrowed {
        let (class, now) = (fault.retry(), self.clock.now());
        let remaining = scope.usable(now).map_or(Some(Duration::ZERO), |key| key.remaining(now));
        let pause = self.pause(attempts, class, remaining, fault);
        if class != RetryClass::Operator {
            // Not of this scope alone. One that an operator must mend may be: a policy too long.
            let mut calls = self.lock_calls();
            self.pause(&mut calls.trouble, class, remaining, fault);
        }
        let outcome = match fault {
            RefreshError::Refused(_) => Outcome::Refused,
            RefreshError::Source(_) | RefreshError::Settings(_) => Outcome::Failed,
        };
        self.metrics.narrowed(&self.settings.name, outcome);
        let request_id = match fault {
            RefreshError::Source(fault) => fault.request_id(),
            RefreshError::Refused(_) | RefreshError::Settings(_) => None,
        };
        let delay = pause.until.saturating_duration_since(Instant::now());
        tracing::warn!(
            target: "cos_auth_proxy::keys",
            keys = self.settings.name, error = %fault, retry = class.label(),
            sts_request_id = request_id, failures = attempts.failures,
            next_refresh_at = %(now + delay),
            "no narrowed key"
        );
        pause.as_refusal(Instant::now())
    }

    fn pause(
        &self,
        attempts: &mut Attempts,
        class: RetryClass,
        remaining: Option<Duration>,
        fault: &RefreshError,
    ) -> Pause {
        attempts.failures = attempts.failures.saturating_add(1);
        // The clock was corrected and asked by already: not at once a third time.
        let count =
            if class == RetryClass::Clock { attempts.failures + 1 } else { attempts.failures };
        let failure = Failure { class, count, remaining };
        let delay = schedule::retry_delay(failure, fastrand::f64(), &self.settings.refresh);
        // Full jitter may draw nothing, and here every request is a try.
        let until = Instant::now() + delay.max(self.settings.refresh.transient_base / 2);
        let pause = Pause { until, reason: fault.to_string() };
        attempts.pause = Some(pause.clone());
        pause
    }

    /// The key set's own settings with another policy.
    fn narrowed(&self, policy: &str) -> KeySetSettings {
        let mut settings = self.settings.clone();
        match &mut settings.source {
            SourceSettings::FederationToken(source) => policy.clone_into(&mut source.policy),
            SourceSettings::AssumeRole(source) => source.policy = Some(policy.to_owned()),
            // Refused before, by `judge`.
            SourceSettings::Static(_)
            | SourceSettings::Http(_)
            | SourceSettings::WebIdentity(_)
            | SourceSettings::InstanceRole(_)
            | SourceSettings::File(_)
            | SourceSettings::Exec(_) => {}
        }
        settings
    }

    fn scope(&self, policy: String) -> Arc<Scope> {
        let now = self.clock.now();
        let mut scopes = self.lock_scopes();
        scopes.retain(|_, entry| now < entry.used_at + entry.scope.life(now));
        if scopes.len() >= SCOPES && !scopes.contains_key(&policy) {
            let oldest = scopes.iter().min_by_key(|(_, entry)| entry.used_at);
            if let Some(oldest) = oldest.map(|(policy, _)| policy.clone()) {
                scopes.remove(&oldest);
            }
        }
        let entry = scopes.entry(policy).or_insert_with_key(|policy| Entry {
            scope: Arc::new(Scope {
                policy: policy.clone(),
                key: ArcSwapOption::empty(),
                attempts: tokio::sync::Mutex::default(),
            }),
            used_at: now,
        });
        entry.used_at = now;
        let scope = Arc::clone(&entry.scope);
        self.metrics.narrowed_held(&self.settings.name, scopes.len());
        scope
    }

    fn lock_scopes(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Each change is one call of the map.
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_calls(&self) -> MutexGuard<'_, Calls> {
        // Numbers stay meaningful whoever panicked while holding them.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scope {
    /// A key that need not be renewed yet.
    fn fresh(&self, now: Timestamp) -> Option<Arc<Credential>> {
        let held = self.key.load();
        let held = held.as_ref().filter(|held| now < held.refresh_at && held.key.is_usable(now))?;
        Some(Arc::clone(&held.key))
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<Credential>> {
        let held = self.key.load();
        held.as_ref().filter(|held| held.key.is_usable(now)).map(|held| Arc::clone(&held.key))
    }

    /// How long it is remembered without being used. An expired key is let go, and so wiped.
    fn life(&self, now: Timestamp) -> Duration {
        if self.usable(now).is_none() {
            self.key.store(None);
        }
        let held = self.key.load();
        let life =
            held.as_ref().and_then(|held| Some(held.key.expires_at?.since(held.key.received_at)));
        life.unwrap_or(MEMORY)
    }
}

/// The policy that allows `wanted`; the same for the same permissions in any order.
fn policy_of(wanted: &[Permission]) -> String {
    let mut wanted: Vec<_> = wanted.iter().collect();
    wanted.sort();
    wanted.dedup();
    let statement = |permission: &&Permission| {
        serde_json::json!({
            "effect": "allow",
            "action": [permission.action],
            "resource": [permission.resource],
        })
    };
    let statements: Vec<_> = wanted.iter().map(statement).collect();
    serde_json::json!({ "version": "2.0", "statement": statements }).to_string()
}

#[cfg(feature = "demo")]
#[cfg(test)]
#[path = "narrow_tests.rs"]
mod tests;
