//! How far the servers' clocks are from ours, learnt from their `Date`.

use std::sync::{Mutex, PoisonError};

use crate::clock::{Clock, Timestamp};

/// `Date` has whole seconds and travels for a while: less than this is noise, in milliseconds.
const NOISE: i64 = 2000;
/// Nobody's clock is further off than a day, in milliseconds.
const MOST: i64 = 24 * 3600 * 1000;
/// How many observations are weighed.
const WINDOW: usize = 5;

/// The last observations of a server's clock. Pure.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    /// Server minus local, in milliseconds, oldest first.
    seen: Vec<i64>,
}

impl Observations {
    /// Weighs one more observation; returns the correction in milliseconds: the median of the last
    /// five, 0 if it is below 2 s, at most a day.
    pub fn observe(&mut self, server: Timestamp, local: Timestamp) -> i64 {
        if self.seen.len() == WINDOW {
            self.seen.remove(0);
        }
        self.seen.push(difference(server, local));
        let mut sorted = self.seen.clone();
        sorted.sort_unstable();
        let median = sorted.get((sorted.len() - 1) / 2).copied().unwrap_or_default();
        if median.abs() < NOISE { 0 } else { median }
    }

    /// Takes one observation for the truth, because a server refused our time: the ones before
    /// are forgotten. Returns the correction in milliseconds.
    pub fn adopt(&mut self, server: Timestamp, local: Timestamp) -> i64 {
        self.seen.clear();
        self.observe(server, local)
    }
}

fn difference(server: Timestamp, local: Timestamp) -> i64 {
    let ahead = i64::try_from(server.since(local).as_millis()).unwrap_or(i64::MAX);
    let behind = i64::try_from(local.since(server).as_millis()).unwrap_or(i64::MAX);
    (ahead - behind).clamp(-MOST, MOST)
}

/// Corrects a clock by what trusted servers say.
#[derive(Debug)]
pub struct ServerTime {
    clock: Clock,
    observations: Mutex<Observations>,
}

impl ServerTime {
    /// Corrects `clock` and its clones.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, observations: Mutex::default() }
    }

    /// A server said that it was `server` when our uncorrected clock said `local`.
    pub fn observe(&self, server: Timestamp, local: Timestamp) {
        let offset = self.observations().observe(server, local);
        self.clock.set_offset_millis(offset);
    }

    /// The same from a server that refused our time: believed at once.
    pub fn adopt(&self, server: Timestamp, local: Timestamp) {
        let offset = self.observations().adopt(server, local);
        self.clock.set_offset_millis(offset);
    }

    fn observations(&self) -> std::sync::MutexGuard<'_, Observations> {
        // A list of numbers is meaningful whoever panicked while holding it.
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000_u64.saturating_add_signed(seconds))
    }

    #[test]
    fn one_odd_answer_among_five_changes_nothing() {
        let mut seen = Observations::default();
        for _ in 0..3 {
            assert_eq!(seen.observe(at(0), at(0)), 0);
        }
        assert_eq!(seen.observe(at(3600), at(0)), 0);
        assert_eq!(seen.observe(at(3600), at(0)), 0);
        assert_eq!(seen.observe(at(3600), at(0)), 3_600_000, "now it is the majority");
    }

    #[test]
    fn a_second_is_noise_and_a_year_is_a_day() {
        let mut seen = Observations::default();
        assert_eq!(seen.observe(at(1), at(0)), 0);
        assert_eq!(Observations::default().observe(at(-1), at(0)), 0);
        assert_eq!(Observations::default().observe(at(-2), at(0)), -2000);
        assert_eq!(seen.adopt(at(31_536_000), at(0)), MOST);
        assert_eq!(seen.adopt(at(-31_536_000), at(0)), -MOST);
    }

    #[test]
    fn a_refusal_of_our_time_is_believed_at_once() {
        let clock = Clock::system();
        let time = ServerTime::new(clock.clone());
        for _ in 0..5 {
            time.observe(at(0), at(0));
        }
        time.adopt(at(-600), at(0));
        assert_eq!(clock.offset_millis(), -600_000);
    }

    proptest! {
        #[test]
        fn any_dates_give_a_correction_of_a_day_at_most(dates in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..20)) {
            let mut seen = Observations::default();
            for (server, local) in dates {
                let offset = seen.observe(
                    Timestamp::from_unix_millis(server),
                    Timestamp::from_unix_millis(local),
                );
                prop_assert!(offset == 0 || (NOISE..=MOST).contains(&offset.abs()));
            }
        }
    }
}
