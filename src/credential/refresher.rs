//! Keeps one key set fresh: one task, one attempt at a time, for ever.

use tokio::{sync::mpsc, time::Instant};

use crate::{
    clock::{Clock, Jolt, Timestamp},
    shutdown::Shutdown,
};

use super::{
    KeyReader, KeyWriter, RefreshSettings,
    accept::{self, Verdict},
    cache::KeyCache,
    error::SourceError,
    fallback::Outlook,
    handle::{Answer, RefreshNowError, RefresherHandle},
    metrics::{KeyMetrics, Outcome},
    planner::{Cause, Moment, Planner},
    source::{Fetched, KeySource, fetch},
    start::RefreshError,
    status::LastError,
    store,
    urgency::Urgency,
};

/// The one who asks a source and writes a store.
pub struct Refresher {
    source: Box<dyn KeySource>,
    writer: KeyWriter,
    reader: KeyReader,
    settings: RefreshSettings,
    clock: Clock,
    metrics: KeyMetrics,
    dice: fastrand::Rng,
    commands: mpsc::Receiver<Answer>,
    cache: Option<KeyCache>,
    planner: Planner,
    /// How near its end the current key was when last looked at.
    urgency: Urgency,
    /// So many rings are answered by what is planned.
    heard: u64,
}

impl Cause {
    /// The cause in logs.
    fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Schedule => "schedule",
            Self::Rejected => "rejected",
            Self::Asked => "asked",
        }
    }

    fn is_forced(self) -> bool {
        matches!(self, Self::Rejected | Self::Asked)
    }
}

enum Event {
    Asked(Answer),
    /// Somebody wants another key; whether the current one is meant is marked on it.
    Rung,
    /// The source knows of another key.
    Changed,
    Woken,
    /// Nobody can ask any more; never happens while readers and handles are alive.
    HandlesGone,
}

impl std::fmt::Debug for Refresher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Refresher");
        shown.field("name", &self.reader.name()).field("source", &self.source.kind());
        shown.finish_non_exhaustive()
    }
}

impl Refresher {
    /// A refresher of a new store. `dice` draws the jitter.
    #[must_use]
    pub fn new(
        name: &str,
        source: Box<dyn KeySource>,
        settings: RefreshSettings,
        clock: Clock,
        metrics: KeyMetrics,
        dice: fastrand::Rng,
    ) -> (Self, KeyReader, RefresherHandle) {
        let (writer, reader) = store::channel_named(name, clock.clone());
        let writer = writer
            .keeping_previous_for(settings.previous_key_retention)
            .nearly_over_below(settings.near_expiry)
            .counting(metrics.clone());
        let (ask, commands) = mpsc::channel(8);
        writer.note(|progress| progress.source = source.kind());
        let handle =
            RefresherHandle { commands: ask, reader: reader.clone(), clock: clock.clone() };
        let refresher = Self {
            planner: Planner::new(&settings, source.renewal()),
            source,
            writer,
            reader: reader.clone(),
            settings,
            clock,
            metrics,
            dice,
            commands,
            cache: None,
            urgency: Urgency::Calm,
            heard: 0,
        };
        (refresher, reader, handle)
    }

    /// Begins with the key that `cache` kept, and keeps each new one there.
    #[must_use]
    pub(super) fn keeping_in(mut self, cache: Option<KeyCache>) -> Self {
        self.cache = cache;
        self
    }

