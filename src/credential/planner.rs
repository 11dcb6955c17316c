//! What a refresher does next. Pure: the time and the dice are arguments.
//!
//! `draw` gives a number from 0 to 1 and is called only when one is needed.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;

use super::{
    Credential, RefreshSettings,
    error::RetryClass,
    schedule::{self, Failure, ForcedLimit},
    source::Renewal,
};

/// Now, on both clocks: a suspended machine stops one of them.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, as the servers see it.
    pub at: Timestamp,
    /// The monotonic clock.
    pub instant: Instant,
}

/// Why an attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is the first one.
    Start,
    /// The plan said so.
    Schedule,
    /// The upstream rejected the current key.
    Rejected,
    /// Somebody asked for a new key.
    Asked,
}

/// The plan of one key set.
#[derive(Debug)]
pub struct Planner {
    settings: RefreshSettings,
    renewal: Renewal,
    limit: ForcedLimit,
    /// When to ask next, on both clocks.
    next: Option<Moment>,
    /// A rejected key is not replaced yet: when it may be, as forced refreshes are limited.
    forced: Option<Instant>,
    /// The point drawn for the current key.
    refresh_at: Option<Timestamp>,
    /// Failures in a row, and how the last one is retried.
    failures: u32,
    last_class: RetryClass,
    /// The current key was rejected by the upstream.
    distrusted: bool,
    /// The current key could be used when last looked at.
    was_usable: bool,
    /// An attempt was made.
    begun: bool,
}

/// What a look at the clock found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The key that is held may be used.
    pub usable: bool,
    /// It could be when last looked at, and now cannot.
    pub ran_out: bool,
}

impl Planner {
    /// A plan without a key.
    #[must_use]
    pub fn new(settings: &RefreshSettings, renewal: Renewal) -> Self {
        Self {
            settings: settings.clone(),
            renewal,
            limit: ForcedLimit::new(settings),
            next: None,
            forced: None,
            refresh_at: None,
            failures: 0,
            last_class: RetryClass::Transient,
            distrusted: false,
            was_usable: false,
            begun: false,
        }
    }

    /// Plans the first attempt.
    pub fn starts_after(&mut self, wait: Duration, now: Moment) {
        self.plan(Some(now.at + wait), now);
    }

    /// When the next attempt is planned, by the wall clock.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.next.map(|moment| moment.at)
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next attempt is made for whatever reason, as far as is planned.
    #[must_use]
    pub fn next_try_at(&self) -> Option<Instant> {
        let planned = self.next.map(|moment| moment.instant);
        [planned, self.forced].into_iter().flatten().min()
    }

