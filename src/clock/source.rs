//! The clocks of the machine, or those of a test.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Timestamp, offset::millis};

/// Where a clock's local time comes from.
#[derive(Debug)]
pub(super) enum Source {
    System,
    /// Moves as tokio's time moves: follows paused time in tests.
    Tokio {
        epoch: Timestamp,
        started_at: Instant,
        /// What a test stepped the wall clock by, in milliseconds.
        stepped: AtomicI64,
        /// For how long a test had the machine suspended, in milliseconds.
        suspended: AtomicI64,
    },
}

/// What the three clocks of the machine show at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// The wall clock; people and NTP may step it.
    pub(super) wall: Timestamp,
    /// Milliseconds since the boot, also while suspended; nobody steps it. Where the system has no
    /// such clock it is the wall clock.
    pub(super) boot_millis: i64,
    /// The clock of timers, which stands still while the machine is suspended.
    pub(super) running: Instant,
}

impl Reading {
    /// How far the wall clock is ahead of the time since the boot: changes only by steps.
    pub(super) fn base_millis(&self) -> i64 {
        i64::try_from(self.wall.unix_millis()).unwrap_or(i64::MAX).saturating_sub(self.boot_millis)
    }
}

impl Source {
    pub(super) fn following_tokio(epoch: Timestamp) -> Self {
        let started_at = Instant::now();
        Self::Tokio { epoch, started_at, stepped: AtomicI64::new(0), suspended: AtomicI64::new(0) }
    }

    pub(super) fn wall(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Tokio { epoch, started_at, stepped, suspended } => {
                let moved = stepped.load(Ordering::Relaxed) + suspended.load(Ordering::Relaxed);
                let millis = (*epoch + started_at.elapsed()).unix_millis();
                Timestamp::from_unix_millis(millis.saturating_add_signed(moved))
            }
        }
    }

    pub(super) fn read(&self) -> Reading {
        let wall = self.wall();
        let boot_millis = match self {
            Self::System => boot_millis(wall),
            Self::Tokio { started_at, suspended, .. } => {
                millis(started_at.elapsed()) + suspended.load(Ordering::Relaxed)
            }
        };
        Reading { wall, boot_millis, running: Instant::now() }
    }

    /// Steps the wall clock of a test.
    pub(super) fn step(&self, by_millis: i64) {
        match self {
            Self::System => {}
            Self::Tokio { stepped, .. } => {
                stepped.fetch_add(by_millis, Ordering::Relaxed);
            }
        }
    }

    /// Suspends the machine of a test.
    pub(super) fn suspend(&self, span: Duration) {
        match self {
            Self::System => {}
            Self::Tokio { suspended, .. } => {
                suspended.fetch_add(millis(span), Ordering::Relaxed);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_millis(millis)
}

#[cfg(target_os = "linux")]
fn boot_millis(_wall: Timestamp) -> i64 {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    since_boot.tv_sec.saturating_mul(1000).saturating_add(since_boot.tv_nsec / 1_000_000)
}

/// Monotonic clocks elsewhere may stand still while the machine sleeps, and a sleep must not look
/// like a step: so nothing is told apart, and a step is mended by the next answer of a server.
#[cfg(not(target_os = "linux"))]
fn boot_millis(wall: Timestamp) -> i64 {
    i64::try_from(wall.unix_millis()).unwrap_or(i64::MAX)
}
