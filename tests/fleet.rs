//! Many sidecars on simulated time: what they promise to an STS, and that they decide as the
//! refresher does. The figures of a large fleet: `docs/FLEET.md`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "shared with a tool of the benchmark"
)]

use std::{
    collections::HashSet,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        Credential, Fetched, Fetching, KeyMetrics, KeySource, RefreshSettings, Refresher,
        RetryClass, SourceError,
    },
    secret::{SecretId, SecretKey},
    shutdown::Shutdown,
};

#[path = "../benches/fleet/report.rs"]
mod report;
#[path = "../benches/fleet/simulation.rs"]
mod simulation;
#[path = "../benches/fleet/sts.rs"]
mod sts;

use simulation::{EPOCH, REQUEST_EVERY, Scenario, millis};
use sts::{Answer, LimitedSts, Millis, Sts};

const TWO_HOURS: Duration = Duration::from_secs(7200);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The seconds of a cycle of two-hour keys, which is 0.6 of a life in the mean.
fn cycle(number: u64) -> Range<u64> {
    4320 * number - 2160..4320 * number + 2160
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_another_one_others() {
    let play = |seed| {
        let fleet = Scenario { seed, ..Scenario::new(300, seconds(30), seconds(20_000)) };
        let mut sts = LimitedSts::new(TWO_HOURS, Some(5));
        sts.outage = 6_000_000..8_000_000;
        fleet.run(&mut sts)
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}

#[test]
fn ticks_that_find_nothing_may_be_left_out() {
    let play = |each_tick| {
        let mut fleet = Scenario::new(100, seconds(30), seconds(20_000));
        fleet.each_tick = each_tick;
        fleet.revoked_at = Some(9_000_000);
        let mut sts = LimitedSts::new(seconds(1800), Some(2));
        sts.outage = 4_000_000..6_500_000;
        let report = fleet.run(&mut sts);
        assert_eq!(report.ever_without(), 100, "keys ended in the outage");
        report
    };
    assert_eq!(play(true), play(false));
}

#[test]
fn the_limit_is_a_limit() {
    let mut sts = LimitedSts::new(TWO_HOURS, Some(7));
    let admitted: Vec<Millis> =
        (0..30_000).step_by(13).filter(|at| sts.call(0, *at).outcome.is_ok()).collect();
    assert!(admitted.windows(8).all(|calls| calls[7] - calls[0] >= 1000));
    assert!(admitted.len() >= 7 * 29, "and nobody is refused below it");
}

#[test]
fn a_fleet_asks_as_often_as_its_keys_live_and_without_waves() {
    // The worst case: all begin within a second.
    let fleet = Scenario::new(1000, seconds(1), seconds(9 * 4320));
    let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, None));
    let mean = report.mean(cycle(8));
    let expected = 1000.0 / 4320.0;
    assert!((mean / expected - 1.0).abs() < 0.1, "{mean} calls/s, not {expected}");
    assert_eq!((report.served(), report.ever_without()), (1000, 0));
    let busiest_minute = |cycle: Range<u64>| {
        cycle.step_by(60).map(|minute| report.mean(minute..minute + 60)).fold(0.0, f64::max)
    };
    let (first, eighth) = (busiest_minute(cycle(1)), busiest_minute(cycle(8)));
    assert!(first < 4.5 * expected, "the band spreads them at once: {first}");
    assert!(eighth < 2.5 * expected, "and they drift apart: {eighth} calls/s");
    assert!(report.worst(cycle(8)) <= 8);
}

#[test]
fn an_outage_shorter_than_the_slack_costs_nobody_a_key() {
    for (life, outage) in [(1800, 530), (3600, 1070), (7200, 2150), (43_200, 12_900)] {
        let ends = 3 * life + outage;
        let fleet = Scenario::new(200, seconds(60), seconds(ends + life));
        let mut sts = LimitedSts::new(seconds(life), None);
        sts.outage = 3 * life * 1000..ends * 1000;
        let report = fleet.run(&mut sts);
        assert_eq!(report.ever_without(), 0, "L = {life} s, {outage} s without STS");
        let last = report.recovered_from(ends) / 1000;
        assert!((ends..=ends + 60).contains(&last), "the last key came {} s late", last - ends);
    }
}

