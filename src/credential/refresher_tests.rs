use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;

#[path = "refresher_waiting_tests.rs"]
mod waiting;

use super::*;
use crate::{
    credential::{Credential, KeySetSettings, NoKey, source, start::start},
    secret::{SecretId, SecretKey, SessionToken},
};

const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// What a scripted source does next.
#[derive(Debug, Clone)]
enum Act {
    /// Gives a new key with this life.
    Key(Duration),
    /// Gives the last key again.
    Same,
    /// Fails.
    Fail(SourceError),
    /// Never answers.
    Hang,
}

#[derive(Debug)]
struct Script {
    clock: Clock,
    /// What comes first; afterwards `then` for ever.
    first: Mutex<VecDeque<Act>>,
    then: Mutex<Act>,
    calls: Mutex<Vec<Timestamp>>,
    keys: AtomicU32,
    last_end: Mutex<Timestamp>,
    at_once: AtomicU32,
    takes: Duration,
}

struct Scripted(Arc<Script>);

/// Counts an attempt until it ends, however it ends.
struct Running<'a>(&'a AtomicU32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl KeySource for Scripted {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn fetch(&self) -> source::Fetching<'_> {
        Box::pin(async {
            let script = &self.0;
            assert_eq!(script.at_once.fetch_add(1, Ordering::SeqCst), 0, "two attempts at once");
            let _running = Running(&script.at_once);
            script.calls.lock().unwrap().push(script.clock.local_now());
            tokio::time::sleep(script.takes).await;
            let act = script.first.lock().unwrap().pop_front();
            match act.unwrap_or_else(|| script.then.lock().unwrap().clone()) {
                Act::Key(life) => {
                    let number = script.keys.fetch_add(1, Ordering::SeqCst) + 1;
                    let end = script.clock.now() + life;
                    *script.last_end.lock().unwrap() = end;
                    Ok(script.key(number, end))
                }
                Act::Same => {
                    let end = *script.last_end.lock().unwrap();
                    Ok(script.key(script.keys.load(Ordering::SeqCst), end))
                }
                Act::Fail(fault) => Err(fault),
                Act::Hang => std::future::pending().await,
            }
        })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }
}

impl Script {
    fn key(&self, number: u32, end: Timestamp) -> Fetched {
        let credential = Credential {
            id: SecretId::new(&format!("AKID{number:04}")).unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: Some(SessionToken::new("token").unwrap()),
            expires_at: Some(end),
            received_at: self.clock.now(),
        };
        Fetched { credential, request_id: Some("r-1".to_owned()) }
    }
}

struct House {
    script: Arc<Script>,
    clock: Clock,
    reader: KeyReader,
    handle: RefresherHandle,
    shutdown: Shutdown,
}

fn away() -> Act {
    Act::Fail(SourceError::Unreachable {
        endpoint: "https://sts.example".to_owned(),
        fault: "connection refused".to_owned(),
    })
}

fn refused(code: &str) -> Act {
    Act::Fail(SourceError::Refused {
        endpoint: "https://sts.example".to_owned(),
        code: code.to_owned(),
        request_id: "r-2".to_owned(),
    })
}

impl House {
    fn open(first: Vec<Act>, then: Act, settings: &RefreshSettings, seed: u64) -> Self {
        Self::open_slow(first, then, settings, seed, Duration::from_millis(100))
    }

    fn open_slow(
        first: Vec<Act>,
        then: Act,
        settings: &RefreshSettings,
        seed: u64,
        takes: Duration,
    ) -> Self {
        let clock = Clock::following_tokio(EPOCH);
        let script = Arc::new(Script {
            clock: clock.clone(),
            first: Mutex::new(first.into()),
            then: Mutex::new(then),
            calls: Mutex::default(),
            keys: AtomicU32::new(0),
            last_end: Mutex::default(),
            at_once: AtomicU32::new(0),
            takes,
        });
        let (refresher, reader, handle) = Refresher::new(
            "k",
            Box::new(Scripted(Arc::clone(&script))),
            settings.clone(),
            clock.clone(),
            KeyMetrics::default(),
            fastrand::Rng::with_seed(seed),
        );
        let shutdown = Shutdown::new();
        shutdown.spawn("refresher", refresher.run(shutdown.clone()));
        Self { script, clock, reader, handle, shutdown }
    }