    /// Asks, swaps, sleeps, until shutdown begins. An attempt under way is then given up.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            biased;
            () = shutdown.begun() => {}
            () = self.keep_fresh() => {}
        }
    }

    pub(super) async fn keep_fresh(&mut self) {
        self.look_at_clock();
        if !self.begins_with_a_kept_key().await {
            let jitter = self.settings.startup_jitter.mul_f64(self.dice.f64());
            self.planner.starts_after(jitter, self.moment());
            self.note_plan();
        }
        loop {
            self.look_at_clock();
            if let Some(cause) = self.planner.due(self.moment()) {
                // Its outcome is in the log, the metrics and the status; nobody else asked.
                let (Ok(()) | Err(_)) = self.attempt(cause).await;
                continue;
            }
            self.tell(false);
            match self.next_event().await {
                Event::Asked(answer) => self.asked(answer).await,
                Event::Rung => self.rung(),
                Event::Changed => {
                    let (Ok(()) | Err(_)) = self.attempt(Cause::Schedule).await;
                }
                Event::Woken => {}
                Event::HandlesGone => self.commands.close(),
            }
        }
    }

    async fn begins_with_a_kept_key(&mut self) -> bool {
        let Some(cache) = &self.cache else { return false };
        let Some(credential) = cache.load(self.clock.now()).await else { return false };
        let fetched = Fetched { credential, request_id: None };
        match self.judge(Ok(fetched), false) {
            Ok((_, fetched)) => {
                tracing::info!(
                    target: "cos_auth_proxy::keys",
                    keys = self.reader.name(), "begins with the key that was kept over the restart"
                );
                self.writer.note(|progress| progress.refreshes.count(Outcome::Swapped));
                self.swap(fetched, Cause::Start);
                true
            }
            Err(fault) => {
                tracing::info!(
                    target: "cos_auth_proxy::keys",
                    keys = self.reader.name(), error = %fault, "the kept key is not used; one is fetched"
                );
                false
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let wake_at = self.planner.wake_at(Instant::now());
        let can_be_asked = !self.commands.is_closed();
        // In this order: all that was asked is answered at once, so it cannot starve the others.
        tokio::select! {
            biased;
            command = self.commands.recv(), if can_be_asked => {
                command.map_or(Event::HandlesGone, Event::Asked)
            }
            () = self.reader.rung() => Event::Rung,
            () = self.reader.wanted() => Event::Woken,
            () = self.source.changed() => Event::Changed,
            () = tokio::time::sleep_until(wake_at) => Event::Woken,
        }
    }

    async fn asked(&mut self, answer: Answer) {
        let now = Instant::now();
        let outcome = match self.planner.asked(now) {
            Ok(()) => self
                .attempt(Cause::Asked)
                .await
                .map_err(|fault| RefreshNowError::Failed { reason: fault.to_string() }),
            Err(at) => Err(RefreshNowError::Limited { try_in: at.duration_since(now) }),
        };
        // Those who asked meanwhile are served by the same attempt. Nobody minds one who has left.
        let mut answers = vec![answer];
        answers.extend(std::iter::from_fn(|| self.commands.try_recv().ok()));
        for answer in answers {
            let (Ok(()) | Err(_)) = answer.send(outcome.clone());
        }
    }

    fn rung(&mut self) {
        self.heard = self.reader.rings();
        if !self.reader.take_rejection() {
            return;
        }
        let now = Instant::now();
        if let Some(at) = self.planner.rejected(now) {
            tracing::warn!(
                target: "cos_auth_proxy::keys",
                keys = self.reader.name(), try_in_seconds = (at - now).as_secs_f64(),
                "the upstream refused the key again; forced refreshes are limited"
            );
        }
    }

    /// One attempt, from asking to the next plan.
    async fn attempt(&mut self, cause: Cause) -> Result<(), RefreshError> {
        let forced = self.planner.begins(cause);
        self.tell(true);
        let began_at = Instant::now();
        let fetched = fetch(self.source.as_ref()).await;
        let request_id = request_id(&fetched);
        let result = self.judge(fetched, forced);
        let outcome = match &result {
            Ok((Verdict::Accepted, _)) => Outcome::Swapped,
            Ok((Verdict::Unchanged, _)) => Outcome::Unchanged,
            Err(RefreshError::Refused(_)) => Outcome::Refused,
            Err(RefreshError::Source(_) | RefreshError::Settings(_)) => Outcome::Failed,
        };
        let took = began_at.elapsed().as_secs_f64();
        self.metrics.refreshed(self.reader.name(), outcome, took);
        self.writer.note(|progress| {
            progress.refreshes.count(outcome);
            progress.forced_refreshes += u64::from(cause.is_forced());
        });
        if cause.is_forced() {
            self.metrics.forced(self.reader.name());
        }
        let told = match result {
            Ok((Verdict::Accepted, fetched)) => {
                self.swap(fetched, cause);
                if let (Some(cache), Some(key)) = (&self.cache, self.writer.held()) {
                    cache.keep(key).await;
                }
                Ok(())
            }
            Ok((Verdict::Unchanged, fetched)) => {
                self.unchanged(&fetched);
                Ok(())
            }
            Err(fault) => {
                self.failed(&fault, cause, request_id.as_deref());
                Err(fault)
            }
        };
        self.look_at_clock();
        told
    }

    fn judge(
        &self,
        fetched: Result<Fetched, SourceError>,
        forced: bool,
    ) -> Result<(Verdict, Fetched), RefreshError> {
        let fetched = fetched?;
        let now = self.clock.now();
        let current = self.writer.held();
        let verdict =
            accept::judge(&fetched.credential, current.as_deref(), now, forced, &self.settings)?;
        Ok((verdict, fetched))
    }

    fn swap(&mut self, fetched: Fetched, cause: Cause) {
        let Fetched { credential, request_id } = fetched;
        let now = self.moment();
        self.planner.swapped(&credential, now, || self.dice.f64());
        let id = credential.id.clone();
        let expires_at = credential.expires_at;
        // Rings so far were for older keys; one for this key comes after it.
        self.heard = self.reader.rings();
        self.writer.publish(credential);
        let next = self.note_plan();
        self.note_success(now.at);
        tracing::info!(
            target: "cos_auth_proxy::keys",
            keys = self.reader.name(), source = self.source.kind(), secret_id = id.short(),
            expires_at = expires_at.map(tracing::field::display),
            next_refresh_at = next.map(tracing::field::display),
            sts_request_id = request_id, cause = cause.label(),
            "a new key is in use"
        );
    }

    fn unchanged(&mut self, fetched: &Fetched) {
        let now = self.moment();
        self.planner.unchanged(&fetched.credential, now, || self.dice.f64());
        let next = self.note_plan();
        self.note_success(now.at);
        tracing::debug!(
            target: "cos_auth_proxy::keys",
            keys = self.reader.name(), secret_id = fetched.credential.id.short(),
            next_refresh_at = next.map(tracing::field::display),
            sts_request_id = fetched.request_id,
            "the source gave the key that is in use already"
        );
    }

    fn failed(&mut self, fault: &RefreshError, cause: Cause, request_id: Option<&str>) {
        self.heard = self.reader.rings();
        if self.reader.take_rejection() {
            self.planner.rejected_meanwhile();
        }
        let now = self.moment();
        let reason = fault.to_string();
        self.writer.fail(&reason);
        let held = self.writer.held();
        let class = fault.retry();
        self.planner.failed(class, cause, held.as_deref(), now, || self.dice.f64());
        let usable = held.is_some_and(|key| key.is_usable(now.at));
        let next = self.note_plan();
        self.metrics.failed(self.reader.name(), class);
        self.writer.note(|progress| {
            let request_id = request_id.map(str::to_owned);
            progress.last_error = Some(LastError { text: reason, at: now.at, class, request_id });
            progress.failures = progress.failures.saturating_add(1);
        });
        macro_rules! tell {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    target: "cos_auth_proxy::keys",
                    keys = self.reader.name(), source = self.source.kind(), error = %fault,
                    retry = class.label(), sts_request_id = request_id, cause = cause.label(),
                    failures = self.planner.failures(), next_refresh_at = next.map(tracing::field::display),
                    $message
                )
            };
        }
        if usable {
            tell!(warn, "no new key; the one in use still serves");
        } else {
            tell!(error, "no key: requests are refused until one comes");
        }
    }

    /// What only time changes: gauges, the fallback's end, and the end of the current key.
    fn look_at_clock(&mut self) {
        let jolt = self.clock.look();
        if jolt.happened() {
            tell_jolt(jolt, self.clock.offset_millis());
            self.writer.wake();
        }
        let now = self.moment();
        self.writer.forget_stale(now.at);
        let held = self.writer.held();
        let look = self.planner.look(held.as_deref(), now, || self.dice.f64());
        let expires_at = held.as_ref().and_then(|key| key.expires_at);
        self.metrics.holds(self.reader.name(), look.usable, held.as_deref());
        self.metrics.clock_is_off_by(self.clock.offset_millis());
        if look.ran_out {
            let next = self.note_plan();
            tracing::error!(
                target: "cos_auth_proxy::keys",
                keys = self.reader.name(), expires_at = expires_at.map(tracing::field::display),
                next_refresh_at = next.map(tracing::field::display),
                "the key has expired and no new one came"
            );
        }
        let urgency = held.map_or(Urgency::Calm, |key| Urgency::of(&key, now.at, &self.settings));
        if urgency > self.urgency {
            urgency.tell(self.reader.name(), expires_at, now.at, self.planner.next_at());
        }
        self.urgency = urgency;
        self.writer.note(|progress| progress.urgency = urgency);
    }

    /// Tells those who wait for a key what they may hope for.
    fn tell(&self, asking: bool) {
        self.writer.tell(Outlook {
            swaps: 0,
            heard: self.heard,
            asking,
            late: self.planner.is_late(),
            next_try_at: self.planner.next_try_at(),
        });
    }

    fn moment(&self) -> Moment {
        Moment { at: self.clock.now(), instant: Instant::now() }
    }

    fn note_plan(&self) -> Option<Timestamp> {
        let next = self.planner.next_at();
        self.writer.note(|progress| progress.next_refresh_at = next);
        self.metrics.planned(self.reader.name(), next);
        next
    }

    fn note_success(&self, now: Timestamp) {
        self.metrics.succeeded(self.reader.name(), now);
        self.writer.note(|progress| {
            progress.last_error = None;
            progress.failures = 0;
            progress.last_success_at = Some(now);
        });
    }
}

/// What happened to the machine's clocks, for the log.
fn tell_jolt(jolt: Jolt, offset_millis: i64) {
    if !jolt.suspended.is_zero() {
        tracing::warn!(
            target: "cos_auth_proxy::clock",
            suspended_seconds = jolt.suspended.as_secs(),
            "the machine was suspended; what became due meanwhile is done now"
        );
    }
    if jolt.stepped_millis != 0 {
        tracing::warn!(
            target: "cos_auth_proxy::clock",
            stepped_millis = jolt.stepped_millis, offset_millis,
            "this host's clock was set; the offset to the servers' clocks follows"
        );
    }
}

/// The server's id of the request, whatever becomes of the key it gave.
fn request_id(fetched: &Result<Fetched, SourceError>) -> Option<String> {
    match fetched {
        Ok(fetched) => fetched.request_id.clone(),
        Err(fault) => fault.request_id().map(str::to_owned),
    }
}

#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
