//! Sidecars on a simulated clock: nothing waits, nothing is left to chance but seeded dice.
//!
//! What a sidecar decides is decided by the code that runs in the proxy: `Planner` says when to ask,
//! `judge` what to take. Here is only what stands around them in the refresher: the order of
//! events. `tests/fleet.rs` holds it against the refresher itself.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use cos_auth_proxy::{
    clock::Timestamp,
    credential::{
        Cause, Credential, Moment, Planner, RefreshError, RefreshSettings, Renewal, Verdict, judge,
    },
    secret::{SecretId, SecretKey},
};
use tokio::time::Instant;

use crate::{
    report::Report,
    sts::{Answer, Millis, Sts},
};

/// When simulated time begins.
pub const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
/// How often the traffic behind a sidecar meets a revoked key.
pub const REQUEST_EVERY: Millis = 1000;

/// What happens to a fleet.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How many sidecars.
    pub sidecars: usize,
    /// They begin within this span, each at a point of its own.
    pub begin_within: Duration,
    /// Of all dice.
    pub seed: u64,
    /// How they refresh.
    pub settings: RefreshSettings,
    /// Every draw gives this number, as in a program without jitter.
    pub stuck_dice: Option<f64>,
    /// All keys are revoked at this point; traffic meets that within a second.
    pub revoked_at: Option<Millis>,
    /// From this point on sidecars are replaced by new ones, evenly over the span.
    pub replaced: Option<(Millis, Duration)>,
    /// Whether each tick of a sidecar's clock is an event, or only those that find something.
    pub each_tick: bool,
    /// When the simulation ends.
    pub until: Millis,
}

impl Scenario {
    /// A fleet that begins within a span, with the default settings.
    pub fn new(sidecars: usize, begin_within: Duration, until: Duration) -> Self {
        Self {
            sidecars,
            begin_within,
            seed: 1,
            settings: RefreshSettings::default(),
            stuck_dice: None,
            revoked_at: None,
            replaced: None,
            each_tick: false,
            until: millis(until),
        }
    }

    /// When each sidecar begins, and how long after a revocation its traffic meets it.
    pub fn draws(&self) -> Vec<(Millis, Millis)> {
        let mut dice = fastrand::Rng::with_seed(self.seed);
        let span = self.begin_within.as_secs_f64();
        let draw = |_| {
            let begins_at = millis(Duration::from_secs_f64(span * dice.f64()));
            (begins_at, dice.u64(0..REQUEST_EVERY))
        };
        (0..self.sidecars).map(draw).collect()
    }

    /// The dice of a sidecar in its first life.
    pub fn dice(&self, who: usize) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003) ^ who as u64)
    }

    /// Plays it.
    pub fn run(&self, sts: &mut impl Sts) -> Report {
        let mut fleet = Fleet::new(self, sts);
        fleet.begin();
        fleet.play();
        fleet.end()
    }
}

/// Whole milliseconds.
pub fn millis(span: Duration) -> Millis {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

struct Sidecar {
    planner: Planner,
    dice: fastrand::Rng,
    held: Option<Credential>,
    /// The attempt under way: why, whether it is judged as forced, and what will come of it.
    attempt: Option<(Cause, bool, Answer)>,
    /// The bell has rung and nobody has looked.
    rung: bool,
    /// The key that is held is revoked.
    revoked_at: Option<Millis>,
    began_at: Millis,
    failing_since: Option<Millis>,
    /// Counts sleeps and lives, so that events of earlier ones are known as such.
    sleep: u32,
    life: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Begins,
    Wakes { sleep: u32 },
    Hears { life: u32 },
    Revoked,
    RequestRejected { life: u32 },
    Replaced,
}

/// When, in which order among those of the same instant, to whom, what.
type Event = Reverse<(Millis, u64, usize, What)>;

struct Fleet<'a, S> {
    scenario: &'a Scenario,
    sts: &'a mut S,
    sidecars: Vec<Sidecar>,
    events: BinaryHeap<Event>,
    events_so_far: u64,
    now: Millis,
    /// Where the monotonic clock stands at the beginning; only differences matter.
    started: Instant,
    keys: u64,
    report: Report,
}

