//! One client connection: request after request, in order, until one side has enough.

use std::{
    cell::Cell,
    future::poll_fn,
    mem,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::metrics::ClientLimit;

use super::{
    buffers::Buffer,
    exchange::{self, After},
    stream::{Filled, Stream, poll_fill},
    worker::{Slot, Worker},
};

/// How long in all, and between two pieces, we listen to a client after the last answer, so that
/// it can read the answer before the close: a close with unread bytes would reset the connection.
const LINGER: Duration = Duration::from_secs(10);
const LINGER_QUIET: Duration = Duration::from_secs(2);

/// Of the connections of a thread that wait for their next request, how many keep the room of the
/// last one for it.
const ROOMS_KEPT: usize = 128;

/// Serves one connection to its end. Cancel-safe between requests; dropping it during one closes
/// both connections of that request.
///
/// A connection that rests holds neither a buffer nor the room a request needs. That room is one
/// allocation for all requests between two rests, not one for each.
pub(super) async fn serve(worker: &Worker, client: &mut Stream, slot: &Slot) {
    let mut requests_left = match worker.settings.requests_per_connection {
        0 => u64::MAX,
        n => n,
    };
    slot.idle();
    loop {
        let Some(inbox) = first_bytes(worker, client).await else { return };
        let run = requests(worker, client, slot, inbox, &mut requests_left);
        match Box::pin(run).await {
            Ended::Rests => {}
            Ended::Lingers => return Box::pin(linger(worker, client)).await,
            Ended::Gone => return,
        }
    }
}

/// How a run of requests ended.
enum Ended {
    /// Nothing came for a while.
    Rests,
    /// An answer was written that must be read before the close.
    Lingers,
    Gone,
}

/// Carries out one request after the other until the client rests.
async fn requests(
    worker: &Worker,
    client: &mut Stream,
    slot: &Slot,
    mut inbox: Buffer,
    requests_left: &mut u64,
) -> Ended {
    loop {
        slot.busy();
        *requests_left = requests_left.saturating_sub(1);
        let last = *requests_left == 0;
        if last {
            worker.meter.client_limited(ClientLimit::Retired);
        }
        match exchange::run(worker, client, inbox, last).await {
            After::Keep(rest) => inbox = rest,
            After::Close => return Ended::Lingers,
            After::Drop => return Ended::Gone,
        }
        if !inbox.is_empty() {
            continue;
        }
        worker.buffers.give(mem::take(&mut inbox));
        if worker.draining.is_cancelled() {
            return Ended::Lingers;
        }
        slot.idle();
        let Some(_kept) = KeptRoom::take(&worker.kept_rooms) else { return Ended::Rests };
        let next = poll_fn(|cx| match poll_first_bytes(worker, client, cx) {
            Poll::Ready(bytes) => Poll::Ready(Some(bytes)),
            Poll::Pending => slot.poll_rest(cx).map(|()| None),
        });
        match next.await {
            Some(Some(bytes)) => inbox = bytes,
            Some(None) => return Ended::Gone,
            None => return Ended::Rests,
        }
    }
}

/// Counted among those that keep their room while they wait; many clients at once keep none.
struct KeptRoom<'w>(&'w Cell<usize>);

impl<'w> KeptRoom<'w> {
    fn take(kept: &'w Cell<usize>) -> Option<Self> {
        (kept.get() < ROOMS_KEPT).then(|| {
            kept.set(kept.get() + 1);
            Self(kept)
        })
    }
}

impl Drop for KeptRoom<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Waits for a request without holding a buffer.
async fn first_bytes(worker: &Worker, client: &mut Stream) -> Option<Buffer> {
    poll_fn(|cx| poll_first_bytes(worker, client, cx)).await
}

fn poll_first_bytes(
    worker: &Worker,
    client: &mut Stream,
    cx: &mut Context<'_>,
) -> Poll<Option<Buffer>> {
    let mut buffer = worker.buffers.small();
    let polled = poll_fill(client, &mut buffer, cx);
    if let Poll::Ready(Ok(Filled::Bytes)) = polled {
        return Poll::Ready(Some(buffer));
    }
    worker.buffers.give(buffer);
    polled.map(|_| None)
}

/// Says that nothing more comes, then reads and forgets until the client closes too.
async fn linger(worker: &Worker, client: &mut Stream) {
    let until = Instant::now() + LINGER;
    let _: Result<_, _> = timeout(LINGER_QUIET, poll_fn(|cx| client.poll_shutdown(cx))).await;
    let mut unwanted = worker.buffers.small();
    while Instant::now() < until {
        match timeout(LINGER_QUIET, poll_fn(|cx| poll_fill(client, &mut unwanted, cx))).await {
            Ok(Ok(Filled::Bytes)) => unwanted.consume(usize::MAX),
            Ok(Ok(Filled::Closed) | Err(_)) | Err(_) => break,
        }
    }
    worker.buffers.give(unwanted);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_output<F>(
        _: impl FnOnce(&'static Worker, &'static mut Stream, &'static Slot) -> F,
    ) -> usize {
        size_of::<F>()
    }

    /// Ten thousand of them wait most of the time.
    #[test]
    fn an_idle_connection_is_small() {
        let size = size_of_output(serve);
        assert!(size <= 128, "{size} bytes");
    }
}
