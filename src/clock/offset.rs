//! How far the servers' clocks are from ours, learnt from their `Date`. Pure.

use std::{collections::VecDeque, time::Duration};

use super::Timestamp;

/// How servers' dates are weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSettings {
    /// The median of so many dates counts. `clock.samples`
    pub samples: usize,
    /// `Date` has whole seconds and travels for a while: less than this is noise.
    /// `clock.ignore_below`
    pub ignore_below: Duration,
    /// Nobody's clock is further off than this. `clock.longest`
    pub longest: Duration,
}

impl Default for ClockSettings {
    fn default() -> Self {
        Self {
            samples: 5,
            ignore_below: Duration::from_secs(2),
            longest: Duration::from_secs(24 * 3600),
        }
    }
}

/// The last dates of servers, each as its distance from the time since the machine booted: a wall
/// clock that is stepped does not touch them.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// In milliseconds, oldest first.
    seen: VecDeque<i64>,
}

impl Observations {
    /// One more date, of the moment at which the machine had run for `boot_millis`.
    pub(super) fn observe(
        &mut self,
        server: Timestamp,
        boot_millis: i64,
        settings: &ClockSettings,
    ) {
        while self.seen.len() >= settings.samples.max(1) {
            self.seen.pop_front();
        }
        let server = i64::try_from(server.unix_millis()).unwrap_or(i64::MAX);
        self.seen.push_back(server.saturating_sub(boot_millis));
    }

    /// Takes one date for the truth, because a server refused our time: the ones before are
    /// forgotten.
    pub(super) fn adopt(&mut self, server: Timestamp, boot_millis: i64, settings: &ClockSettings) {
        self.seen.clear();
        self.observe(server, boot_millis, settings);
    }

    /// The correction, in milliseconds, of a wall clock that is `base_millis` ahead of the time
    /// since the boot; `None` as long as no server was heard.
    pub(super) fn offset(&self, base_millis: i64, settings: &ClockSettings) -> Option<i64> {
        let mut sorted: Vec<i64> = self.seen.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len().checked_sub(1)? / 2)?;
        let offset = median.saturating_sub(base_millis);
        if offset.unsigned_abs() < millis(settings.ignore_below).unsigned_abs() {
            return Some(0);
        }
        let most = millis(settings.longest);
        Some(offset.clamp(-most, most))
    }
}

/// A span in milliseconds.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: i64 = 1_700_000_000_000;
    const MOST: i64 = 24 * 3600 * 1000;

    /// The correction after one more date, `seconds` ahead of a wall clock that stands at `BASE`.
    fn observe(seen: &mut Observations, seconds: i64) -> i64 {
        seen.observe(at(seconds), 0, &ClockSettings::default());
        seen.offset(BASE, &ClockSettings::default()).unwrap()
    }

    fn adopt(seen: &mut Observations, seconds: i64) -> i64 {
        seen.adopt(at(seconds), 0, &ClockSettings::default());
        seen.offset(BASE, &ClockSettings::default()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000_u64.saturating_add_signed(seconds))
    }

    #[test]
    fn one_odd_answer_among_five_changes_nothing() {
        let mut seen = Observations::default();
        assert_eq!(seen.offset(BASE, &ClockSettings::default()), None);
        for _ in 0..3 {
            assert_eq!(observe(&mut seen, 0), 0);
        }
        assert_eq!(observe(&mut seen, 3600), 0);
        assert_eq!(observe(&mut seen, 3600), 0);
        assert_eq!(observe(&mut seen, 3600), 3_600_000, "now it is the majority");
    }

    #[test]
    fn a_second_is_noise_and_a_year_is_a_day() {
        assert_eq!(observe(&mut Observations::default(), 1), 0);
        assert_eq!(observe(&mut Observations::default(), -1), 0);
        assert_eq!(observe(&mut Observations::default(), -2), -2000);
        let mut seen = Observations::default();
        assert_eq!(adopt(&mut seen, 31_536_000), MOST);
        assert_eq!(adopt(&mut seen, -31_536_000), -MOST);
    }

    #[test]
    fn a_refusal_of_our_time_is_believed_at_once() {
        let mut seen = Observations::default();
        for _ in 0..5 {
            observe(&mut seen, 0);
        }
        assert_eq!(adopt(&mut seen, -600), -600_000);
    }

    #[test]
    fn the_operator_decides_how_many_dates_are_weighed_and_what_is_noise() {
        let settings = ClockSettings {
            samples: 1,
            ignore_below: Duration::ZERO,
            longest: Duration::from_secs(60),
        };
        let mut seen = Observations::default();
        for (seconds, offset) in [(0, 0), (1, 1000), (-7, -7000), (61, 60_000)] {
            seen.observe(at(seconds), 0, &settings);
            assert_eq!(seen.offset(BASE, &settings), Some(offset), "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn any_dates_give_a_correction_of_a_day_at_most(dates in proptest::collection::vec((any::<u64>(), any::<i64>()), 1..20), base: i64) {
            let mut seen = Observations::default();
            let settings = ClockSettings::default();
            for (server, boot) in dates {
                seen.observe(Timestamp::from_unix_millis(server), boot, &settings);
                let offset = seen.offset(base, &settings).unwrap();
                prop_assert!(offset == 0 || (2000..=MOST).contains(&offset.abs()));
            }
        }
    }
}
