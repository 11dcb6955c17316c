//! One writer, many readers, one atomic load.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use crate::{
    clock::{Clock, Timestamp},
    secret::SecretId,
};

use super::{
    Credential, KeyStatus,
    metrics::{KeyMetrics, RejectionCode},
    status::Progress,
    sync::{ArcSwap, ArcSwapOption, AtomicBool, Notify, watch},
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
    shared: Arc<Shared>,
}

/// The one writer; lives in the refresher.
#[derive(Debug)]
pub struct KeyWriter {
    shared: Arc<Shared>,
    previous_key_retention: Duration,
}

#[derive(Debug)]
struct Shared {
    name: String,
    clock: Clock,
    current: ArcSwapOption<Held>,
    previous: ArcSwapOption<Previous>,
    /// What the last attempt failed with. Read only when there is no key.
    reason: ArcSwap<String>,
    /// Counts published keys, and wakes those who wait for one.
    swaps: watch::Sender<u64>,
    rejected: Notify,
    metrics: OnceLock<KeyMetrics>,
    progress: std::sync::Mutex<Progress>,
}

/// The current key. A rejection is marked on the key it is about: it goes when that key goes, and a
/// ring that comes late finds no mark.
#[derive(Debug)]
struct Held {
    credential: Arc<Credential>,
    rejected: AtomicBool,
}

impl Deref for Held {
    type Target = Arc<Credential>;
    fn deref(&self) -> &Arc<Credential> {
        &self.credential
    }
}

/// The key before the current one, kept for a while: a brand-new key may take a moment to be known
/// everywhere.
#[derive(Debug)]
struct Previous {
    credential: Arc<Credential>,
    keep_until: Timestamp,
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
        reason: ArcSwap::from_pointee("the first attempt is under way".to_owned()),
        swaps: watch::Sender::new(0),
        rejected: Notify::new(),
        metrics: OnceLock::new(),
        progress: std::sync::Mutex::default(),
    });
    let writer = KeyWriter {
        shared: Arc::clone(&shared),
        previous_key_retention: super::RefreshSettings::default().previous_key_retention,
    };
    (writer, KeyReader { shared })
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
            held => Err(self.shared.no_key(held.as_ref().map(|key| &*key.credential))),
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
        let mut swaps = self.shared.swaps.subscribe();
        let published = async {
            loop {
                if let Ok(credential) = self.current(self.shared.clock.now()) {
                    return credential;
                }
                if swaps.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(patience, published).await {
            Ok(credential) => Ok(credential),
            Err(_elapsed) => self.current(self.shared.clock.now()),
        }
    }

    /// Waits until a usable key other than the one of this id is there; `None` when `patience` is
    /// over. Cancel-safe.
    pub(super) async fn other_than(
        &self,
        id: &SecretId,
        patience: Duration,
    ) -> Option<Arc<Credential>> {
        let mut swaps = self.shared.swaps.subscribe();
        let published = async {
            loop {
                let current = self.current(self.shared.clock.now()).ok();
                if let Some(other) = current.filter(|key| key.id != *id) {
                    return other;
                }
                if swaps.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(patience, published).await.ok()
    }

    /// The key before the current one, while it lives and is still kept as a fallback. Wait-free.
    #[must_use]
    pub fn previous(&self, now: Timestamp) -> Option<Arc<Credential>> {
        let held = self.shared.previous.load();
        let previous = held.as_ref()?;
        let kept = now < previous.keep_until && previous.credential.is_usable(now);
        kept.then(|| Arc::clone(&previous.credential))
    }

    /// A request was signed with [`KeyReader::previous`]: counts it.
    pub fn report_used_previous(&self) {
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.used_previous();
        }
    }

    /// The upstream refused this key, by its error code: rings the refresher (rate limited there).
    /// Does not ring if the key was swapped in the meantime.
    pub fn report_rejected(&self, credential: &Credential, code: &str) {
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.rejected(RejectionCode::of(code));
        }
        let held = self.shared.current.load();
        if let Some(current) = held.as_ref().filter(|current| current.id == credential.id) {
            // Of a herd, the first one rings.
            if !current.rejected.swap(true, Ordering::AcqRel) {
                self.shared.rejected.notify_one();
            }
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
        let held = self.shared.held();
        self.shared.progress().status(&self.shared.name, held.as_deref(), now)
    }

    /// Completes when the upstream refused the current key since the last call. Cancel-safe.
    pub(super) async fn rejection(&self) {
        while !self.take_rejection() {
            self.shared.rejected.notified().await;
        }
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
        let old = self.shared.held();
        // The old key is put aside first: whoever sees the new one finds its fallback.
        if let Some(old) = old.filter(|old| old.id != credential.id && old.is_usable(now)) {
            let keep_until = now + self.previous_key_retention;
            self.shared.previous.store(Some(Arc::new(Previous { credential: old, keep_until })));
        }
        let rejected = AtomicBool::new(false);
        let held = Held { credential: Arc::new(credential), rejected };
        self.shared.current.store(Some(Arc::new(held)));
        self.shared.reason.store(Arc::new("the next key has not come".to_owned()));
        self.shared.swaps.send_modify(|count| *count += 1);
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
        self.shared.held()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.shared.progress());
    }
}

impl Shared {
    fn held(&self) -> Option<Arc<Credential>> {
        self.current.load().as_ref().map(|key| Arc::clone(&key.credential))
    }

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
    use crate::secret::{SecretKey, SessionToken};

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
            tokio::time::timeout(Duration::from_millis(1), reader.rejection()).await.is_ok()
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
