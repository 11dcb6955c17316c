//! When to try again. Pure: the time and the dice are arguments.
//!
//! `spread` is always a number from 0 to 1, drawn by the caller; sidecars that started together
//! drift apart by it.

use std::time::Duration;

use crate::clock::Timestamp;

use super::{RefreshSettings, error::RetryClass};

/// When to renew a key that came at `received_at` and ends at `expires_at`: a point of the band
/// `[refresh_from, refresh_to]` of its life, not before the floor, never past the band's end.
#[must_use]
pub fn refresh_at(
    received_at: Timestamp,
    expires_at: Timestamp,
    spread: f64,
    settings: &RefreshSettings,
) -> Timestamp {
    let life = expires_at.since(received_at);
    let from = life.mul_f64(settings.refresh_from);
    let to = life.mul_f64(settings.refresh_to);
    let drawn = from + to.saturating_sub(from).mul_f64(spread);
    received_at + drawn.max(settings.refresh_floor).min(to)
}

/// What a failure is retried by.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// What kind of failure.
    pub class: RetryClass,
    /// Failures in a row, this one included.
    pub count: u32,
    /// Life left of the key that is held: zero without a usable key, `None` when its end is not
    /// known.
    pub remaining: Option<Duration>,
}

/// How long to wait after a failure.
#[must_use]
pub fn retry_delay(failure: Failure, spread: f64, settings: &RefreshSettings) -> Duration {
    let without_key = failure.remaining.is_some_and(|left| left.is_zero());
    match failure.class {
        RetryClass::Transient => {
            let cap = if without_key {
                settings.transient_cap_without_key
            } else {
                let tenth = failure.remaining.map_or(Duration::MAX, |left| left / 10);
                tenth.max(settings.transient_cap_least).min(settings.transient_cap_most)
            };
            full_jitter(settings.transient_base, failure.count, cap, spread)
        }
        RetryClass::Throttled => {
            let cap = if without_key {
                settings.throttled_cap_without_key
            } else {
                settings.throttled_cap
            };
            full_jitter(settings.throttled_base, failure.count, cap, spread)
        }
        RetryClass::Clock if failure.count <= 1 => Duration::ZERO,
        // The clock was corrected and it did not help: wait as for any other server fault.
        RetryClass::Clock => {
            retry_delay(Failure { class: RetryClass::Transient, ..failure }, spread, settings)
        }
        RetryClass::Operator => {
            let pause = if without_key {
                settings.operator_pause_without_key
            } else {
                settings.operator_pause
            };
            pause.mul_f64(1.0 + settings.operator_spread * (2.0 * spread - 1.0))
        }
        RetryClass::Parent => {
            let span = settings.parent_pause_most.saturating_sub(settings.parent_pause_least);
            settings.parent_pause_least + span.mul_f64(spread)
        }
    }
}

/// How long to wait when the source gave the key that is held already.
#[must_use]
pub fn unchanged_delay(
    remaining: Option<Duration>,
    spread: f64,
    settings: &RefreshSettings,
) -> Duration {
    let near_end = remaining.is_some_and(|left| left <= settings.unchanged_poll * 2);
    let pause = if near_end { settings.unchanged_poll_near_end } else { settings.unchanged_poll };
    pause.mul_f64(0.8 + 0.4 * spread)
}

/// When to ask a source again that changes its key when it likes: at `drawn_at`, the point drawn
/// for the key that is held; from then on as [`unchanged_delay`] says; and before that too from time
/// to time, since it may change a young key.
#[must_use]
pub fn poll_at(
    now: Timestamp,
    drawn_at: Option<Timestamp>,
    remaining: Option<Duration>,
    spread: f64,
    settings: &RefreshSettings,
) -> Timestamp {
    match drawn_at {
        Some(at) if at > now => at.min(now + settings.longest_poll.mul_f64(0.8 + 0.2 * spread)),
        Some(_) | None => now + unchanged_delay(remaining, spread, settings),
    }
}

/// "Full jitter": anything from nothing to a bound that doubles with each failure.
fn full_jitter(base: Duration, count: u32, cap: Duration, spread: f64) -> Duration {
    let doublings = count.saturating_sub(1).min(30);
    base.saturating_mul(1 << doublings).min(cap).mul_f64(spread)
}

/// How many forced refreshes may happen: one per interval, a few saved up.
#[derive(Debug, Clone)]
pub struct ForcedLimit {
    interval: Duration,
    burst: u32,
    /// Until when the allowance is used up, as if each refresh took one interval.
    spent_until: Option<tokio::time::Instant>,
}

impl ForcedLimit {
    /// A full allowance.
    #[must_use]
    pub fn new(settings: &RefreshSettings) -> Self {
        Self {
            interval: settings.forced_interval,
            burst: settings.forced_burst.max(1),
            spent_until: None,
        }
    }

