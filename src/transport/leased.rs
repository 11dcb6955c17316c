//! An upstream connection in use by one request.

use std::sync::Arc;

use crate::proxy::Origin;

use super::{stream::Stream, worker::Worker};

/// Closed, and counted as closed, unless given back.
pub(super) struct Leased<'w> {
    stream: Option<Stream>,
    worker: &'w Worker,
}

impl<'w> Leased<'w> {
    pub(super) fn new(stream: Stream, worker: &'w Worker) -> Self {
        Self { stream: Some(stream), worker }
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("only give_back takes the stream, and it takes self")
    }

    pub(super) fn give_back(mut self, origin: &Arc<Origin>) {
        if let Some(stream) = self.stream.take() {
            self.worker.pool.give(origin, stream);
        }
    }
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        if self.stream.is_some() {
            self.worker.meter.upstream_closed();
        }
    }
}