impl<'a, S: Sts> Fleet<'a, S> {
    fn new(scenario: &'a Scenario, sts: &'a mut S) -> Self {
        let sidecar = |who| Sidecar::new(&scenario.settings, scenario.dice(who));
        let sidecars = (0..scenario.sidecars).map(sidecar).collect();
        Self {
            scenario,
            sts,
            sidecars,
            events: BinaryHeap::new(),
            events_so_far: 0,
            now: 0,
            started: Instant::now(),
            keys: 0,
            report: Report::new(scenario.sidecars),
        }
    }

    fn begin(&mut self) {
        for (who, (begins_at, met_after)) in self.scenario.draws().into_iter().enumerate() {
            self.happens(begins_at, who, What::Begins);
            if let Some(at) = self.scenario.revoked_at {
                self.happens(at + met_after, who, What::Revoked);
            }
            if let Some((from, span)) = self.scenario.replaced {
                let share = millis(span) * who as u64 / self.scenario.sidecars as u64;
                self.happens(from + share, who, What::Replaced);
            }
        }
    }

    fn play(&mut self) {
        while let Some(Reverse((at, _, who, what))) = self.events.pop() {
            if at > self.scenario.until {
                break;
            }
            self.now = at;
            match what {
                What::Begins => self.begins(who),
                What::Wakes { sleep } if sleep == self.sidecars[who].sleep => self.looks(who),
                What::Hears { life } if life == self.sidecars[who].life => self.hears(who),
                What::Revoked => self.revoked(who),
                What::RequestRejected { life } if life == self.sidecars[who].life => {
                    self.rejected(who);
                }
                What::Replaced => self.replaced(who),
                What::Wakes { .. } | What::Hears { .. } | What::RequestRejected { .. } => {}
            }
        }
        self.now = self.scenario.until;
    }

    fn end(mut self) -> Report {
        for who in 0..self.sidecars.len() {
            self.note_gap(who);
        }
        self.report
    }

    fn begins(&mut self, who: usize) {
        self.look_at_clock(who);
        let (now, stuck) = (self.moment(), self.scenario.stuck_dice);
        let sidecar = &mut self.sidecars[who];
        sidecar.began_at = self.now;
        let draw = stuck.unwrap_or_else(|| sidecar.dice.f64());
        sidecar.planner.starts_after(self.scenario.settings.startup_jitter.mul_f64(draw), now);
        self.looks(who);
    }

    /// The refresher's loop, until it sleeps or asks.
    fn looks(&mut self, who: usize) {
        loop {
            self.look_at_clock(who);
            let now = self.moment();
            let sidecar = &mut self.sidecars[who];
            if let Some(cause) = sidecar.planner.due(now) {
                return self.asks(who, cause);
            }
            if !std::mem::take(&mut sidecar.rung) {
                return self.sleeps(who);
            }
            sidecar.planner.rejected(now.instant);
        }
    }

    fn sleeps(&mut self, who: usize) {
        let now = self.moment();
        let sidecar = &mut self.sidecars[who];
        let tick = self.scenario.settings.wall_clock_tick;
        let wake_at = if self.scenario.each_tick {
            sidecar.planner.wake_at(now.instant)
        } else {
            // What is planned, or the first tick that finds the key expired.
            let planned = sidecar.planner.wake_at(now.instant + Duration::from_secs(1 << 32));
            let left = sidecar.held.as_ref().and_then(|key| key.remaining(now.at));
            match left.filter(|left| !left.is_zero()) {
                Some(left) => {
                    let ticks = left.as_millis().div_ceil(tick.as_millis());
                    planned.min(now.instant + tick * u32::try_from(ticks).unwrap_or(u32::MAX))
                }
                None => planned,
            }
        };
        sidecar.sleep += 1;
        let sleep = sidecar.sleep;
        let at = millis(wake_at.duration_since(self.started));
        self.happens(at, who, What::Wakes { sleep });
    }

    fn asks(&mut self, who: usize, cause: Cause) {
        let sidecar = &mut self.sidecars[who];
        sidecar.sleep += 1;
        let forced = sidecar.planner.begins(cause);
        let answer = self.sts.call(who, self.now);
        self.report.called(self.now, answer.outcome.is_ok());
        sidecar.attempt = Some((cause, forced, answer));
        let life = sidecar.life;
        self.happens(self.now + answer.after, who, What::Hears { life });
    }

