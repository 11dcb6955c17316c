//! What answers of COS tell about the time.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;

use super::{answer::Answer, worker::Worker};

/// A data thread reads a date at most this often.
const EVERY: Duration = Duration::from_secs(10);
/// A date that travelled longer says little.
const LONGEST_TRIP: Duration = Duration::from_secs(2);
/// Clocks that differ by less agree well enough for a signature (the same bound as in the Node.js
/// SDK).
const SKEW: Duration = Duration::from_secs(30);

/// Now and then, learns from the date of an ordinary answer.
pub(super) fn sample(worker: &Worker, answer: &Answer<'_>, answered_at: Instant) {
    if answered_at < worker.next_sample_at.get() {
        return;
    }
    let trip = answer.round_trip(answered_at);
    if trip > LONGEST_TRIP {
        return;
    }
    worker.next_sample_at.set(answered_at + EVERY);
    if let Some(date) = answer.date() {
        worker.clock.observe(date, trip / 2);
    }
}

/// Whether `date` contradicts the clock that a request was signed by, which was then corrected by
/// `offset_millis`. The correction may have changed since.
pub(super) fn is_skewed(worker: &Worker, date: Timestamp, offset_millis: i64) -> bool {
    let local = worker.clock.local_now().unix_millis();
    let ours = Timestamp::from_unix_millis(local.saturating_add_signed(offset_millis));
    date.since(ours).max(ours.since(date)) >= SKEW
}

/// COS refused our time: its own is believed at once.
pub(super) fn adopt(worker: &Worker, date: Timestamp) {
    let before = worker.clock.offset_millis();
    worker.clock.adopt(date, Duration::ZERO);
    let offset_millis = worker.clock.offset_millis();
    if before.abs_diff(offset_millis) >= 1000 {
        tracing::warn!(
            target: "cos_auth_proxy::clock",
            before_millis = before, offset_millis,
            "COS refused our time; its own is taken from now on"
        );
    }
}
