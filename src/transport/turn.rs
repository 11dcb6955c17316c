//! The order of work within one turn of a data thread: first all that has arrived is read, then
//! all that follows from it is written.

use std::{future::poll_fn, task::Poll};

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