#[test]
fn an_outage_is_not_hammered() {
    let (begins, ends) = (20_000, 21_800);
    let fleet = Scenario::new(500, seconds(60), seconds(30_000));
    let mut sts = LimitedSts::new(TWO_HOURS, Some(30));
    sts.outage = begins * 1000..ends * 1000;
    let report = fleet.run(&mut sts);
    // Waits grow to a minute at most, half of that in the mean.
    assert!(report.mean(begins..ends) < 500.0 / 30.0, "{}", report.mean(begins..ends));
    assert!(report.worst(ends..ends + 600) < 500 / 10, "no wave when it is over");
    assert!(report.recovered_from(ends) < (ends + 120) * 1000);
}

#[test]
fn a_stampede_is_served_at_the_limit_with_few_calls() {
    let fleet = Scenario::new(1000, seconds(0), seconds(600));
    let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, Some(10)));
    assert_eq!(report.served(), 1000);
    // A thousand at ten per second take 100 s; nobody waits much longer than the last possible.
    let last = report.waited(1.0).unwrap();
    assert!((99.0..200.0).contains(&last), "{last} s");
    assert!(report.total() < 10_000, "{} calls", report.total());
}

#[test]
fn a_fleet_whose_keys_are_revoked_recovers_at_the_limit() {
    let mut fleet = Scenario::new(400, seconds(60), seconds(12_000));
    fleet.revoked_at = Some(10_000_000);
    let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, Some(8)));
    assert!(report.ever_without() > 390);
    // 400 at eight per second take 50 s; the last wait is a minute at most, and starts anew once.
    assert!(report.without(1.0) < 180.0, "{} s", report.without(1.0));
    assert!(report.mean(10_000..10_180) * 180.0 < 4000.0);
}

/// An STS that gives, refuses and gives short keys by the clock alone, so that two programs that ask
/// at the same instants hear the same.
#[derive(Clone)]
struct Moody {
    life: Duration,
    moods: Vec<(Range<Millis>, Result<Duration, RetryClass>)>,
}

impl Moody {
    fn new(seed: u64, until: Millis) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let life = seconds(dice.u64(300..14_400));
        let mut moods = Vec::new();
        let mut at = dice.u64(0..until / 8);
        while at < until {
            let length = dice.u64(1000..until / 6);
            let mood = match dice.usize(0..8) {
                class @ 0..5 => Err(RetryClass::ALL[class]),
                5 => Ok(seconds(dice.u64(0..59))),
                6 => Ok(life / 2),
                _ => Err(RetryClass::Throttled),
            };
            moods.push((at..at + length, mood));
            at += length + dice.u64(0..until / 4);
        }
        Self { life, moods }
    }
}

impl Sts for Moody {
    fn call(&mut self, _sidecar: usize, at: Millis) -> Answer {
        let mood = self.moods.iter().find(|(span, _)| span.contains(&at));
        Answer { after: 50, outcome: mood.map_or(Ok(self.life), |(_, mood)| *mood) }
    }
}

/// The same as the source of a refresher.
struct MoodySource {
    sts: Mutex<Moody>,
    clock: Clock,
    calls: Arc<Mutex<Vec<Millis>>>,
}

impl KeySource for MoodySource {
    fn kind(&self) -> &'static str {
        "moody"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let at = millis(self.clock.now().since(EPOCH));
            let number = {
                let mut calls = self.calls.lock().unwrap();
                calls.push(at);
                calls.len()
            };
            let answer = self.sts.lock().unwrap().call(0, at);
            tokio::time::sleep(Duration::from_millis(answer.after)).await;
            let life = answer.outcome.map_err(fault_of)?;
            let now = self.clock.now();
            let credential = Credential {
                id: SecretId::new(&format!("AKID{number}")).unwrap(),
                secret: SecretKey::new("secret").unwrap(),
                token: None,
                expires_at: Some(now + life),
                received_at: now,
            };
            Ok(Fetched { credential, request_id: None })
        })
    }

    fn deadline(&self) -> Duration {
        seconds(5)
    }
}

