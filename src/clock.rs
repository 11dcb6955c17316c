//! What time it is: the only caller of the system's wall clock.
//!
//! `Clock::now` is the local wall clock corrected by the offset learnt from servers, so that key
//! expiry and signature windows are judged by the server's time.

mod offset;
mod source;

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use offset::Observations;
use source::{Reading, Source};

pub use offset::ClockSettings;

/// Clocks that differ by less were read one after the other, not stepped.
const SLIGHT: Duration = Duration::from_secs(1);

/// An instant of wall-clock time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From whole seconds since the epoch.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The system time of the same instant, for formatting.
    #[must_use]
    pub fn to_system_time(self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + Duration::from_millis(self.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3339 in UTC with seconds. What lies beyond the year 9999, which that form cannot write, is
/// shown as its last second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: Timestamp = Timestamp::from_unix_seconds(253_402_300_799);
        fmt::Display::fmt(&humantime::format_rfc3339_seconds((*self).min(LAST).to_system_time()), f)
    }
}

/// A wall clock with a correction. Clones share the correction.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    settings: ClockSettings,
    offset_millis: AtomicI64,
    learnt: Mutex<Learnt>,
}

/// Touched when a server is heard and when the clocks are compared, never to tell the time.
#[derive(Debug)]
struct Learnt {
    observations: Observations,
    /// When the clocks were last compared.
    looked: Reading,
}

/// What happened to the machine's clocks between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jolt {
    /// How far the wall clock was set ahead (negative: back), in milliseconds.
    pub stepped_millis: i64,
    /// How long the machine was suspended.
    pub suspended: Duration,
}

impl Jolt {
    /// Whether there is anything to tell.
    #[must_use]
    pub fn happened(&self) -> bool {
        *self != Self::default()
    }
}

impl Clock {
    /// The machine's wall clock, not corrected yet.
    #[must_use]
    pub fn system() -> Self {
        Self::configured(ClockSettings::default())
    }

    /// The machine's wall clock, with the operator's say about what is learnt.
    #[must_use]
    pub fn configured(settings: ClockSettings) -> Self {
        Self::of(Source::System, settings)
    }

    /// A clock that reads `epoch` now and moves only as tokio's time moves, for tests.
    #[must_use]
    pub fn following_tokio(epoch: Timestamp) -> Self {
        Self::of(Source::following_tokio(epoch), ClockSettings::default())
    }

    fn of(source: Source, settings: ClockSettings) -> Self {
        let learnt = Learnt { observations: Observations::default(), looked: source.read() };
        let offset_millis = AtomicI64::new(0);
        let learnt = Mutex::new(learnt);
        Self { shared: Arc::new(Shared { source, settings, offset_millis, learnt }) }
    }

