//! What time it is: the only caller of the system's wall clock.
//!
//! `Clock::now` is the local wall clock corrected by the offset learnt from servers, so that key
//! expiry and signature windows are judged by the server's time.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

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

/// Where a clock's local time comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    /// `epoch` plus the tokio time passed since `started_at`: follows paused time in tests.
    Tokio {
        epoch: Timestamp,
        started_at: tokio::time::Instant,
    },
}

/// A wall clock with a correction. Clones share the correction.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    offset_millis: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's wall clock, not corrected yet.
    #[must_use]
    pub fn system() -> Self {
        Self { source: Source::System, offset_millis: Arc::default() }
    }

    /// A clock that reads `epoch` now and moves only as tokio's time moves, for tests.
    #[must_use]
    pub fn following_tokio(epoch: Timestamp) -> Self {
        let started_at = tokio::time::Instant::now();
        Self { source: Source::Tokio { epoch, started_at }, offset_millis: Arc::default() }
    }

    /// The corrected time: what the servers' clocks say, as far as is known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let local = self.local_now();
        Timestamp(local.0.saturating_add_signed(self.offset_millis.load(Ordering::Relaxed)))
    }

    /// The uncorrected local time.
    #[must_use]
    pub fn local_now(&self) -> Timestamp {
        match self.source {
            Source::System => system_now(),
            Source::Tokio { epoch, started_at } => epoch + started_at.elapsed(),
        }
    }

    /// How far the servers' clocks are ahead of ours (negative: behind), in milliseconds.
    #[must_use]
    pub fn offset_millis(&self) -> i64 {
        self.offset_millis.load(Ordering::Relaxed)
    }

    /// Sets the correction, in milliseconds.
    pub fn set_offset_millis(&self, offset: i64) {
        self.offset_millis.store(offset, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX))
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

    #[tokio::test(start_paused = true)]
    async fn a_test_clock_moves_with_paused_time_and_is_corrected() {
        let clock = Clock::following_tokio(Timestamp::from_unix_seconds(1_700_000_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now().unix_seconds(), 1_700_000_005);
        clock.clone().set_offset_millis(-2000);
        assert_eq!(clock.now().unix_seconds(), 1_700_000_003);
        assert_eq!(clock.local_now().unix_seconds(), 1_700_000_005);
    }
}
