//! Waiting within a limit for steps of which most are ready at once: those need neither a reading
//! of the clock nor a timer.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::{error::Elapsed, timeout};

/// Waits for `step`, at most as long as `limit`; cancel-safe as far as `step` is.
pub(super) async fn within<T>(
    limit: Duration,
    step: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut step = pin!(step);
    match at_once(step.as_mut()).await {
        Some(done) => Ok(done),
        None => timeout(limit, step).await,
    }
}

/// What `step` has to say without any waiting.
pub(super) async fn at_once<T>(mut step: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| {
        Poll::Ready(match step.as_mut().poll(cx) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}
