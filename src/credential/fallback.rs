//! What a reader does when its key fails it: the key before, a ring for the refresher, and waiting
//! for another one.

use std::{
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Relaxed, Release},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use crate::{clock::Timestamp, secret::SecretId};

use super::{Credential, KeyReader, NoKey, metrics::RejectionCode, store::Held};

/// How long a rejection counts against its key where answers have no code.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How long the key before is used first, once the newest one turned out to be unknown upstream.
const PREFERRED: Duration = Duration::from_secs(1);

/// What the refresher is about to do, for those who wait for a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Keys that were published.
    pub(super) swaps: u64,
    /// So many rings were answered: by an attempt, or by the plan that follows here.
    pub(super) heard: u64,
    /// An attempt is under way.
    pub(super) asking: bool,
    /// A new key should have come already.
    pub(super) late: bool,
    /// When the next attempt is due, if one is planned.
    pub(super) next_try_at: Option<Instant>,
}

impl Outlook {
    /// Whether a key may still come until `deadline`.
    fn promises_until(&self, deadline: Instant) -> bool {
        self.asking || self.next_try_at.is_some_and(|at| at <= deadline)
    }
}

/// A key that the upstream refused.
#[derive(Debug, Clone)]
pub(super) struct Rejection {
    id: SecretId,
    at: Instant,
}

/// How many refused keys are remembered at once.
const MOST_REMEMBERED: usize = 4;

impl KeyReader {
    /// The key to sign a request with at `now`: the current one, or the one before while the
    /// current one is not known upstream yet. Wait-free.
    ///
    /// # Errors
    /// [`NoKey`] until the first key came, and once the key has expired.
    pub fn to_sign(&self, now: Timestamp) -> Result<Arc<Credential>, NoKey> {
        let left =
            self.shared.previous_preferred_until.load(Relaxed).saturating_sub(now.unix_millis());
        // More than that is left only by a clock that was set back.
        if left > 0
            && left <= PREFERRED.as_millis() as u64
            && let Some(previous) = self.previous(now)
        {
            self.report_used_previous();
            return Ok(previous);
        }
        self.current(now)
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

    /// The current key is not known upstream yet, but this one, the one before, is: for a second it
    /// is used first, so that not every request is sent twice.
    pub fn prefer_previous(&self, credential: &Credential, now: Timestamp) {
        if self.previous(now).is_none_or(|previous| previous.id != credential.id) {
            return; // swapped meanwhile
        }
        self.shared.previous_preferred_until.store((now + PREFERRED).unix_millis(), Relaxed);
    }

    /// The upstream refused this key, by its error code: rings the refresher (rate limited there).
    /// Does not ring if the key was swapped in the meantime.
    pub fn report_rejected(&self, credential: &Credential, code: &str) {
        self.note_rejected(credential, code);
        self.ring(credential);
    }

    /// Counts and remembers that the upstream refused this key, without ringing.
    pub fn note_rejected(&self, credential: &Credential, code: &str) {
        self.count_rejected(code);
        self.shared.rejections.rcu(|before| {
            let others = before.iter().filter(|other| other.id != credential.id);
            let this = Rejection { id: credential.id.clone(), at: Instant::now() };
            std::iter::once(this).chain(others.cloned()).take(MOST_REMEMBERED).collect::<Vec<_>>()
        });
    }

    /// Only counts: for an answer that was taken for a rejection without a code of its own.
    pub fn count_rejected(&self, code: &str) {
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.rejected(RejectionCode::of(code));
        }
    }

    /// Whether the upstream refused this key, by its code, within the last 30 seconds.
    #[must_use]
    pub fn was_rejected_lately(&self, credential: &Credential) -> bool {
        let rejections = self.shared.rejections.load();
        rejections.iter().any(|one| one.id == credential.id && one.at.elapsed() < REMEMBERED)
    }

    /// Rings the refresher for a key to replace this one, unless that has happened.
    pub fn ring(&self, credential: &Credential) {
        let held = self.shared.current.load();
        if held.as_ref().is_some_and(|current| current.id == credential.id) {
            self.ring_for(held.as_deref());
        }
    }

