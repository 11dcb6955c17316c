//! An answer that blames the key or our clock: what is learnt from it, and the same request with
//! another key or another time.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use crate::{
    clock::Timestamp,
    credential::Credential,
    metrics::RetryReason,
    proxy::{self, Blame},
};

use super::{
    answer::Answer,
    buffers::Buffer,
    exchange::{Exchange, Ready},
    hear::ClientGone,
    leased::Leased,
    prepare::{Prepared, With, prepare},
    server_time,
    stream::{Stream, poll_gone},
};

/// The label under which a rejection is counted that had no code.
const NO_CODE: &str = "none";

/// What was tried for one request so far: one other time, the key before, one fresh key.
#[derive(Default)]
pub(super) struct Tried {
    time: bool,
    fresh: bool,
    /// The last attempt was made with the key before the current one.
    on_previous: bool,
    refused: Vec<Arc<Credential>>,
}

/// What the request failed by.
enum Cause {
    /// Our clock: the server's says this.
    Clock(Timestamp),
    /// The key, with the code of the answer.
    Key(&'static str),
}

type Remedy = (Arc<Credential>, RetryReason);

impl Exchange<'_> {
    /// The request signed anew, if `answer` blames the key or our clock and the request can be
    /// sent again. Otherwise the answer is to pass; not a byte of it is lost.
    pub(super) async fn heal(
        &mut self,
        tried: &mut Tried,
        ready: &Ready,
        upstream: &mut Leased<'_>,
        answer: &mut Answer<'_>,
    ) -> Result<Option<Prepared>, ClientGone> {
        let body = answer.hear(upstream.stream(), self.client, &mut self.inbox).await?;
        let repeatable = ready.held.is_some() || !self.body_begun;
        let remedy = match self.cause(&ready.prepared, answer, &body) {
            None => return Ok(None),
            Some(Cause::Clock(date)) => {
                server_time::adopt(self.worker, date);
                let first = !std::mem::replace(&mut tried.time, true);
                (first && repeatable).then(|| (Arc::clone(&ready.prepared.key), RetryReason::Clock))
            }
            Some(Cause::Key(code)) => {
                self.count(&ready.prepared, code);
                self.another_key(tried, &ready.prepared, repeatable).await?
            }
        };
        let Some((key, reason)) = remedy else { return Ok(None) };
        let head = self.inbox.unread().get(..self.head_len).unwrap_or_default();
        let held = ready.held.as_deref();
        let again = prepare(self.worker, &mut self.record, head, held, &With::This(key)).ok();
        if again.is_some() {
            self.worker.meter.retried(reason);
            let (status, operation) = (answer.status(), self.record.operation.name());
            tracing::debug!(status, operation, reason = ?reason, "COS refused a request; it is sent again");
        }
        Ok(again)
    }

    /// An answer that blames nothing came: if it took the key before the current one, the current
    /// one is not known upstream yet.
    pub(super) fn settle(&self, tried: &Tried, prepared: &Prepared) {
        if tried.on_previous {
            let keys = self.worker.keys(prepared.key_set);
            keys.prefer_previous(&prepared.key, self.worker.clock.now());
        }
    }

    fn cause(&self, prepared: &Prepared, answer: &Answer<'_>, body: &[u8]) -> Option<Cause> {
        let skewed = || {
            let date = answer.date()?;
            server_time::is_skewed(self.worker, date, prepared.offset_millis).then_some(date)
        };
        match proxy::blame(body) {
            Some(Blame::Key(code)) => Some(Cause::Key(code)),
            Some(Blame::Clock) => answer.date().map(Cause::Clock),
            Some(Blame::Time) => Some(skewed().map_or(Cause::Key("AccessDenied"), Cause::Clock)),
            // An error to HEAD has no body, so it counts only beside what is known otherwise.
            None if answer.is_to_head() && matches!(answer.status(), 400 | 403) => {
                let keys = self.worker.keys(prepared.key_set);
                let rejected = || keys.was_rejected_lately(&prepared.key);
                skewed().map(Cause::Clock).or_else(|| rejected().then_some(Cause::Key(NO_CODE)))
            }
            None => None,
        }
    }

    fn count(&self, prepared: &Prepared, code: &'static str) {
        let keys = self.worker.keys(prepared.key_set);
        if code == NO_CODE {
            keys.count_rejected(code);
        } else {
            keys.note_rejected(&prepared.key, code);
        }
    }

    /// The key to try next: the current one if a swap came first, the one before if the current one
    /// may be too new to be known, otherwise the one that comes when the refresher is rung.
    async fn another_key(
        &mut self,
        tried: &mut Tried,
        prepared: &Prepared,
        repeatable: bool,
    ) -> Result<Option<Remedy>, ClientGone> {
        let keys = self.worker.keys(prepared.key_set);
        tried.on_previous = false;
        if !repeatable || tried.fresh {
            keys.ring(&prepared.key);
            return Ok(None);
        }
        tried.refused.push(Arc::clone(&prepared.key));
        let now = self.worker.clock.now();
        let is_current = keys.current(now).is_ok_and(|current| current.id == prepared.key.id);
        let previous = keys
            .previous(now)
            .filter(|key| tried.refused.iter().all(|refused| refused.id != key.id));
        if is_current && let Some(previous) = previous {
            keys.report_used_previous();
            tried.on_previous = true;
            return Ok(Some((previous, RetryReason::PreviousKey)));
        }
        let fits = |key: &Credential| tried.refused.iter().all(|refused| refused.id != key.id);
        let another = keys.another(fits, self.worker.settings.key_patience);
        let another = unless_gone(another, self.client, &mut self.inbox).await?;
        tried.fresh = true;
        Ok(another.map(|key| (key, RetryReason::KeyRejected)))
    }
}

/// Waits, but not longer than the client does.
async fn unless_gone<T>(
    waiting: impl Future<Output = T>,
    client: &mut Stream,
    inbox: &mut Buffer,
) -> Result<T, ClientGone> {
    let mut waiting = pin!(waiting);
    poll_fn(|cx| {
        if let Poll::Ready(done) = waiting.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        poll_gone(client, inbox, cx).map(|()| Err(ClientGone))
    })
    .await
}
