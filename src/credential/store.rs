//! One writer, many readers, one atomic load.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use crate::clock::{Clock, Timestamp};

use super::{
    Credential, KeyStatus, RefreshSettings,
    fallback::{Outlook, Rejection},
    metrics::KeyMetrics,
    status::Progress,
    sync::{ArcSwap, ArcSwapOption, AtomicBool, AtomicU64, Notify, watch},
};

/// Why there is no key to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The first key has not come yet.
    #[error("no key yet: {reason}")]
    NotYet {
        /// What the last attempt failed with, or that it is under way.
        reason: String,
    },
    /// The key ran out and no new one came.
    #[error("the key expired at {expired_at}: {reason}")]
    Expired {
        /// When the key ended.
        expired_at: Timestamp,
        /// What the last attempt failed with.
        reason: String,
    },
}

/// How the key set is doing, for health, status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHealth {
    /// A key is held that may be used now.
    pub usable: bool,
    /// The first key has been had.
    pub started: bool,
}

/// The cheap handle of the data path: wait-free reads.
#[derive(Clone, Debug)]
pub struct KeyReader {
    pub(super) shared: Arc<Shared>,
}

/// The one writer; lives in the refresher.
#[derive(Debug)]
pub struct KeyWriter {
    shared: Arc<Shared>,
    previous_key_retention: Duration,
}

#[derive(Debug)]
pub(super) struct Shared {
    name: String,
    pub(super) clock: Clock,
    pub(super) current: ArcSwapOption<Held>,
    pub(super) previous: ArcSwapOption<Previous>,
    /// Until when the previous key is used first: milliseconds since the epoch, 0 for not at all.
    pub(super) previous_preferred_until: AtomicU64,
    /// With less life than this a key is nearly over.
    pub(super) near_expiry_millis: AtomicU64,
    /// What the last attempt failed with. Read only when there is no key.
    reason: ArcSwap<String>,
    /// Wakes those who wait for a key.
    pub(super) outlook: watch::Sender<Outlook>,
    /// The keys that the upstream refused last, the latest first.
    pub(super) rejections: ArcSwap<Vec<Rejection>>,
    pub(super) rung: Notify,
    /// How often the refresher was rung.
    pub(super) rings: AtomicU64,
    /// Somebody waits for a key: the refresher may have slept through its plan.
    wanted: Notify,
    /// The end of the expired key that was last told to be in use.
    pub(super) expired_told: AtomicU64,
    pub(super) metrics: OnceLock<KeyMetrics>,
    progress: std::sync::Mutex<Progress>,
}

/// The current key. That it was rejected is marked on the key itself: the mark goes when the key
/// goes, and a ring that comes late finds none.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) credential: Arc<Credential>,
    pub(super) rejected: AtomicBool,
}

impl Deref for Held {
    type Target = Credential;
    fn deref(&self) -> &Credential {
        &self.credential
    }
}

/// The key before the current one, kept for a while: a brand-new key may take a moment to be known
/// everywhere.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) credential: Arc<Credential>,
    pub(super) keep_until: Timestamp,
}

/// A store without a key, on the system's clock: its writer and a first reader.
#[must_use]
pub fn channel() -> (KeyWriter, KeyReader) {
    channel_named("default", Clock::system())
}

/// A store without a key for the key set `name`; `clock` judges expiry in [`KeyReader::wait`].
#[must_use]
pub fn channel_named(name: &str, clock: Clock) -> (KeyWriter, KeyReader) {
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        clock,
        current: ArcSwapOption::empty(),
        previous: ArcSwapOption::empty(),
        previous_preferred_until: AtomicU64::new(0),
        near_expiry_millis: AtomicU64::new(0),
        reason: ArcSwap::from_pointee("the first attempt is under way".to_owned()),
        outlook: watch::Sender::new(Outlook::default()),
        rejections: ArcSwap::default(),
        rung: Notify::new(),
        rings: AtomicU64::new(0),
        wanted: Notify::new(),
        expired_told: AtomicU64::new(0),
        metrics: OnceLock::new(),
        progress: std::sync::Mutex::default(),
    });
    let usual = RefreshSettings::default();
    let writer = KeyWriter {
        shared: Arc::clone(&shared),
        previous_key_retention: usual.previous_key_retention,
    };
    (writer.nearly_over_below(usual.near_expiry), KeyReader { shared })
}

impl KeyReader {
    /// The key to sign with at `now`. Wait-free.
    ///
    /// # Errors
    /// [`NoKey`] until the first key came, and once the key has expired.
    pub fn current(&self, now: Timestamp) -> Result<Arc<Credential>, NoKey> {
        let held = self.shared.current.load();
        match &*held {
            Some(key) if key.is_usable(now) => Ok(Arc::clone(&key.credential)),
            held => Err(self.shared.no_key(held.as_deref().map(Held::deref))),
        }
    }