    /// A usable key that `fits`: the current one, or else the one that comes when the refresher is
    /// rung. `None` when none comes within `patience`, or as soon as it is clear that
    /// none will. Cancel-safe.
    pub async fn another(
        &self,
        fits: impl Fn(&Credential) -> bool,
        patience: Duration,
    ) -> Option<Arc<Credential>> {
        let held = self.shared.current.load_full();
        let now = self.shared.clock.now();
        if let Some(current) = held.as_ref().filter(|key| key.is_usable(now) && fits(key)) {
            return Some(Arc::clone(&current.credential));
        }
        let rung = self.ring_for(held.as_deref());
        // Not held while waiting, so that it is wiped when it goes.
        drop(held);
        self.coming(fits, rung, Instant::now() + patience).await
    }

    /// Waits for a usable key of another id than `known`, without ringing; `None` if none came while
    /// `patience` lasted. Cancel-safe.
    pub async fn another_than(
        &self,
        known: &SecretId,
        patience: Duration,
    ) -> Option<Arc<Credential>> {
        // No ring has this number: the wait is not cut short.
        self.coming(|key| key.id != *known, u64::MAX, Instant::now() + patience).await
    }

    /// Whether so little of the key's life is left that a newer one is worth waiting for.
    #[must_use]
    pub fn is_nearly_over(&self, credential: &Credential, now: Timestamp) -> bool {
        let Some(end) = credential.expires_at else { return false };
        let left = end.unix_millis().saturating_sub(now.unix_millis());
        left < self.shared.near_expiry_millis.load(Relaxed)
    }

    /// Waits for a key to follow this one if the refresher is late with it, at most `patience` and
    /// at most the rest of its life. Cancel-safe.
    pub async fn await_next(&self, credential: &Credential, patience: Duration) {
        let outlook = *self.shared.outlook.borrow();
        if !outlook.asking && !outlook.late {
            return;
        }
        let rest = credential.remaining(self.shared.clock.now()).unwrap_or(patience);
        let deadline = Instant::now() + patience.min(rest);
        self.coming(|key| key.id != credential.id, outlook.heard, deadline).await;
    }

    /// The key that is held although it has expired, for those who would rather try it than not
    /// send a request at all: counted, and told once.
    #[must_use]
    pub fn expired(&self) -> Option<Arc<Credential>> {
        let credential = Arc::clone(&self.shared.current.load().as_ref()?.credential);
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.used_expired();
        }
        let end = credential.expires_at.unwrap_or_default();
        if self.shared.expired_told.swap(end.unix_millis(), Relaxed) != end.unix_millis() {
            tracing::warn!(
                target: "cos_auth_proxy::keys",
                keys = self.name(), secret_id = credential.id.short(), expired_at = %end,
                "no new key came: requests are signed with the expired one (keys.on_expired)"
            );
        }
        Some(credential)
    }

    fn fitting(&self, fits: impl Fn(&Credential) -> bool) -> Option<Arc<Credential>> {
        self.current(self.shared.clock.now()).ok().filter(|current| fits(current))
    }

    async fn coming(
        &self,
        fits: impl Fn(&Credential) -> bool,
        rung: u64,
        deadline: Instant,
    ) -> Option<Arc<Credential>> {
        let mut outlooks = self.shared.outlook.subscribe();
        let coming = async {
            loop {
                let outlook = *outlooks.borrow_and_update();
                if let Some(credential) = self.fitting(&fits) {
                    return Some(credential);
                }
                if outlook.heard >= rung && !outlook.promises_until(deadline) {
                    return None;
                }
                outlooks.changed().await.ok()?;
            }
        };
        timeout_at(deadline, coming).await.ok().flatten()
    }

    /// Rings for a key to replace this one. Returns the number of the ring.
    fn ring_for(&self, refused: Option<&Held>) -> u64 {
        // The mark first: whoever counts this ring finds it.
        if let Some(held) = refused {
            held.rejected.store(true, Release);
        }
        let number = self.shared.rings.fetch_add(1, AcqRel) + 1;
        self.shared.rung.notify_one();
        number
    }
}

#[cfg(test)]
#[path = "fallback_tests.rs"]
mod tests;