    /// Takes one from the allowance.
    ///
    /// # Errors
    /// When the allowance is used up: the instant from which one may be taken.
    pub fn take(&mut self, now: tokio::time::Instant) -> Result<(), tokio::time::Instant> {
        let spent_until = self.spent_until.map_or(now, |until| until.max(now));
        let may_start_at = spent_until.checked_sub(self.interval * (self.burst - 1));
        match may_start_at {
            Some(at) if at > now => Err(at),
            Some(_) | None => {
                self.spent_until = Some(spent_until + self.interval);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_key_is_renewed_inside_the_band_of_its_life() {
        for (life, spread, expected) in [
            (7200, 0.0, 3600),
            (7200, 0.5, 4320),
            (7200, 1.0, 5040),
            (1800, 1.0, 1260),
            (50, 0.0, 30), // the floor
            (30, 0.5, 21), // the floor would be past the band
        ] {
            let at = refresh_at(EPOCH, EPOCH + seconds(life), spread, &RefreshSettings::default());
            assert_eq!(at.since(EPOCH), seconds(expected), "life {life} spread {spread}");
        }
    }

    #[test]
    fn each_class_of_failure_has_its_own_patience() {
        use RetryClass::{Clock, Operator, Parent, Throttled, Transient};
        let hour = Some(seconds(3600));
        let soon = Some(seconds(60));
        let none = Some(Duration::ZERO);
        for (class, count, remaining, least, most) in [
            (Transient, 1, hour, 0, 1),
            (Transient, 2, hour, 0, 2),
            (Transient, 5, hour, 0, 16),
            (Transient, 99, hour, 0, 60),
            (Transient, 99, Some(seconds(300)), 0, 30),
            (Transient, 99, soon, 0, 15),
            (Transient, 99, none, 0, 30),
            (Transient, 99, None, 0, 60),
            (Throttled, 1, hour, 0, 4),
            (Throttled, 99, hour, 0, 120),
            (Throttled, 99, soon, 0, 120),
            (Throttled, 99, none, 0, 60),
            (Clock, 1, hour, 0, 0),
            (Clock, 2, hour, 0, 2),
            (Operator, 1, hour, 240, 360),
            (Operator, 9, hour, 240, 360),
            (Operator, 1, none, 24, 36),
            (Parent, 1, hour, 15, 60),
        ] {
            let failure = Failure { class, count, remaining };
            let delay = |spread| retry_delay(failure, spread, &RefreshSettings::default());
            assert_eq!(delay(0.0), seconds(least), "{failure:?} at the least");
            assert_eq!(delay(1.0), seconds(most), "{failure:?} at the most");
        }
    }

    #[test]
    fn the_key_we_hold_already_is_polled_for_faster_near_its_end() {
        let settings = RefreshSettings::default();
        let delay = |left, spread| unchanged_delay(left, spread, &settings);
        assert_eq!(delay(Some(seconds(3600)), 0.0), seconds(48));
        assert_eq!(delay(Some(seconds(3600)), 1.0), seconds(72));
        assert_eq!(delay(Some(seconds(120)), 0.5), seconds(10));
        assert_eq!(delay(None, 0.5), seconds(60));
    }

    #[test]
    fn a_source_that_changes_its_key_when_it_likes_is_polled_for_all_its_life() {
        let settings = RefreshSettings::default();
        for (drawn, left, spread, expected) in [
            (Some(4000), 7200, 0.0, 480), // young: every ten minutes at the latest
            (Some(4000), 7200, 1.0, 600),
            (Some(4000), 3300, 0.5, 100), // the drawn point is nearer
            (Some(4000), 3199, 0.0, 48),  // past it: every minute or so
            (Some(4000), 2000, 1.0, 72),
            (Some(4000), 120, 0.0, 8), // about to end
            (Some(4000), 120, 1.0, 12),
            (None, 3600, 0.5, 60),
        ] {
            let now = EPOCH + seconds(7200 - left);
            let drawn_at = drawn.map(|at| EPOCH + seconds(at));
            let at = poll_at(now, drawn_at, Some(seconds(left)), spread, &settings);
            assert_eq!(at.since(now), seconds(expected), "{left} s left, drawn at {drawn:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn forced_refreshes_are_two_at_once_then_one_per_interval() {
        let start = tokio::time::Instant::now();
        let mut limit = ForcedLimit::new(&RefreshSettings::default());
        let at = |second| start + seconds(second);
        assert_eq!(limit.take(at(0)), Ok(()));
        assert_eq!(limit.take(at(0)), Ok(()));
        assert_eq!(limit.take(at(0)), Err(at(30)));
        assert_eq!(limit.take(at(29)), Err(at(30)));
        assert_eq!(limit.take(at(30)), Ok(()));
        assert_eq!(limit.take(at(31)), Err(at(60)));
        assert_eq!(limit.take(at(600)), Ok(()));
        assert_eq!(limit.take(at(600)), Ok(()));
        assert_eq!(limit.take(at(600)), Err(at(630)), "the allowance does not grow for ever");
    }

    proptest! {
        #[test]
        fn no_draw_leaves_the_band(life in 60_u64..172_800, spread in 0.0_f64..=1.0) {
            let at = refresh_at(EPOCH, EPOCH + seconds(life), spread, &RefreshSettings::default());
            let share = at.since(EPOCH).as_secs_f64() / seconds(life).as_secs_f64();
            prop_assert!((0.4999..=0.7001).contains(&share), "{share}");
        }

        #[test]
        fn no_delay_panics_or_exceeds_its_cap(
            count in 0_u32..=u32::MAX, left in proptest::option::of(0_u64..u64::MAX / 2), spread in 0.0_f64..=1.0,
        ) {
            for class in RetryClass::ALL {
                let failure = Failure { class, count, remaining: left.map(seconds) };
                let delay = retry_delay(failure, spread, &RefreshSettings::default());
                prop_assert!(delay <= seconds(360));
            }
        }
    }
}