fn fault_of(class: RetryClass) -> SourceError {
    let endpoint = "https://sts.example".to_owned();
    let refused = |code: &str| SourceError::Refused {
        endpoint: "https://sts.example".to_owned(),
        code: code.to_owned(),
        request_id: "r-1".to_owned(),
    };
    match class {
        RetryClass::Transient => SourceError::Unreachable { endpoint, fault: "refused".to_owned() },
        RetryClass::Throttled => refused("RequestLimitExceeded"),
        RetryClass::Clock => refused("AuthFailure.SignatureExpire"),
        RetryClass::Parent => refused("AuthFailure.TokenFailure"),
        RetryClass::Operator => refused("AuthFailure.UnauthorizedOperation"),
    }
}

/// The instants at which a refresher asks on paused time.
fn asked_by_a_refresher(fleet: &Scenario, sts: Moody) -> Vec<Millis> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = Clock::following_tokio(EPOCH);
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let source =
            MoodySource { sts: Mutex::new(sts), clock: clock.clone(), calls: Arc::clone(&calls) };
        let (refresher, reader, _handle) = Refresher::new(
            "k",
            Box::new(source),
            fleet.settings.clone(),
            clock.clone(),
            KeyMetrics::default(),
            fleet.dice(0),
        );
        let shutdown = Shutdown::new();
        shutdown.spawn("refresher", refresher.run(shutdown.clone()));
        let (_, met_after) = fleet.draws()[0];
        let revoked_at = fleet.revoked_at.unwrap() + met_after;
        tokio::time::sleep(Duration::from_millis(revoked_at)).await;
        let until = EPOCH + Duration::from_millis(fleet.until);
        // The traffic behind it meets the revoked key each second, while it can be used at all.
        let revoked = reader.current(clock.now()).ok();
        while let Some(revoked) = &revoked
            && reader.current(clock.now()).is_ok_and(|key| key.id == revoked.id)
        {
            reader.report_rejected(revoked, "InvalidAccessKeyId");
            tokio::time::sleep(Duration::from_millis(REQUEST_EVERY)).await;
        }
        tokio::time::sleep(until.since(clock.now())).await;
        shutdown.begin();
        assert!(shutdown.finished(seconds(1)).await);
        let calls = calls.lock().unwrap();
        calls.iter().copied().filter(|at| *at <= fleet.until).collect()
    })
}

#[test]
fn a_refresher_asks_at_the_very_instants_of_the_simulation() {
    let until = 36 * 3600 * 1000;
    let mut lengths = HashSet::new();
    for seed in 0..24 {
        let mut fleet = Scenario::new(1, seconds(0), Duration::from_millis(until));
        fleet.seed = seed;
        fleet.settings = if seed % 4 == 3 {
            RefreshSettings::for_keys_living(seconds(900))
        } else {
            RefreshSettings { startup_jitter: seconds(seed), ..RefreshSettings::default() }
        };
        fleet.revoked_at = Some(until / 4 + seed * 600_000);
        let moody = Moody::new(seed, until);
        let simulated = fleet.run(&mut moody.clone()).call_instants;
        let asked = asked_by_a_refresher(&fleet, moody);
        let differ = simulated.iter().zip(&asked).position(|(one, other)| one != other);
        assert_eq!(simulated.len(), asked.len(), "seed {seed}: they differ from {differ:?} on");
        assert_eq!(differ, None, "seed {seed}");
        lengths.insert(asked.len());
    }
    assert!(lengths.len() > 15, "the scripts differ: {lengths:?}");
}
