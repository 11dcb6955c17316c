//! A source that changes its key when it likes, such as the instance metadata, on paused time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Credential, Fetched, KeyMetrics, KeyReader, KeySource, RefreshSettings, Refresher, Renewal,
    source::Fetching,
};
use crate::{
    clock::{Clock, Timestamp},
    secret::{SecretId, SecretKey, SessionToken},
    shutdown::Shutdown,
};

const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Shows one key at a time.
#[derive(Clone)]
struct Metadata {
    clock: Clock,
    shown: Arc<Mutex<(&'static str, Timestamp)>>,
    asked_at: Arc<Mutex<Vec<Timestamp>>>,
}

impl KeySource for Metadata {
    fn kind(&self) -> &'static str {
        "polled"
    }

    fn fetch(&self) -> Fetching<'_> {
        let now = self.clock.now();
        self.asked_at.lock().unwrap().push(now);
        let (id, end) = *self.shown.lock().unwrap();
        let credential = Credential {
            id: SecretId::new(id).unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: Some(SessionToken::new("token").unwrap()),
            expires_at: Some(end),
            received_at: now,
        };
        Box::pin(std::future::ready(Ok(Fetched { credential, request_id: None })))
    }

    fn renewal(&self) -> Renewal {
        Renewal::Polled
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(2)
    }
}

struct House {
    metadata: Metadata,
    reader: KeyReader,
    shutdown: Shutdown,
}

impl House {
    /// A refresher that finds the key `first` with so much life.
    fn open(life: Duration, seed: u64) -> Self {
        let clock = Clock::following_tokio(EPOCH);
        let metadata = Metadata {
            clock: clock.clone(),
            shown: Arc::new(Mutex::new(("AKIDfirst", EPOCH + life))),
            asked_at: Arc::default(),
        };
        let (refresher, reader, _handle) = Refresher::new(
            "node",
            Box::new(metadata.clone()),
            RefreshSettings::default(),
            clock,
            KeyMetrics::default(),
            fastrand::Rng::with_seed(seed),
        );
        let shutdown = Shutdown::new();
        shutdown.spawn("refresher", refresher.run(shutdown.clone()));
        Self { metadata, reader, shutdown }
    }

    /// From now on this key is shown, which ends `life` from now.
    fn show(&self, id: &'static str, life: Duration) {
        *self.metadata.shown.lock().unwrap() = (id, self.metadata.clock.now() + life);
    }

    fn current_id(&self) -> String {
        self.reader.current(self.metadata.clock.now()).unwrap().id.as_str().to_owned()
    }

    /// Seconds between one question and the next, for those asked in this span of life.
    fn gaps(&self, from: Duration, to: Duration) -> Vec<u64> {
        let asked_at = self.metadata.asked_at.lock().unwrap();
        let within = |pair: &&[Timestamp]| pair[0] >= EPOCH + from && pair[1] <= EPOCH + to;
        asked_at.windows(2).filter(within).map(|pair| pair[1].since(pair[0]).as_secs()).collect()
    }

    async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(Duration::from_secs(1)).await, "the refresher ends");
    }
}

async fn passes(span: Duration) {
    tokio::time::sleep(span).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_changed_shortly_before_its_end_is_taken_in_time() {
    for seed in 0..20 {
        let house = House::open(6 * HOUR, seed);
        passes(6 * HOUR - 10 * MINUTE).await;
        assert_eq!(house.current_id(), "AKIDfirst");
        house.show("AKIDsecond", 6 * HOUR);
        passes(Duration::from_secs(73)).await;
        assert_eq!(house.current_id(), "AKIDsecond", "seed {seed}");
        let young = house.gaps(Duration::ZERO, 3 * HOUR);
        assert!(young.iter().all(|gap| (480..=600).contains(gap)), "{young:?}");
        let waiting = house.gaps(HOUR * 42 / 10, 6 * HOUR - 10 * MINUTE);
        assert!(
            waiting.len() > 60 && waiting.iter().all(|gap| (48..=72).contains(gap)),
            "{waiting:?}"
        );
        house.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_last_two_minutes_it_is_asked_every_ten_seconds() {
    let house = House::open(HOUR, 1);
    passes(HOUR - Duration::from_secs(20)).await;
    let last = house.gaps(HOUR - 2 * MINUTE, HOUR);
    assert!(last.len() >= 7 && last.iter().all(|gap| (8..=12).contains(gap)), "{last:?}");
    house.show("AKIDsecond", HOUR);
    passes(Duration::from_secs(13)).await;
    assert_eq!(house.current_id(), "AKIDsecond");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn another_role_is_noticed_within_ten_minutes_though_its_key_ends_sooner() {
    for seed in 0..20 {
        let house = House::open(6 * HOUR, seed);
        passes(HOUR).await;
        house.show("AKIDother", HOUR);
        passes(10 * MINUTE + Duration::from_secs(1)).await;
        assert_eq!(house.current_id(), "AKIDother", "seed {seed}");
        house.close().await;
    }
}