    /// Whether a new key should have come already.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.failures > 0 || self.distrusted
    }

    /// When to look at the plan again, if nothing happens before.
    #[must_use]
    pub fn wake_at(&self, now: Instant) -> Instant {
        let tick = now + self.settings.wall_clock_tick;
        self.next_try_at().map_or(tick, |at| at.min(tick))
    }

    /// Whether an attempt is due by either clock.
    pub fn due(&mut self, now: Moment) -> Option<Cause> {
        if self.forced.is_some_and(|at| at <= now.instant) {
            match self.limit.take(now.instant) {
                Ok(()) => return Some(Cause::Rejected),
                Err(at) => self.forced = Some(at),
            }
        }
        let next = self.next?;
        let cause = if self.begun { Cause::Schedule } else { Cause::Start };
        (next.instant <= now.instant || next.at <= now.at).then_some(cause)
    }

    /// Somebody asks for a new key: whether an attempt may be made for it.
    ///
    /// # Errors
    /// Forced refreshes are limited: the instant from which one may be made.
    pub fn asked(&mut self, now: Instant) -> Result<(), Instant> {
        self.limit.take(now)
    }

    /// The upstream rejected the current key. Returns the instant to wait for if forced refreshes
    /// are limited and this was not known before.
    pub fn rejected(&mut self, now: Instant) -> Option<Instant> {
        self.distrusted = true;
        if self.forced.is_some() {
            return None;
        }
        let limited_until = self.limit.clone().take(now).err();
        self.forced = Some(limited_until.unwrap_or(now));
        limited_until
    }

    /// The upstream rejected the current key while an attempt was under way that failed: part of
    /// the same trouble.
    pub fn rejected_meanwhile(&mut self) {
        self.distrusted = true;
    }

    /// An attempt begins. Returns whether it is to be judged as a forced one.
    pub fn begins(&mut self, cause: Cause) -> bool {
        self.forced = None;
        self.begun = true;
        // What a polled source shows is the key, whichever ends first.
        self.distrusted || cause == Cause::Asked || self.renewal == Renewal::Polled
    }

    /// The attempt gave a key that is now the current one.
    pub fn swapped(&mut self, key: &Credential, now: Moment, draw: impl FnOnce() -> f64) {
        let asks_again = self.renewal != Renewal::Never;
        let drawn = asks_again.then(|| self.drawn(key, now.at, draw()));
        self.begun = true;
        self.distrusted = false;
        self.was_usable = true;
        self.failures = 0;
        self.refresh_at = drawn.map(|(refresh_at, _)| refresh_at);
        self.plan(drawn.map(|(_, next)| next), now);
    }

    /// The attempt gave the key that is held already.
    pub fn unchanged(&mut self, key: &Credential, now: Moment, draw: impl FnOnce() -> f64) {
        let remaining = key.remaining(now.at);
        let spread = draw();
        let poll_at = now.at + schedule::unchanged_delay(remaining, spread, &self.settings);
        let next = match (self.renewal, self.refresh_at) {
            (Renewal::Never, _) => None,
            (Renewal::AheadOfExpiry, Some(drawn_at)) if !self.distrusted => {
                Some(poll_at.max(drawn_at))
            }
            (Renewal::Polled, drawn_at) if !self.distrusted => {
                Some(schedule::poll_at(now.at, drawn_at, remaining, spread, &self.settings))
            }
            (Renewal::AheadOfExpiry | Renewal::Polled, _) => Some(poll_at),
        };
        self.failures = 0;
        self.plan(next, now);
    }

    /// The attempt gave no key; `held` is the one from before.
    pub fn failed(
        &mut self,
        class: RetryClass,
        cause: Cause,
        held: Option<&Credential>,
        now: Moment,
        draw: impl FnOnce() -> f64,
    ) {
        let usable = held.is_some_and(|key| key.is_usable(now.at));
        let due = self.distrusted || !usable || self.refresh_at.is_none_or(|at| at <= now.at);
        // Nobody who asks out of turn, in vain, changes the plan of a good key.
        if due || cause != Cause::Asked {
            self.failures = self.failures.saturating_add(1);
            self.last_class = class;
            let delay = self.retry_delay(held, now.at, draw);
            self.plan(Some(now.at + delay), now);
        }
    }

    /// What only time changes: the end of the key that is held.
    pub fn look(
        &mut self,
        held: Option<&Credential>,
        now: Moment,
        draw: impl FnOnce() -> f64,
    ) -> Look {
        let usable = held.is_some_and(|key| key.is_usable(now.at));
        let ran_out = self.was_usable && !usable;
        self.was_usable = usable;
        if ran_out && self.renewal != Renewal::Never {
            // The next try was planned with a key in hand; without one it is worth more.
            let sooner = now.at + self.retry_delay(held, now.at, draw);
            if self.next.is_none_or(|next| sooner < next.at) {
                self.plan(Some(sooner), now);
            }
        }
        Look { usable, ran_out }
    }

    /// When a key that came just now is to be renewed, and when to ask before that.
    fn drawn(&self, key: &Credential, now: Timestamp, spread: f64) -> (Timestamp, Timestamp) {
        let settings = &self.settings;
        let Some(end) = key.expires_at else {
            let at = now + schedule::unchanged_delay(None, spread, settings);
            return (at, at);
        };
        let refresh_at = schedule::refresh_at(key.received_at, end, spread, settings);
        if self.renewal != Renewal::Polled {
            return (refresh_at, refresh_at);
        }
        let remaining = key.remaining(now);
        (refresh_at, schedule::poll_at(now, Some(refresh_at), remaining, spread, settings))
    }

    fn retry_delay(
        &self,
        held: Option<&Credential>,
        now: Timestamp,
        draw: impl FnOnce() -> f64,
    ) -> Duration {
        let useful = held.filter(|key| key.is_usable(now) && !self.distrusted);
        let remaining = useful.map_or(Some(Duration::ZERO), |key| key.remaining(now));
        let failure = Failure { class: self.last_class, count: self.failures, remaining };
        schedule::retry_delay(failure, draw(), &self.settings)
    }

    fn plan(&mut self, next: Option<Timestamp>, now: Moment) {
        self.next = next.map(|at| Moment { at, instant: now.instant + at.since(now.at) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::{SecretId, SecretKey};

    const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const HOUR: u64 = 3600;

    struct House {
        planner: Planner,
        settings: RefreshSettings,
        started: Instant,
    }

    impl House {
        fn new() -> Self {
            let settings = RefreshSettings::default();
            let planner = Planner::new(&settings, Renewal::AheadOfExpiry);
            Self { planner, settings, started: Instant::now() }
        }

        /// With a key of one hour that came at 0 and is planned to be renewed at half an hour.
        fn with_key() -> (Self, Credential) {
            let (mut house, key) = (Self::new(), key(HOUR));
            house.planner.swapped(&key, house.at(0), || 0.0);
            (house, key)
        }

        fn at(&self, second: u64) -> Moment {
            let span = Duration::from_secs(second);
            Moment { at: EPOCH + span, instant: self.started + span }
        }

        fn instant(&self, second: u64) -> Instant {
            self.at(second).instant
        }

        fn planned(&self) -> Option<u64> {
            self.planner.next_at().map(|at| at.since(EPOCH).as_secs())
        }
    }

    fn key(life: u64) -> Credential {
        Credential {
            id: SecretId::new("AKIDone").unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: None,
            expires_at: Some(EPOCH + Duration::from_secs(life)),
            received_at: EPOCH,
        }
    }

    fn no_dice() -> f64 {
        panic!("nothing is drawn here")
    }

    #[test]
    fn an_attempt_is_due_when_either_clock_says_so() {
        let (mut house, _key) = House::with_key();
        assert_eq!(house.planner.due(house.at(1799)), None);
        assert_eq!(house.planner.due(house.at(1800)), Some(Cause::Schedule));
        let slept = Moment { at: house.at(1800).at, instant: house.instant(10) };
        assert_eq!(house.planner.due(slept), Some(Cause::Schedule), "timers stood still");
        let stepped_back = Moment { at: EPOCH, instant: house.instant(1800) };
        assert_eq!(house.planner.due(stepped_back), Some(Cause::Schedule), "the wall clock did");
    }

    #[test]
    fn the_first_attempt_may_wait_and_what_is_promised_is_the_sooner_try() {
        let mut house = House::new();
        house.planner.starts_after(Duration::from_secs(2), house.at(0));
        assert_eq!(house.planner.due(house.at(1)), None);
        assert_eq!(house.planner.next_try_at(), Some(house.instant(2)));
        assert_eq!(house.planner.due(house.at(2)), Some(Cause::Start));
        assert!(!house.planner.is_late());
        house.planner.rejected(house.instant(1));
        assert_eq!(house.planner.next_try_at(), Some(house.instant(1)));
        assert!(house.planner.is_late());
    }

    #[test]
    fn the_plan_is_looked_at_each_tick_and_when_something_is_due() {
        let (mut house, _key) = House::with_key();
        assert_eq!(house.planner.wake_at(house.instant(0)), house.instant(5));
        assert_eq!(house.planner.wake_at(house.instant(1797)), house.instant(1800));
        house.planner.rejected(house.instant(7));
        assert_eq!(house.planner.wake_at(house.instant(7)), house.instant(7));
    }

    #[test]
    fn rejections_are_due_at_once_until_the_limit() {
        let (mut house, key) = House::with_key();
        for _ in 0..2 {
            assert_eq!(house.planner.rejected(house.instant(10)), None);
            assert_eq!(house.planner.due(house.at(10)), Some(Cause::Rejected));
            assert!(house.planner.begins(Cause::Rejected), "judged as forced");
            house.planner.swapped(&key, house.at(10), || 0.0);
        }
        assert_eq!(house.planner.rejected(house.instant(10)), Some(house.instant(40)));
        assert_eq!(house.planner.rejected(house.instant(11)), None, "told once");
        assert_eq!(house.planner.due(house.at(39)), None);
        assert_eq!(house.planner.due(house.at(40)), Some(Cause::Rejected));
        house.planner.swapped(&key, house.at(40), || 0.0);
        assert!(!house.planner.begins(Cause::Schedule), "the new key is trusted");
    }

    #[test]
    fn a_rejection_waits_for_the_attempt_that_is_under_way() {
        let (mut house, key) = House::with_key();
        assert!(!house.planner.begins(Cause::Schedule));
        house.planner.rejected_meanwhile();
        let at = house.at(1801);
        house.planner.failed(RetryClass::Transient, Cause::Schedule, Some(&key), at, || 1.0);
        assert_eq!(house.planned(), Some(1802));
        assert!(house.planner.begins(Cause::Schedule), "now it is judged as forced");
    }

    #[test]
    fn asking_in_vain_does_not_move_the_plan_of_a_good_key() {
        let (mut house, key) = House::with_key();
        assert!(house.planner.begins(Cause::Asked));
        let transient = RetryClass::Transient;
        house.planner.failed(transient, Cause::Asked, Some(&key), house.at(60), no_dice);
        assert_eq!((house.planned(), house.planner.failures()), (Some(1800), 0));
        house.planner.failed(transient, Cause::Asked, Some(&key), house.at(1900), || 1.0);
        assert_eq!((house.planned(), house.planner.failures()), (Some(1901), 1));
    }

    #[test]
    fn the_end_of_a_key_brings_the_next_try_forward_and_never_back() {
        let (mut house, key) = House::with_key();
        let throttled = RetryClass::Throttled;
        for _ in 0..9 {
            let at = house.at(3590);
            house.planner.failed(throttled, Cause::Schedule, Some(&key), at, || 1.0);
        }
        assert_eq!(house.planned(), Some(3590 + 120));
        let look = house.planner.look(Some(&key), house.at(3599), no_dice);
        assert_eq!(look, Look { usable: true, ran_out: false });
        let look = house.planner.look(Some(&key), house.at(3600), || 0.5);
        assert_eq!(look, Look { usable: false, ran_out: true });
        assert_eq!(house.planned(), Some(3600 + 30));
        let look = house.planner.look(Some(&key), house.at(3601), no_dice);
        assert_eq!(look, Look { usable: false, ran_out: false });
    }

    #[test]
    fn the_same_key_again_is_asked_for_at_its_point_unless_it_was_rejected() {
        let (mut house, key) = House::with_key();
        house.planner.unchanged(&key, house.at(60), || 0.5);
        assert_eq!(house.planned(), Some(1800), "asked early, planned as before");
        house.planner.unchanged(&key, house.at(1800), || 0.5);
        assert_eq!(house.planned(), Some(1860), "polled from its point on");
        house.planner.rejected(house.instant(60));
        house.planner.unchanged(&key, house.at(60), || 0.5);
        assert_eq!(house.planned(), Some(120));
    }

    #[test]
    fn the_only_key_of_a_source_is_never_asked_for_again() {
        let house = House::new();
        let mut planner = Planner::new(&house.settings, Renewal::Never);
        planner.swapped(&key(HOUR), house.at(0), no_dice);
        assert!(planner.look(Some(&key(HOUR)), house.at(HOUR), no_dice).ran_out);
        assert_eq!((planner.next_at(), planner.due(house.at(2 * HOUR))), (None, None));
    }

    proptest! {
        /// Whatever happened, a source that has more keys is asked again within six minutes of a
        /// failure, and a wake-up is never later than a tick.
        #[test]
        fn something_is_always_planned(
            class in proptest::sample::select(&RetryClass::ALL[..]),
            failures in 0_u32..40, at in 0_u64..3 * HOUR, spread in 0.0_f64..=1.0, rejected: bool,
        ) {
            let (mut house, key) = House::with_key();
            if rejected {
                house.planner.rejected(house.instant(at));
            }
            for _ in 0..=failures {
                let now = house.at(at);
                house.planner.failed(class, Cause::Schedule, Some(&key), now, || spread);
            }
            let now = house.at(at);
            house.planner.look(Some(&key), now, || spread);
            let next = house.planner.next_at().unwrap();
            prop_assert!(next.since(now.at) <= Duration::from_secs(360) && next >= now.at);
            let wake_at = house.planner.wake_at(now.instant);
            prop_assert!(wake_at <= now.instant + house.settings.wall_clock_tick);
            prop_assert!(wake_at <= now.instant + next.since(now.at));
        }
    }
}
