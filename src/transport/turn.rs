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

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    /// What tasks do in turn, each with a step, others first, and another step.
    async fn order_of<F: Future<Output = ()> + 'static>(wait: fn() -> F) -> String {
        let order = Rc::new(RefCell::new(String::new()));
        let tasks = tokio::task::LocalSet::new();
        for name in ["a", "b", "c"] {
            let order = Rc::clone(&order);
            tasks.spawn_local(async move {
                order.borrow_mut().push_str(&format!("read {name}, "));
                wait().await;
                order.borrow_mut().push_str(&format!("write {name}, "));
            });
        }
        tasks.await;
        order.take()
    }

    #[tokio::test]
    async fn all_that_arrived_is_read_before_any_of_it_is_answered() {
        assert_eq!(
            order_of(others_first).await,
            "read a, read b, read c, write a, write b, write c, "
        );
    }

    #[tokio::test]
    async fn a_body_goes_on_until_its_share_is_used_up() {
        async fn less() {
            Share::default().take(SHARE - 1).await;
        }
        async fn all() {
            Share { used: SHARE - 1 }.take(1).await;
        }
        assert_eq!(order_of(less).await, "read a, write a, read b, write b, read c, write c, ");
        assert_eq!(order_of(all).await, "read a, read b, read c, write a, write b, write c, ");
    }
}