    /// Waits until a usable key is there or `patience` is over. Cancel-safe, and may be called on
    /// any runtime with a timer.
    ///
    /// # Errors
    /// [`NoKey`] when `patience` is over.
    pub async fn wait(&self, patience: Duration) -> Result<Arc<Credential>, NoKey> {
        if let Ok(credential) = self.current(self.shared.clock.now()) {
            return Ok(credential);
        }
        let mut outlooks = self.shared.outlook.subscribe();
        self.shared.wanted.notify_one();
        let published = async {
            loop {
                if let Ok(credential) = self.current(self.shared.clock.now()) {
                    return credential;
                }
                if outlooks.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(patience, published).await {
            Ok(credential) => Ok(credential),
            Err(_elapsed) => self.current(self.shared.clock.now()),
        }
    }

    /// How the key set is doing.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> KeyHealth {
        let held = self.shared.current.load();
        KeyHealth {
            usable: held.as_ref().is_some_and(|key| key.is_usable(now)),
            started: held.is_some(),
        }
    }

    /// The name of the key set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Everything an operator may see. Not for the data path: it takes a lock.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        let held = self.shared.current.load();
        self.shared.progress().status(&self.shared.name, held.as_deref().map(Held::deref), now)
    }

    /// Completes when somebody began to wait for a key since the last call. Cancel-safe.
    pub(super) async fn wanted(&self) {
        self.shared.wanted.notified().await;
    }

    /// How often the refresher was rung. To be asked before [`KeyReader::take_rejection`]: what is
    /// counted here is marked there.
    pub(super) fn rings(&self) -> u64 {
        self.shared.rings.load(Ordering::Acquire)
    }

    /// Completes when the refresher was rung since the last call. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.shared.rung.notified().await;
    }

    /// Whether the upstream refused the current key since the last call.
    pub(super) fn take_rejection(&self) -> bool {
        let held = self.shared.current.load();
        held.as_ref().is_some_and(|current| current.rejected.swap(false, Ordering::AcqRel))
    }
}

impl KeyWriter {
    /// Keeps the key before the current one for this long after a swap (5 minutes by default).
    #[must_use]
    pub fn keeping_previous_for(mut self, retention: Duration) -> Self {
        self.previous_key_retention = retention;
        self
    }

    /// A key with less life than this is nearly over (5 seconds by default).
    #[must_use]
    pub fn nearly_over_below(self, rest: Duration) -> Self {
        let millis = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        self.shared.near_expiry_millis.store(millis, Ordering::Relaxed);
        self
    }

    /// Counts what readers report.
    #[must_use]
    pub fn counting(self, metrics: KeyMetrics) -> Self {
        // The first metrics stay: a store is given them once, when it is made.
        let (Ok(()) | Err(_)) = self.shared.metrics.set(metrics);
        self
    }

    /// Makes `credential` the current key, as one value, and wakes all who wait for one. The old
    /// key, if it is another and still alive, stays readable as the previous one for a while.
    pub fn publish(&self, credential: Credential) {
        let now = self.shared.clock.now();
        let old = self.held();
        // The old key is put aside first: whoever sees the new one finds its fallback.
        if let Some(old) = old.filter(|old| old.id != credential.id && old.is_usable(now)) {
            let keep_until = now + self.previous_key_retention;
            self.shared.previous.store(Some(Arc::new(Previous { credential: old, keep_until })));
        }
        let rejected = AtomicBool::new(false);
        let held = Held { credential: Arc::new(credential), rejected };
        self.shared.current.store(Some(Arc::new(held)));
        self.shared.reason.store(Arc::new("the next key has not come".to_owned()));
        self.shared.previous_preferred_until.store(0, Ordering::Relaxed);
        self.shared.outlook.send_modify(|outlook| outlook.swaps += 1);
    }

    /// What those who wait for a key should know.
    pub(super) fn tell(&self, outlook: Outlook) {
        self.shared.outlook.send_if_modified(|told| {
            let news = Outlook { swaps: told.swaps, ..outlook };
            std::mem::replace(told, news) != news
        });
    }

    /// Time was corrected: those who wait look again.
    pub(super) fn wake(&self) {
        self.shared.outlook.send_modify(|_| {});
    }

    /// An attempt failed: what to tell those who find no key. The key that is held stays.
    pub fn fail(&self, reason: &str) {
        self.shared.reason.store(Arc::new(reason.to_owned()));
    }

    /// Lets go of a previous key that may not be used any more, so that it is wiped.
    pub fn forget_stale(&self, now: Timestamp) {
        let held = self.shared.previous.load();
        let stale =
            held.as_ref().is_some_and(|p| now >= p.keep_until || !p.credential.is_usable(now));
        if stale {
            self.shared.previous.store(None);
        }
    }

    /// Another reader of this store.
    #[must_use]
    pub fn reader(&self) -> KeyReader {
        KeyReader { shared: Arc::clone(&self.shared) }
    }

    /// The key that is held, usable or not.
    pub(super) fn held(&self) -> Option<Arc<Credential>> {
        self.shared.current.load().as_ref().map(|key| Arc::clone(&key.credential))
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.shared.progress());
    }
}

