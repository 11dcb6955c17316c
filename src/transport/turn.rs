//! The order of work within one turn of a data thread: first all that has arrived is read, then
//! all that follows from it is written; and no body takes more than its share.

use std::{future::poll_fn, task::Poll};

/// What passes of one body before the others have their turn. A body that is copied needs no such
/// bound: the runtime counts its reads and writes, and each brings little. One that takes turns
/// after each of them drives others out of the processor's cache (TLS then costs a quarter more).
const SHARE: usize = 4 * 1024 * 1024;

/// Lets every other connection with something to read go first; ready in the same turn, so at
/// once where nothing else waits.
///
/// Writing to a socket on the same host, or to a busy peer, wakes who reads there, and waking costs
/// more than carrying a small request. Writes in a row find the peer awake already from the first
/// one on.
pub(super) async fn others_first() {
    let mut went = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut went, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The share of one spliced body in this turn.
#[derive(Debug, Default)]
pub(super) struct Share {
    used: usize,
}

impl Share {
    /// `n` bytes passed: lets the others go first where that was enough for now.
    pub(super) async fn take(&mut self, n: usize) {
        self.used += n;
        if self.used >= SHARE {
            self.used = 0;
            others_first().await;
        }
    }
}
