//! Tell every task to end, wait for them, give up after a while.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The one way to start a task and the one way to end them all. Clones share the same end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A shutdown that nobody has begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task on the current runtime that [`Shutdown::finished`] waits for. Its panic is
    /// logged with `name` and ends only that task.
    #[expect(clippy::disallowed_methods, reason = "this is the place that gives tasks an end")]
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = tokio::spawn(self.tasks.track_future(task));
        drop(tokio::spawn(async move {
            if let Err(failure) = running.await
                && failure.is_panic()
            {
                tracing::error!(task = name, "a task panicked; this is a bug");
            }
        }));
    }

    /// Asks every task to end. Calling it again changes nothing.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether [`Shutdown::begin`] was called.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes once [`Shutdown::begin`] was called. Cancel-safe.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// A child that ends with this one but can be ended alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), tasks: TaskTracker::new() }
    }

    /// Waits until all spawned tasks have ended; `false` if some were left after `patience`.
    pub async fn finished(&self, patience: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}
