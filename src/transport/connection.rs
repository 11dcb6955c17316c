//! One client connection: request after request, in order, until one side has enough.

use std::{future::poll_fn, mem, task::Poll, time::Duration};

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

/// Serves one connection to its end. Cancel-safe between requests; dropping it during one closes
/// both connections of that request.
pub(super) async fn serve(worker: &Worker, mut client: Stream, slot: &Slot) {
    let mut inbox = Buffer::default();
    let mut requests_left = match worker.settings.requests_per_connection {
        0 => u64::MAX,
        n => n,
    };
    loop {
        slot.idle();
        if inbox.is_empty() {
            worker.buffers.give(mem::take(&mut inbox));
            match first_bytes(worker, &mut client).await {
                Some(bytes) => inbox = bytes,
                None => return,
            }
        }
        slot.busy();
        requests_left = requests_left.saturating_sub(1);
        let last = requests_left == 0;
        if last {
            worker.meter.client_limited(ClientLimit::Retired);
        }
        // Boxed, so that an idle connection does not carry the room a request needs.
        match Box::pin(exchange::run(worker, &mut client, inbox, last)).await {
            After::Keep(rest) => inbox = rest,
            After::Close => return linger(worker, &mut client).await,
            After::Drop => return,
        }
        if worker.draining.is_cancelled() && inbox.is_empty() {
            return linger(worker, &mut client).await;
        }
    }
}

/// Waits for a request without holding a buffer.
async fn first_bytes(worker: &Worker, client: &mut Stream) -> Option<Buffer> {
    poll_fn(|cx| {
        let mut buffer = worker.buffers.small();
        let polled = poll_fill(client, &mut buffer, cx);
        if let Poll::Ready(Ok(Filled::Bytes)) = polled {
            return Poll::Ready(Some(buffer));
        }
        worker.buffers.give(buffer);
        polled.map(|_| None)
    })
    .await
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
