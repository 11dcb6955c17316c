//! The places that client connections take: how many there are, and whether somebody waits for one.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::metrics::{ClientLimit, Meter};

/// Of the connections that idle, one of so many makes room each time it is asked for.
const ROOM_SHARE: usize = 8;

/// The log tells of full places no more often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// All places; shared by the acceptors, which take them, and the data threads, which make room.
pub(super) struct Places {
    free: Arc<Semaphore>,
    most: usize,
    waiting: AtomicUsize,
    last_told: Mutex<Option<Instant>>,
    meter: Arc<Meter>,
}

impl Places {
    pub(super) fn new(most: usize, meter: Arc<Meter>) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(most));
        let (waiting, last_told) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { free, most, waiting, last_told, meter })
    }

    /// Takes a place, as soon as there is one. Cancel-safe.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(permit);
        }
        let _waiting = Waiting::begin(self);
        self.tell();
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Somebody waits for a place.
    pub(super) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn tell(&self) {
        let mut last_told = self.last_told.lock().unwrap_or_else(PoisonError::into_inner);
        if last_told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *last_told = Some(Instant::now());
            tracing::warn!(
                connections = self.most,
                "all places for client connections are taken, new ones wait; clients hold more connections than they need, or limits.connections is too low"
            );
        }
    }
}

/// Of what idles since these instants, what should make room: the eighth that idles longest.
pub(super) fn longest_idle<T>(mut idle: Vec<(Instant, T)>) -> impl Iterator<Item = T> {
    idle.sort_unstable_by_key(|(since, _)| *since);
    let share = idle.len().div_ceil(ROOM_SHARE);
    idle.into_iter().take(share).map(|(_, connection)| connection)
}

/// Counts one that waits, also if it gives up.
struct Waiting<'p>(&'p Places);

impl<'p> Waiting<'p> {
    fn begin(places: &'p Places) -> Self {
        places.waiting.fetch_add(1, Ordering::Relaxed);
        places.meter.connection_waits(1);
        places.meter.client_limited(ClientLimit::Waited);
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.meter.connection_waits(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighth_that_idles_longest_makes_room_and_never_nobody() {
        let now = Instant::now();
        for (idle, expected) in [(0, 0), (1, 1), (8, 1), (9, 2), (80, 10)] {
            // The higher the number, the longer it idles.
            let at = |number: u64| (now + Duration::from_secs(1000 - number), number);
            let chosen: Vec<u64> = longest_idle((0..idle).map(at).collect()).collect();
            let longest: Vec<u64> = (0..idle).rev().take(expected).collect();
            assert_eq!(chosen, longest, "of {idle}");
        }
    }
}