impl Shared {
    fn no_key(&self, held: Option<&Credential>) -> NoKey {
        let reason = self.reason.load().as_str().to_owned();
        match held.and_then(|credential| credential.expires_at) {
            Some(expired_at) => NoKey::Expired { expired_at, reason },
            None => NoKey::NotYet { reason },
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        // Counters and texts stay meaningful even if a writer panicked between two of them.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SecretId, SecretKey, SessionToken};

    const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn key(id: &str, life: Option<u64>) -> Credential {
        Credential {
            id: SecretId::new(id).unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: Some(SessionToken::new("token").unwrap()),
            expires_at: life.map(|seconds| EPOCH + Duration::from_secs(seconds)),
            received_at: EPOCH,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_handed_out_until_its_last_instant_and_never_after() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        assert!(matches!(reader.current(EPOCH), Err(NoKey::NotYet { .. })));
        writer.publish(key("AKIDone", Some(60)));
        assert_eq!(reader.current(after(59)).unwrap().id.as_str(), "AKIDone");
        writer.fail("sts is away");
        let refused = reader.current(after(60)).unwrap_err();
        let expected = NoKey::Expired { expired_at: after(60), reason: "sts is away".to_owned() };
        assert_eq!(refused, expected);
        assert_eq!(reader.health(after(60)), KeyHealth { usable: false, started: true });
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_of_unknown_expiry_never_expires() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        writer.publish(key("AKIDone", None));
        assert!(reader.current(after(100 * 365 * 86_400)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_previous_key_is_kept_for_a_while_and_only_while_it_lives() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        writer.publish(key("AKIDone", Some(100)));
        assert!(reader.previous(EPOCH).is_none());
        writer.publish(key("AKIDtwo", Some(7200)));
        assert_eq!(reader.previous(after(99)).unwrap().id.as_str(), "AKIDone");
        assert!(reader.previous(after(100)).is_none(), "it expired");
        writer.publish(key("AKIDthree", Some(7200)));
        assert_eq!(reader.previous(after(299)).unwrap().id.as_str(), "AKIDtwo");
        assert!(reader.previous(after(300)).is_none(), "it was kept long enough");
        let held = Arc::downgrade(&reader.previous(after(299)).unwrap());
        writer.forget_stale(after(300));
        assert!(held.upgrade().is_none(), "nobody holds it, so it is wiped");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_is_woken_by_the_key_and_not_by_a_useless_one() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        let began_at = tokio::time::Instant::now();
        let wait = reader.wait(Duration::from_secs(3));
        let publish = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            writer.publish(key("AKIDdead", Some(0)));
            tokio::time::sleep(Duration::from_secs(1)).await;
            writer.publish(key("AKIDalive", Some(60)));
        };
        let (woken, ()) = tokio::join!(wait, publish);
        assert_eq!(woken.unwrap().id.as_str(), "AKIDalive");
        assert_eq!(began_at.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_knows_the_key_waits_for_another() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        writer.publish(key("AKIDone", Some(60)));
        let known = reader.current(EPOCH).unwrap();
        assert!(reader.another_than(&known.id, Duration::from_secs(3)).await.is_none());
        let publish = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            writer.publish(key("AKIDtwo", Some(7200)));
        };
        let (other, ()) =
            tokio::join!(reader.another_than(&known.id, Duration::from_secs(3)), publish);
        assert_eq!(other.unwrap().id.as_str(), "AKIDtwo");
        let at_once = reader.another_than(&known.id, Duration::ZERO).await;
        assert_eq!(at_once.unwrap().id.as_str(), "AKIDtwo", "it is there already");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_gives_up_when_its_patience_is_over() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        let began_at = tokio::time::Instant::now();
        writer.fail("sts is away");
        let refused = reader.wait(Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(refused, NoKey::NotYet { reason: "sts is away".to_owned() });
        assert_eq!(began_at.elapsed().as_secs(), 3);
    }

    #[test]
    fn a_waiter_on_another_runtime_is_woken() {
        let (writer, reader) = channel_named("k", Clock::system());
        let waiter = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(reader.wait(Duration::from_secs(30))).map(|k| k.id.clone())
        });
        writer.publish(Credential { expires_at: None, ..key("AKIDone", None) });
        assert_eq!(waiter.join().unwrap().unwrap().as_str(), "AKIDone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_of_a_key_that_was_swapped_already_does_not_ring() {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        let rung = async |reader: &KeyReader| {
            let rung = tokio::time::timeout(Duration::from_millis(1), reader.rung()).await.is_ok();
            rung && reader.take_rejection()
        };
        writer.publish(key("AKIDone", Some(7200)));
        let one = reader.current(EPOCH).unwrap();
        writer.publish(key("AKIDtwo", Some(7200)));
        reader.report_rejected(&one, "InvalidAccessKeyId");
        assert!(!rung(&reader).await);
        let two = reader.current(EPOCH).unwrap();
        reader.report_rejected(&two, "InvalidAccessKeyId");
        reader.report_rejected(&two, "InvalidAccessKeyId");
        assert!(rung(&reader).await);
        assert!(!rung(&reader).await, "two rings are one");
        reader.report_rejected(&two, "InvalidAccessKeyId");
        assert!(reader.take_rejection() && !reader.take_rejection());
        assert!(!rung(&reader).await, "it was taken");
    }
}