    fn then(&self, act: Act) {
        *self.script.then.lock().unwrap() = act;
    }

    fn calls(&self) -> Vec<u64> {
        let calls = self.script.calls.lock().unwrap();
        calls.iter().map(|at| at.since(EPOCH).as_secs()).collect()
    }

    fn swaps(&self) -> u64 {
        self.reader.status(self.clock.now()).swaps
    }

    fn current_id(&self) -> String {
        self.reader
            .current(self.clock.now())
            .map_or_else(|none| none.to_string(), |key| key.id.as_str().to_owned())
    }

    async fn passes(span: Duration) {
        tokio::time::sleep(span).await;
    }

    async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(Duration::from_secs(1)).await, "the refresher ends");
    }
}

fn paused<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test().await });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_refresh_is_inside_50_to_70_percent_of_the_life(seed: u64, life in 120_u64..43_200) {
        paused(|| async move {
            let life = Duration::from_secs(life);
            let settings = RefreshSettings { wall_clock_tick: life, ..RefreshSettings::default() };
            let house = House::open(vec![], Act::Key(life), &settings, seed);
            House::passes(life * 5).await;
            let calls = house.script.calls.lock().unwrap().clone();
            assert!(calls.len() > 6, "{calls:?}");
            for pair in calls.windows(2) {
                let [one, two] = pair else { unreachable!() };
                let share = two.since(*one).as_secs_f64() / life.as_secs_f64();
                assert!((0.499..0.703).contains(&share), "{share} of {life:?}");
            }
            house.close().await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_the_key_costs_nothing() {
    let house = House::open(vec![], Act::Key(2 * HOUR), &RefreshSettings::default(), 1);
    House::passes(Duration::from_secs(60)).await;
    house.then(away());
    // The latest refresh is at 70 %: 36 minutes are left for the outage.
    for _ in 0..7100 {
        House::passes(Duration::from_secs(1)).await;
        assert_eq!(house.current_id(), "AKID0001");
    }
    let tries = house.calls().len();
    assert!((20..400).contains(&tries), "{tries} tries");
    assert!(house.reader.status(house.clock.now()).last_error.unwrap().contains("refused"));
    house.then(Act::Key(2 * HOUR));
    House::passes(Duration::from_secs(16)).await;
    assert_eq!(house.current_id(), "AKID0002");
    assert_eq!(house.reader.status(house.clock.now()).last_error, None);
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_past_expiry_says_why_and_ends_by_itself() {
    let house = House::open(vec![Act::Key(HOUR)], away(), &RefreshSettings::default(), 2);
    House::passes(HOUR + Duration::from_secs(10)).await;
    match house.reader.current(house.clock.now()).unwrap_err() {
        NoKey::Expired { reason, .. } => assert!(reason.contains("connection refused"), "{reason}"),
        other @ NoKey::NotYet { .. } => panic!("{other}"),
    }
    assert!(!house.reader.health(house.clock.now()).usable);
    House::passes(HOUR).await;
    house.then(Act::Key(HOUR));
    let key = house.reader.wait(Duration::from_secs(31)).await.unwrap();
    assert_eq!(key.id.as_str(), "AKID0002");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_without_a_first_key_stays_up_and_tries() {
    let acts = vec![refused("ResourceNotFound.RoleNotFound"); 3];
    let house = House::open(acts, Act::Key(HOUR), &RefreshSettings::default(), 3);
    House::passes(Duration::from_secs(1)).await;
    let refused = house.reader.current(house.clock.now()).unwrap_err().to_string();
    assert!(refused.contains("check role_arn"), "{refused}");
    // 30 s ± 20 % while there is no key.
    House::passes(Duration::from_secs(3 * 37)).await;
    assert_eq!(house.current_id(), "AKID0001");
    assert_eq!(house.calls().len(), 4);
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_operators_fault_is_retried_slowly_with_a_key_and_faster_once_it_is_gone() {
    let house = House::open(
        vec![Act::Key(HOUR)],
        refused("AuthFailure.SecretIdNotFound"),
        &RefreshSettings::default(),
        4,
    );
    House::passes(HOUR).await;
    let with_key = house.calls().len();
    assert!((4..=9).contains(&with_key), "{:?}", house.calls());
    House::passes(Duration::from_secs(300)).await;
    let without_key = house.calls().len() - with_key;
    assert!((7..=13).contains(&without_key), "{:?}", house.calls());
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_our_time_is_retried_at_once_and_only_once_at_once() {
    let skew = refused("AuthFailure.SignatureExpire");
    let settings = RefreshSettings::default();
    let house = House::open(vec![skew.clone()], Act::Key(HOUR), &settings, 5);
    House::passes(Duration::from_millis(250)).await;
    assert_eq!((house.current_id().as_str(), house.calls().len()), ("AKID0001", 2));
    house.close().await;
    let house = House::open(vec![], skew, &settings, 5);
    House::passes(Duration::from_secs(60)).await;
    assert!(house.calls().len() < 30, "{:?}", house.calls());
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_given_up_and_asked_again() {
    let house = House::open(vec![Act::Hang], Act::Key(HOUR), &RefreshSettings::default(), 6);
    House::passes(Duration::from_secs(7)).await;
    assert_eq!(house.current_id(), "AKID0001");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_key_never_replaces_a_good_one() {
    let bad = [Duration::ZERO, Duration::from_secs(59), HOUR * 49, HOUR * 24 * 365 * 238];
    for life in bad {
        let house =
            House::open(vec![Act::Key(HOUR)], Act::Key(life), &RefreshSettings::default(), 7);
        House::passes(HOUR - Duration::from_secs(1)).await;
        assert_eq!(house.current_id(), "AKID0001", "{life:?}");
        let counts = house.reader.status(house.clock.now()).refreshes;
        assert!(counts.refused > 3 && counts.swapped == 1, "{counts:?}");
        house.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_rejections_are_one_attempt() {
    let house = House::open(vec![], Act::Key(HOUR), &RefreshSettings::default(), 8);
    House::passes(Duration::from_secs(10)).await;
    let key = house.reader.current(house.clock.now()).unwrap();
    for _ in 0..1000 {
        house.reader.report_rejected(&key, "InvalidAccessKeyId");
        tokio::task::yield_now().await;
    }
    House::passes(Duration::from_secs(60)).await;
    assert_eq!((house.calls().len(), house.swaps()), (2, 2));
    assert_eq!(house.current_id(), "AKID0002");
    assert_eq!(house.reader.previous(house.clock.now()).unwrap().id, key.id);
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_rejected_again_and_again_are_replaced_at_the_limited_rate() {
    let house = House::open(vec![], Act::Key(HOUR), &RefreshSettings::default(), 9);
    House::passes(Duration::from_secs(1)).await;
    for _ in 0..6000 {
        House::passes(Duration::from_millis(50)).await;
        let key = house.reader.current(house.clock.now()).unwrap();
        house.reader.report_rejected(&key, "InvalidAccessKeyId");
    }
    // Two at once, then one per 30 s for 300 s.
    let forced = house.calls().len() - 1;
    assert!((10..=12).contains(&forced), "{:?}", house.calls());
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_rejected_key_is_replaced_even_by_one_that_ends_earlier() {
    let house =
        House::open(vec![Act::Key(2 * HOUR)], Act::Key(HOUR), &RefreshSettings::default(), 10);
    House::passes(Duration::from_secs(1)).await;
    let key = house.reader.current(house.clock.now()).unwrap();
    house.reader.report_rejected(&key, "InvalidAccessKeyId");
    House::passes(Duration::from_secs(1)).await;
    assert_eq!(house.current_id(), "AKID0002");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_for_a_new_key_at_once_share_one_attempt_and_are_limited() {
    let house = House::open(vec![], Act::Key(HOUR), &RefreshSettings::default(), 11);
    House::passes(Duration::from_secs(1)).await;
    let (one, two) = tokio::join!(house.handle.refresh_now(), house.handle.refresh_now());
    assert_eq!(one.unwrap().secret_id.unwrap(), "AKID0002");
    assert_eq!(two.unwrap().secret_id.unwrap(), "AKID0002");
    assert_eq!(house.calls().len(), 2);
    house.handle.refresh_now().await.unwrap();
    match house.handle.refresh_now().await.unwrap_err() {
        RefreshNowError::Limited { try_in } => assert!(try_in.as_secs() <= 30),
        other @ (RefreshNowError::Failed { .. } | RefreshNowError::Ended) => panic!("{other}"),
    }
    house.then(away());
    House::passes(Duration::from_secs(31)).await;
    let before = house.reader.status(house.clock.now()).next_refresh_at;
    let failed = house.handle.refresh_now().await.unwrap_err();
    assert!(failed.to_string().contains("connection refused"), "{failed}");
    assert_eq!(house.reader.status(house.clock.now()).next_refresh_at, before, "the key is young");
    let handle = house.handle.clone();
    house.close().await;
    assert_eq!(handle.refresh_now().await.unwrap_err(), RefreshNowError::Ended);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_again_is_polled_for_and_not_a_swap() {
    let house = House::open(vec![Act::Key(HOUR)], Act::Same, &RefreshSettings::default(), 12);
    House::passes(HOUR - Duration::from_secs(30)).await;
    assert_eq!(house.swaps(), 1);
    let polls = house.calls().len();
    assert!((16..60).contains(&polls), "{:?}", house.calls());
    house.then(Act::Key(HOUR));
    House::passes(Duration::from_secs(13)).await;
    assert_eq!(house.current_id(), "AKID0002");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_live_six_seconds_swap_for_minutes_without_a_gap() {
    let life = Duration::from_secs(6);
    let settings = RefreshSettings::for_keys_living(life);
    let house = House::open(vec![], Act::Key(life), &settings, 13);
    house.reader.wait(Duration::from_secs(1)).await.unwrap();
    for _ in 0..60_000 {
        House::passes(Duration::from_millis(10)).await;
        assert!(house.reader.current(house.clock.now()).is_ok());
    }
    assert!(house.swaps() > 120, "{}", house.swaps());
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_is_noticed_at_the_next_tick() {
    let house = House::open(vec![], Act::Key(2 * HOUR), &RefreshSettings::default(), 14);
    House::passes(Duration::from_secs(60)).await;
    // The machine slept for three hours: timers stood still, the wall clock did not.
    house.clock.suspend(3 * HOUR);
    assert!(house.reader.current(house.clock.now()).is_err(), "expired, whatever timers say");
    House::passes(Duration::from_millis(5200)).await;
    assert_eq!(house.current_id(), "AKID0002");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_back_does_not_delay_the_refresh() {
    let house = House::open(vec![], Act::Key(2 * HOUR), &RefreshSettings::default(), 15);
    House::passes(Duration::from_secs(60)).await;
    house.clock.step(-10 * 3600 * 1000);
    house.then(Act::Key(2 * HOUR));
    House::passes(Duration::from_secs(5040)).await;
    assert!(house.calls().len() > 1, "{:?}", house.calls());
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_an_attempt() {
    let settings = RefreshSettings::default();
    let house = House::open_slow(vec![], Act::Hang, &settings, 16, Duration::ZERO);
    House::passes(Duration::from_secs(1)).await;
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_permanent_key_is_asked_for_once() {
    let key = crate::credential::ParentKey::new(
        SecretId::new("AKIDpermanent").unwrap(),
        SecretKey::new("verysecretvalue").unwrap(),
        None,
    );
    let fixed = crate::credential::StaticSettings { key, expires_at: None };
    let settings = KeySetSettings::new("k", crate::credential::SourceSettings::Static(fixed));
    let (clock, shutdown) = (Clock::following_tokio(EPOCH), Shutdown::new());
    let (reader, handle) = start(&settings, &clock, &KeyMetrics::default(), &shutdown).unwrap();
    let key = reader.wait(Duration::from_secs(1)).await.unwrap();
    assert_eq!(
        (key.id.as_str(), key.expires_at, key.token.is_none()),
        ("AKIDpermanent", None, true)
    );
    House::passes(HOUR * 24).await;
    let status = reader.status(clock.now());
    assert_eq!((status.swaps, status.refreshes.unchanged, status.next_refresh_at), (1, 0, None));
    assert!(reader.current(clock.now()).is_ok());
    assert_eq!(handle.refresh_now().await.unwrap().refreshes.unchanged, 1);
    let shown = serde_json::to_string(&reader.status(clock.now())).unwrap();
    assert!(!shown.contains("verysecretvalue") && !shown.contains("AKIDpermanent"), "{shown}");
    shutdown.begin();
    assert!(shutdown.finished(Duration::from_secs(1)).await);
}
