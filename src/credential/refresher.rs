//! Keeps one key set fresh: one task, one attempt at a time, for ever.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

use crate::{
    clock::{Clock, Timestamp},
    shutdown::Shutdown,
};

use super::{
    KeyReader, KeyWriter, RefreshSettings,
    accept::{self, Verdict},
    error::{RetryClass, SourceError},
    handle::{Answer, RefreshNowError, RefresherHandle},
    metrics::{KeyMetrics, Outcome},
    schedule::{self, Failure, ForcedLimit},
    source::{Fetched, KeySource, Renewal, fetch},
    start::RefreshError,
    store,
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
    limit: ForcedLimit,
    plan: Plan,
    /// The point drawn for the current key.
    refresh_at: Option<Timestamp>,
    /// Failures in a row, and how the last one is retried.
    failures: u32,
    last_class: RetryClass,
    /// The current key was rejected by the upstream.
    distrusted: bool,
    /// The current key could be used when last looked at.
    was_usable: bool,
}

/// When to ask next, on both clocks: a suspended machine stops one of them.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    next: Option<(Timestamp, Instant)>,
    /// A rejected key was not replaced because forced refreshes are limited: when it may be.
    forced: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Start,
    Schedule,
    Rejected,
    Asked,
}

enum Event {
    Asked(Answer),
    Rejected,
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
        let writer =
            writer.keeping_previous_for(settings.previous_key_retention).counting(metrics.clone());
        let (ask, commands) = mpsc::channel(8);
        writer.note(|progress| progress.source = source.kind());
        let handle =
            RefresherHandle { commands: ask, reader: reader.clone(), clock: clock.clone() };
        let refresher = Self {
            source,
            writer,
            reader: reader.clone(),
            limit: ForcedLimit::new(&settings),
            settings,
            clock,
            metrics,
            dice,
            commands,
            plan: Plan::default(),
            refresh_at: None,
            failures: 0,
            last_class: RetryClass::Transient,
            distrusted: false,
            was_usable: false,
        };
        (refresher, reader, handle)
    }

    /// Asks, swaps, sleeps, until shutdown begins. An attempt under way is then given up.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.begun() => {}
            () = self.keep_fresh() => {}
        }
    }

    async fn keep_fresh(&mut self) {
        self.look_at_clock();
        // Its outcome is in the log, the metrics and the status; nobody else asked.
        let (Ok(()) | Err(_)) = self.attempt(Cause::Start).await;
        loop {
            self.look_at_clock();
            if let Some(cause) = self.due() {
                let (Ok(()) | Err(_)) = self.attempt(cause).await;
                continue;
            }
            match self.next_event().await {
                Event::Asked(answer) => self.asked(answer).await,
                Event::Rejected => self.rejected(),
                Event::Woken => {}
                Event::HandlesGone => self.commands.close(),
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let tick = Instant::now() + self.settings.wall_clock_tick;
        let planned = self.plan.next.map(|(_, at)| at);
        let wake_at = [planned, self.plan.forced].into_iter().flatten().fold(tick, Instant::min);
        let can_be_asked = !self.commands.is_closed();
        tokio::select! {
            command = self.commands.recv(), if can_be_asked => {
                command.map_or(Event::HandlesGone, Event::Asked)
            }
            () = self.reader.rejection() => Event::Rejected,
            () = tokio::time::sleep_until(wake_at) => Event::Woken,
        }
    }

    /// Whether an attempt is due by either clock.
    fn due(&mut self) -> Option<Cause> {
        let now = Instant::now();
        if self.plan.forced.is_some_and(|at| at <= now) && self.limit.take(now).is_ok() {
            return Some(Cause::Rejected);
        }
        let (at, at_instant) = self.plan.next?;
        (at_instant <= now || at <= self.clock.now()).then_some(Cause::Schedule)
    }

    async fn asked(&mut self, answer: Answer) {
        let now = Instant::now();
        let outcome = match self.limit.take(now) {
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

    fn rejected(&mut self) {
        self.distrusted = true;
        if self.plan.forced.is_some() {
            return;
        }
        self.plan.forced = Some(Instant::now());
        if let Err(at) = self.limit.clone().take(Instant::now()) {
            tracing::warn!(
                target: "cos_auth_proxy::keys",
                keys = self.reader.name(), try_in_seconds = (at - Instant::now()).as_secs_f64(),
                "the upstream refused the key again; forced refreshes are limited"
            );
            self.plan.forced = Some(at);
        }
    }

    /// One attempt, from asking to the next plan.
    async fn attempt(&mut self, cause: Cause) -> Result<(), RefreshError> {
        // What a polled source shows is the key, whichever ends first.
        let forced =
            self.distrusted || cause == Cause::Asked || self.source.renewal() == Renewal::Polled;
        self.plan.forced = None;
        let began_at = Instant::now();
        let fetched = fetch(self.source.as_ref()).await;
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
            progress.forced_refreshes += u64::from(matches!(cause, Cause::Rejected | Cause::Asked));
        });
        let told = match result {
            Ok((Verdict::Accepted, fetched)) => {
                self.swap(fetched);
                Ok(())
            }
            Ok((Verdict::Unchanged, fetched)) => {
                self.unchanged(&fetched);
                Ok(())
            }
            Err(fault) => {
                self.failed(&fault, cause);
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

    fn swap(&mut self, fetched: Fetched) {
        let Fetched { credential, request_id } = fetched;
        let now = self.clock.now();
        let spread = self.dice.f64();
        let settings = &self.settings;
        let drawn_at = credential
            .expires_at
            .map(|end| schedule::refresh_at(credential.received_at, end, spread, settings));
        let next = match (self.source.renewal(), drawn_at) {
            (Renewal::Never, _) => None,
            (Renewal::AheadOfExpiry, Some(drawn_at)) => Some(drawn_at),
            (Renewal::AheadOfExpiry, None) => {
                Some(now + schedule::unchanged_delay(None, spread, settings))
            }
            (Renewal::Polled, drawn_at) => {
                let remaining = credential.remaining(now);
                Some(schedule::poll_at(now, drawn_at, remaining, spread, settings))
            }
        };
        let id = credential.id.clone();
        let expires_at = credential.expires_at;
        self.writer.publish(credential);
        // Rejections so far were of older keys.
        self.reader.take_rejection();
        self.distrusted = false;
        self.was_usable = true;
        self.failures = 0;
        self.refresh_at = next.map(|next| drawn_at.unwrap_or(next));
        self.plan_at(next, now);
        self.note_success(now);
        tracing::info!(
            target: "cos_auth_proxy::keys",
            keys = self.reader.name(), source = self.source.kind(), secret_id = id.short(),
            expires_at = expires_at.map(tracing::field::display),
            next_refresh_at = next.map(tracing::field::display),
            sts_request_id = request_id,
            "a new key is in use"
        );
    }

    fn unchanged(&mut self, fetched: &Fetched) {
        let now = self.clock.now();
        let remaining = fetched.credential.remaining(now);
        let spread = self.dice.f64();
        let poll_at = now + schedule::unchanged_delay(remaining, spread, &self.settings);
        let next = match (self.source.renewal(), self.refresh_at) {
            (Renewal::Never, _) => None,
            (Renewal::AheadOfExpiry, Some(drawn_at)) if !self.distrusted => {
                Some(poll_at.max(drawn_at))
            }
            (Renewal::Polled, drawn_at) if !self.distrusted => {
                Some(schedule::poll_at(now, drawn_at, remaining, spread, &self.settings))
            }
            (Renewal::AheadOfExpiry | Renewal::Polled, _) => Some(poll_at),
        };
        self.failures = 0;
        self.plan_at(next, now);
        self.note_success(now);
        tracing::debug!(
            target: "cos_auth_proxy::keys",
            keys = self.reader.name(), secret_id = fetched.credential.id.short(),
            next_refresh_at = next.map(tracing::field::display),
            sts_request_id = fetched.request_id,
            "the source gave the key that is in use already"
        );
    }

    fn failed(&mut self, fault: &RefreshError, cause: Cause) {
        // A request that was refused during the attempt is part of the same trouble.
        self.distrusted |= self.reader.take_rejection();
        let now = self.clock.now();
        let reason = fault.to_string();
        self.writer.fail(&reason);
        let usable = self.reader.health(now).usable;
        let due = self.distrusted || !usable || self.refresh_at.is_none_or(|at| at <= now);
        if due || cause != Cause::Asked {
            self.failures = self.failures.saturating_add(1);
            self.last_class = fault.retry();
            let delay = self.retry_delay(now);
            self.plan_at(Some(now + delay), now);
        }
        let next = self.plan.next.map(|(at, _)| at);
        self.writer.note(|progress| progress.last_error = Some(reason));
        let request_id = match fault {
            RefreshError::Source(fault) => fault.request_id(),
            RefreshError::Refused(_) | RefreshError::Settings(_) => None,
        };
        macro_rules! tell {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    target: "cos_auth_proxy::keys",
                    keys = self.reader.name(), source = self.source.kind(), error = %fault,
                    retry = fault.retry().label(), sts_request_id = request_id,
                    failures = self.failures, next_refresh_at = next.map(tracing::field::display),
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

    fn retry_delay(&mut self, now: Timestamp) -> Duration {
        let held = self.writer.held();
        let useful = held.filter(|key| key.is_usable(now) && !self.distrusted);
        let remaining = useful.map_or(Some(Duration::ZERO), |key| key.remaining(now));
        let failure = Failure { class: self.last_class, count: self.failures, remaining };
        schedule::retry_delay(failure, self.dice.f64(), &self.settings)
    }

    /// What only time changes: gauges, the fallback's end, and the end of the current key.
    fn look_at_clock(&mut self) {
        let now = self.clock.now();
        self.writer.forget_stale(now);
        let held = self.writer.held();
        let usable = held.as_ref().is_some_and(|key| key.is_usable(now));
        let expires_at = held.as_ref().and_then(|key| key.expires_at);
        self.metrics.holds(self.reader.name(), usable, expires_at);
        self.metrics.clock_is_off_by(self.clock.offset_millis());
        if !usable && self.was_usable {
            // The next try was planned with a key in hand; without one it is worth more.
            let sooner = now + self.retry_delay(now);
            if self.source.renewal() != Renewal::Never
                && self.plan.next.is_none_or(|(at, _)| sooner < at)
            {
                self.plan_at(Some(sooner), now);
            }
            tracing::error!(
                target: "cos_auth_proxy::keys",
                keys = self.reader.name(), expires_at = expires_at.map(tracing::field::display),
                next_refresh_at = self.plan.next.map(|(at, _)| tracing::field::display(at)),
                "the key has expired and no new one came"
            );
        }
        self.was_usable = usable;
    }

    fn plan_at(&mut self, next: Option<Timestamp>, now: Timestamp) {
        self.plan.next = next.map(|at| (at, Instant::now() + at.since(now)));
        self.writer.note(|progress| progress.next_refresh_at = next);
    }

    fn note_success(&self, now: Timestamp) {
        self.metrics.succeeded(self.reader.name(), now);
        self.writer.note(|progress| {
            progress.last_error = None;
            progress.last_success_at = Some(now);
        });
    }
}

#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
