//! Idle upstream connections of one data thread, the youngest first.

use std::{
    cell::RefCell,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{metrics::Meter, proxy::Origin};

use super::stream::Stream;

struct Idle {
    stream: Stream,
    /// When a sweep first saw it: one that is used again at once needs no clock.
    since: Option<Instant>,
}

impl Idle {
    fn is_usable(&mut self, life: Duration) -> bool {
        self.since.is_none_or(|since| since.elapsed() < life) && is_quiet(&mut self.stream)
    }
}

struct Kept {
    origin: Arc<Origin>,
    waiting: Vec<Idle>,
}

impl Kept {
    fn is_for(&self, origin: &Arc<Origin>) -> bool {
        Arc::ptr_eq(&self.origin, origin) || self.origin == *origin
    }
}

/// What a thread keeps open towards upstream. Bounded in number and in time.
pub(super) struct Pool {
    /// Few: found by looking at each, which costs less than hashing a name.
    idle: RefCell<Vec<Kept>>,
    most: usize,
    life: Duration,
    meter: Arc<Meter>,
}

impl Pool {
    pub(super) fn new(most: usize, life: Duration, meter: Arc<Meter>) -> Self {
        Self { idle: RefCell::default(), most, life, meter }
    }

    /// A connection that was alive a moment ago, if there is one.
    pub(super) fn take(&self, origin: &Arc<Origin>) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.iter_mut().find(|kept| kept.is_for(origin))?;
        while let Some(mut candidate) = kept.waiting.pop() {
            self.meter.upstream_idle(-1);
            if candidate.is_usable(self.life) {
                return Some(candidate.stream);
            }
            self.meter.upstream_closed();
        }
        None
    }

    /// Keeps a connection on which a whole answer was read and nothing else.
    pub(super) fn give(&self, origin: &Arc<Origin>, stream: Stream) {
        if self.len() >= self.most {
            self.meter.upstream_closed();
            return;
        }
        self.meter.upstream_idle(1);
        let arrived = Idle { stream, since: None };
        let mut idle = self.idle.borrow_mut();
        match idle.iter_mut().find(|kept| kept.is_for(origin)) {
            Some(kept) => kept.waiting.push(arrived),
            None => idle.push(Kept { origin: Arc::clone(origin), waiting: vec![arrived] }),
        }
    }

    /// Closes what was there for its life, or was closed by upstream.
    pub(super) fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain_mut(|kept| {
            kept.waiting.retain_mut(|candidate| {
                candidate.since.get_or_insert(now);
                let keep = candidate.is_usable(self.life);
                if !keep {
                    self.meter.upstream_idle(-1);
                    self.meter.upstream_closed();
                }
                keep
            });
            !kept.waiting.is_empty()
        });
    }

    pub(super) fn len(&self) -> usize {
        self.idle.borrow().iter().map(|kept| kept.waiting.len()).sum()
    }
}

/// Nothing arrived on it: neither a close nor bytes nobody asked for.
fn is_quiet(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let polled = stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut byte);
    matches!(polled, Poll::Pending)
}