    /// The corrected time: what the servers' clocks say, as far as is known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.local_now().0.saturating_add_signed(self.offset_millis()))
    }

    /// The uncorrected local time.
    #[must_use]
    pub fn local_now(&self) -> Timestamp {
        self.shared.source.wall()
    }

    /// How far the servers' clocks are ahead of ours (negative: behind), in milliseconds.
    #[must_use]
    pub fn offset_millis(&self) -> i64 {
        self.shared.offset_millis.load(Ordering::Relaxed)
    }

    /// A trusted server said, `age` ago, that it was `server`: weighed with what was heard before.
    pub fn observe(&self, server: Timestamp, age: Duration) {
        self.learn(age, |observations, boot_millis, settings| {
            observations.observe(server, boot_millis, settings);
        });
    }

    /// The same from a server that refused our time: believed at once.
    pub fn adopt(&self, server: Timestamp, age: Duration) {
        self.learn(age, |observations, boot_millis, settings| {
            observations.adopt(server, boot_millis, settings);
        });
    }

    /// Compares the machine's clocks with each other. A wall clock that was stepped is corrected
    /// at once, as far as servers were heard; each step and each suspension is told to the first
    /// who looks.
    pub fn look(&self) -> Jolt {
        let mut learnt = self.learnt();
        let now = self.shared.source.read();
        let before = std::mem::replace(&mut learnt.looked, now);
        self.correct(&learnt.observations, &now);
        let stepped_millis = now.base_millis().saturating_sub(before.base_millis());
        let passed = Duration::from_millis(
            u64::try_from(now.boot_millis.saturating_sub(before.boot_millis)).unwrap_or(0),
        );
        let suspended = passed.saturating_sub(now.running.duration_since(before.running));
        Jolt {
            stepped_millis: if stepped_millis.unsigned_abs() < SLIGHT.as_millis() as u64 {
                0
            } else {
                stepped_millis
            },
            suspended: if suspended < SLIGHT { Duration::ZERO } else { suspended },
        }
    }

    /// Steps the wall clock of a test; the machine's is not ours to set.
    pub fn step(&self, by_millis: i64) {
        self.shared.source.step(by_millis);
    }

    /// Suspends the machine of a test for `span`: timers stand still, other clocks go on.
    pub fn suspend(&self, span: Duration) {
        self.shared.source.suspend(span);
    }

    fn learn(&self, age: Duration, learn: impl FnOnce(&mut Observations, i64, &ClockSettings)) {
        let mut learnt = self.learnt();
        let now = self.shared.source.read();
        let said_at = now.boot_millis.saturating_sub(offset::millis(age));
        learn(&mut learnt.observations, said_at, &self.shared.settings);
        self.correct(&learnt.observations, &now);
    }

    fn correct(&self, observations: &Observations, now: &Reading) {
        if let Some(offset) = observations.offset(now.base_millis(), &self.shared.settings) {
            self.shared.offset_millis.store(offset, Ordering::Relaxed);
        }
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        // Numbers are meaningful whoever panicked while holding them.
        self.shared.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_saturate_instead_of_wrapping() {
        let early = Timestamp::from_unix_seconds(10);
        let late = Timestamp::from_unix_seconds(20);
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_secs(10));
        assert_eq!((early - Duration::from_secs(60)).unix_seconds(), 0);
    }

    #[test]
    fn every_instant_can_be_shown() {
        assert_eq!(Timestamp::from_unix_seconds(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp::from_unix_millis(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn seconds(clock: &Clock) -> i64 {
        i64::try_from(clock.now().unix_seconds()).unwrap() - 1_700_000_000
    }

    #[tokio::test(start_paused = true)]
    async fn a_test_clock_moves_with_paused_time_and_is_corrected() {
        let clock = Clock::following_tokio(EPOCH);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(seconds(&clock), 5);
        let other = clock.clone();
        other.adopt(clock.local_now() - Duration::from_secs(2), Duration::ZERO);
        assert_eq!(seconds(&clock), 3);
        assert_eq!(clock.local_now().unix_seconds(), 1_700_000_005);
    }

    #[tokio::test(start_paused = true)]
    async fn a_date_is_as_old_as_it_is_said_to_be() {
        let clock = Clock::following_tokio(EPOCH);
        clock.observe(EPOCH + Duration::from_secs(60), Duration::from_secs(10));
        assert_eq!(clock.offset_millis(), 70_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_wall_clock_is_corrected_and_told_once() {
        for step in [3600, -3600, 86_400 * 400] {
            let clock = Clock::following_tokio(EPOCH);
            clock.observe(EPOCH, Duration::ZERO);
            tokio::time::advance(Duration::from_secs(5)).await;
            clock.step(step * 1000);
            let jolt = clock.look();
            assert_eq!(jolt, Jolt { stepped_millis: step * 1000, suspended: Duration::ZERO });
            assert_eq!(clock.look(), Jolt::default());
            let expected = if step.abs() > 86_400 { 5 + step - 86_400 } else { 5 };
            assert_eq!(seconds(&clock), expected, "{step}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_a_server_told_of_first_is_not_corrected_twice() {
        let clock = Clock::following_tokio(EPOCH);
        clock.observe(EPOCH, Duration::ZERO);
        clock.step(900_000);
        clock.adopt(EPOCH, Duration::ZERO);
        assert_eq!(seconds(&clock), 0);
        assert_eq!(clock.look().stepped_millis, 900_000);
        assert_eq!(seconds(&clock), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_before_any_server_was_heard_is_believed() {
        let clock = Clock::following_tokio(EPOCH);
        clock.step(3_600_000);
        assert!(clock.look().happened());
        assert_eq!(seconds(&clock), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspension_is_no_step() {
        let clock = Clock::following_tokio(EPOCH);
        clock.observe(EPOCH + Duration::from_secs(30), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(5)).await;
        clock.suspend(Duration::from_secs(3600));
        let jolt = clock.look();
        assert_eq!(jolt, Jolt { stepped_millis: 0, suspended: Duration::from_secs(3600) });
        assert_eq!(seconds(&clock), 3635);
    }

    #[test]
    fn the_machines_own_clocks_agree_with_each_other() {
        let clock = Clock::system();
        assert_eq!(clock.look(), Jolt::default());
        clock.observe(clock.local_now(), Duration::ZERO);
        assert_eq!(clock.offset_millis(), 0);
        clock.step(1000);
        clock.suspend(Duration::from_secs(10));
        assert_eq!(clock.look(), Jolt::default(), "only a test's clock can be set");
    }
}