    fn hears(&mut self, who: usize) {
        let now = self.moment();
        let Some((cause, forced, answer)) = self.sidecars[who].attempt.take() else { return };
        let key = answer.outcome.map(|life| self.key(life));
        let stuck = self.scenario.stuck_dice;
        let sidecar = &mut self.sidecars[who];
        let held = sidecar.held.as_ref();
        let judged = key.and_then(|key| {
            let verdict = judge(&key, held, now.at, forced, &self.scenario.settings);
            Ok((verdict.map_err(|refusal| RefreshError::from(refusal).retry())?, key))
        });
        let draw = || stuck.unwrap_or_else(|| sidecar.dice.f64());
        match judged {
            Ok((Verdict::Accepted, key)) => {
                if let Some(since) = sidecar.failing_since.take() {
                    self.report.recovered(since, self.now);
                }
                sidecar.planner.swapped(&key, now, draw);
                self.swaps(who, key);
            }
            Ok((Verdict::Unchanged, key)) => sidecar.planner.unchanged(&key, now, draw),
            Err(class) => {
                if std::mem::take(&mut sidecar.rung) {
                    sidecar.planner.rejected_meanwhile();
                }
                sidecar.failing_since.get_or_insert(self.now);
                sidecar.planner.failed(class, cause, held, now, draw);
            }
        }
        self.looks(who);
    }

    fn swaps(&mut self, who: usize, key: Credential) {
        self.note_gap(who);
        let sidecar = &mut self.sidecars[who];
        if sidecar.held.is_none() {
            self.report.first_key(who, sidecar.began_at, self.now);
        }
        sidecar.held = Some(key);
        // A rejection is of the key it is about.
        sidecar.rung = false;
        sidecar.revoked_at = None;
    }

    /// How long the sidecar has been without a key that works, since it had one.
    fn note_gap(&mut self, who: usize) {
        let now = self.moment();
        let sidecar = &self.sidecars[who];
        let expired = sidecar.held.as_ref().and_then(|key| key.expires_at);
        let expired_since = expired.map_or(0, |end| millis(now.at.since(end)));
        let revoked_since = sidecar.revoked_at.map_or(0, |at| self.now - at);
        self.report.without_key(who, expired_since.max(revoked_since));
    }

    fn revoked(&mut self, who: usize) {
        let sidecar = &mut self.sidecars[who];
        if sidecar.held.is_some() {
            sidecar.revoked_at = Some(self.now);
            self.rejected(who);
        }
    }

    fn rejected(&mut self, who: usize) {
        let sidecar = &mut self.sidecars[who];
        let now = EPOCH + Duration::from_millis(self.now);
        let in_use = sidecar.held.as_ref().is_some_and(|key| key.is_usable(now));
        if sidecar.revoked_at.is_none() || !in_use {
            return;
        }
        sidecar.rung = true;
        let life = sidecar.life;
        let asking = sidecar.attempt.is_some();
        self.happens(self.now + REQUEST_EVERY, who, What::RequestRejected { life });
        if !asking {
            self.looks(who);
        }
    }

    fn replaced(&mut self, who: usize) {
        let old = &mut self.sidecars[who];
        let new = Sidecar::new(&self.scenario.settings, old.dice.fork());
        *old = Sidecar { sleep: old.sleep, life: old.life + 1, ..new };
        self.begins(who);
    }

    fn look_at_clock(&mut self, who: usize) {
        let now = self.moment();
        let stuck = self.scenario.stuck_dice;
        let sidecar = &mut self.sidecars[who];
        let draw = || stuck.unwrap_or_else(|| sidecar.dice.f64());
        sidecar.planner.look(sidecar.held.as_ref(), now, draw);
    }

    fn key(&mut self, life: Duration) -> Credential {
        self.keys += 1;
        let now = self.moment().at;
        Credential {
            id: SecretId::new(&format!("AKID{}", self.keys)).unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: None,
            expires_at: Some(now + life),
            received_at: now,
        }
    }

    fn moment(&self) -> Moment {
        let passed = Duration::from_millis(self.now);
        Moment { at: EPOCH + passed, instant: self.started + passed }
    }

    fn happens(&mut self, at: Millis, who: usize, what: What) {
        self.events_so_far += 1;
        self.events.push(Reverse((at, self.events_so_far, who, what)));
    }
}

impl Sidecar {
    fn new(settings: &RefreshSettings, dice: fastrand::Rng) -> Self {
        Self {
            planner: Planner::new(settings, Renewal::AheadOfExpiry),
            dice,
            held: None,
            attempt: None,
            rung: false,
            revoked_at: None,
            began_at: 0,
            failing_since: None,
            sleep: 0,
            life: 0,
        }
    }
}
