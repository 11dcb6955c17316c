//! One request, once through: head in, signed head out, body up, answer down.

use std::{future::poll_fn, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{
    credential::NoKey,
    http1::{Body, HeadScan, HeadScanner},
    metrics::{ClientLimit, Origin as Speaker, RetryReason, UpstreamErrorKind},
    proxy::{Reason, Refused},
};

use super::{
    answer::{self, Answer, AnswerEnd},
    buffers::Buffer,
    heal::Tried,
    hold::HoldEnd,
    leased::Leased,
    pace::Pace,
    prepare::{ClientSide, Halt, Prepared, With, prepare},
    rare::rarely,
    record::Record,
    refuse::{refuse, target_of},
    server_time,
    stream::{Filled, Stream, poll_fill},
    turn::others_first,
    upload::{Upload, UploadEnd},
    worker::Worker,
};

/// What becomes of the client's connection.
pub(super) enum After {
    /// The next request begins with these bytes (perhaps none yet).
    Keep(Buffer),
    /// An answer was written that must be read before the close.
    Close,
    /// Nothing more to say.
    Drop,
}

/// Carries out the request whose first bytes are in `inbox`; after the `last` one the connection
/// ends.
pub(super) async fn run(
    worker: &Worker,
    client: &mut Stream,
    mut inbox: Buffer,
    last: bool,
) -> After {
    let head_len = match read_head(worker, client, &mut inbox).await {
        Ok(Some(head_len)) => head_len,
        Ok(None) => return After::Drop,
        Err(refused) => {
            let mut record = Record::start(&worker.meter, worker.settings.access_log);
            let side = ClientSide::unknown(inbox.unread());
            return rarely(refuse(worker, client, &mut record, &refused, side, b"")).await;
        }
    };
    let mut exchange = Exchange {
        worker,
        client,
        record: Record::start(&worker.meter, worker.settings.access_log),
        inbox,
        head_len,
        continued: false,
        body_taken: false,
        body_begun: false,
        last,
        pace: Pace::of(&worker.settings),
    };
    let ready = match exchange.prepare(None, &With::Usual) {
        Ok(ready) => ready,
        Err(halt) => match rarely(exchange.prepare_on(*halt)).await {
            Ok(ready) => ready,
            Err(after) => return after,
        },
    };
    exchange.carry_out(ready).await
}

pub(super) struct Exchange<'w> {
    pub(super) worker: &'w Worker,
    pub(super) client: &'w mut Stream,
    pub(super) record: Record<'w>,
    /// The head, then what the client sent after it.
    pub(super) inbox: Buffer,
    pub(super) head_len: usize,
    /// The client was told to send its body.
    pub(super) continued: bool,
    /// The body is out of the inbox: what follows the head there is the next request.
    body_taken: bool,
    /// Some of the body went up without being held: it cannot be sent again.
    pub(super) body_begun: bool,
    /// The connection ends with this request.
    last: bool,
    /// How much longer the client may take over its body.
    pub(super) pace: Pace,
}

/// A signed request with the body it goes with.
pub(super) struct Ready {
    pub(super) prepared: Prepared,
    pub(super) held: Option<Vec<u8>>,
}

/// A request that is not signed yet, and why.
struct Halted {
    halt: Halt,
    held: Option<Vec<u8>>,
}

/// How one attempt towards upstream failed.
struct Failed {
    refused: Refused,
    kind: UpstreamErrorKind,
    /// Nothing of the request was written.
    unsent: bool,
    /// The connection died before any answer byte.
    died: bool,
}

impl<'w> Exchange<'w> {
    /// Signs, with the body if that is held.
    fn prepare(&mut self, held: Option<Vec<u8>>, with: &With) -> Result<Ready, Box<Halted>> {
        let head = self.inbox.unread().get(..self.head_len).unwrap_or_default();
        match prepare(self.worker, &mut self.record, head, held.as_deref(), with) {
            Ok(prepared) => Ok(Ready { prepared, held }),
            Err(halt) => Err(Box::new(Halted { halt, held })),
        }
    }

    /// Prepares on until signed: waits for a key or holds the body where that is asked for.
    async fn prepare_on(&mut self, halted: Halted) -> Result<Ready, After> {
        let Halted { mut halt, mut held } = halted;
        let mut waited = false;
        let mut until = None;
        let mut with = With::Usual;
        loop {
            match halt {
                Halt::NearlyOver { key, key_set } => {
                    let patience = self.patience(&mut until);
                    self.worker.keys(key_set).await_next(&key, patience).await;
                    with = With::WhatThereIs;
                }
                Halt::NoKey { no_key, client, .. } if waited => {
                    return Err(self.no_key(&no_key, client).await);
                }
                Halt::NoKey { key_set, client, .. } => {
                    waited = true;
                    let patience = self.patience(&mut until);
                    let keys = self.worker.keys(key_set);
                    if let Err(no_key) = keys.wait(patience).await {
                        let tries = self.worker.settings.try_expired_keys;
                        match tries.then(|| keys.expired()).flatten() {
                            Some(expired) => with = With::This(expired),
                            None => return Err(self.no_key(&no_key, client).await),
                        }
                    }
                }
                Halt::Hold(side) => held = Some(self.hold(side).await?),
                Halt::Refused(refused, side) => {
                    return Err(self.refuse(&refused, side, false).await);
                }
                Halt::Broken(refused) => {
                    let side = ClientSide::unknown(self.inbox.unread());
                    return Err(self.refuse(&refused, side, true).await);
                }
            }
            match self.prepare(held, &with) {
                Ok(ready) => return Ok(ready),
                Err(again) => Halted { halt, held } = *again,
            }
        }
    }

    async fn hold(&mut self, side: ClientSide) -> Result<Vec<u8>, After> {
        match self.hold_body(side).await {
            Ok(body) => {
                self.body_taken = true;
                Ok(body)
            }
            Err(HoldEnd::ClientGone) => {
                self.record.client_gone();
                Err(After::Drop)
            }
            Err(HoldEnd::Refused(refused)) => Err(self.refuse(&refused, side, true).await),
        }
    }

    /// What is left of the one wait for a key that a request is worth.
    fn patience(&self, until: &mut Option<Instant>) -> Duration {
        let now = Instant::now();
        until.get_or_insert(now + self.worker.settings.key_patience).duration_since(now)
    }

    async fn no_key(&mut self, no_key: &NoKey, side: ClientSide) -> After {
        let refused = Refused {
            reason: Reason::NoKey,
            message: format!(
                "No usable key: {no_key}. The request was not sent; try again in a few seconds."
            )
            .into(),
        };
        self.refuse(&refused, side, false).await
    }

    /// Sends the request and brings back the answer; a dead reused connection is replaced once, and
    /// a refused key or time where the request can be sent again.
    async fn carry_out(&mut self, mut ready: Ready) -> After {
        let side = ready.prepared.client;
        let mut repeated = false;
        let mut tried = Tried::default();
        // Before a connection is taken: whether it lives is looked at just before it is written to.
        others_first().await;
        loop {
            let kept = if repeated { None } else { self.worker.pool.take(&ready.prepared.origin) };
            let reused = kept.is_some();
            let upstream = match kept {
                Some(stream) => stream,
                None => match rarely(self.open(&ready)).await {
                    Ok(stream) => stream,
                    Err(failed) => return rarely(self.refuse(&failed, side, false)).await,
                },
            };
            let mut upstream = Leased::new(upstream, self.worker);
            let mut answer = Answer::new(self.worker, side.answered);
            match self.attempt(&ready, &mut upstream, &mut answer).await {
                Ok(Attempt::Answered { uploaded }) => {
                    if matches!(answer.status(), 400..=499) {
                        let healed = self.heal(&mut tried, &ready, &mut upstream, &mut answer);
                        match rarely(healed).await {
                            Ok(Some(again)) => {
                                if uploaded && answer.is_done_with() {
                                    upstream.give_back(&ready.prepared.origin);
                                }
                                ready.prepared = again;
                                continue;
                            }
                            Ok(None) => {}
                            Err(_gone) => {
                                self.record.client_gone();
                                return After::Drop;
                            }
                        }
                    }
                    self.settle(&tried, &ready.prepared);
                    let after = self.bring_down(&ready, upstream, &mut answer, uploaded).await;
                    self.worker.buffers.give_head(ready.prepared.signed.into_buffer());
                    return after;
                }
                Ok(Attempt::ClientGone) => {
                    self.record.client_gone();
                    return After::Drop;
                }
                Ok(Attempt::ClientBroken(refused)) => {
                    return rarely(self.refuse(&refused, side, true)).await;
                }
                Err(failed) => {
                    let provably_safe =
                        failed.unsent || (failed.died && ready.prepared.safe_to_repeat);
                    if reused && !repeated && provably_safe {
                        self.worker.meter.retried(RetryReason::StaleConnection);
                        repeated = true;
                        continue;
                    }
                    self.worker.meter.upstream_error(failed.kind);
                    let in_doubt = self.body_begun;
                    return rarely(self.refuse(&failed.refused, side, in_doubt)).await;
                }
            }
        }
    }

    async fn open(&self, ready: &Ready) -> Result<Stream, Refused> {
        match self.worker.connector.connect(&ready.prepared.origin).await {
            Ok(stream) => {
                self.worker.meter.upstream_opened();
                Ok(stream)
            }
            Err(failure) => {
                self.worker.meter.upstream_error(failure.kind);
                Err(failure.refused)
            }
        }
    }

    /// One try on one connection: head and body up, then the head of the answer.
    async fn attempt(
        &mut self,
        ready: &Ready,
        upstream: &mut Leased<'_>,
        answer: &mut Answer<'w>,
    ) -> Result<Attempt, Failed> {
        let side = ready.prepared.client;
        let head = ready.prepared.signed.head();
        let end = match &ready.held {
            Some(body) => {
                let whole = Upload::whole(self.worker, upstream.stream(), answer, head, body);
                rarely(whole).await
            }
            None => {
                if side.expects_continue && rarely(self.say_continue(side)).await.is_err() {
                    return Ok(Attempt::ClientGone);
                }
                let mut upload = Upload {
                    worker: self.worker,
                    client: self.client,
                    upstream: upstream.stream(),
                    answer: &mut *answer,
                    record: &mut self.record,
                    pace: &mut self.pace,
                    begun: false,
                };
                let end = upload
                    .send(
                        head,
                        side.body,
                        ready.prepared.signed.body(),
                        &mut self.inbox,
                        self.head_len,
                    )
                    .await;
                self.body_begun |= upload.begun;
                end
            }
        };
        let uploaded = match end {
            UploadEnd::Sent => true,
            UploadEnd::Answered => false,
            UploadEnd::ClientGone => return Ok(Attempt::ClientGone),
            UploadEnd::ClientBroken(refused) => return Ok(Attempt::ClientBroken(refused)),
            UploadEnd::Failed { unsent, kind, reason } => {
                let died = answer.is_untouched() && kind != UpstreamErrorKind::Stalled;
                return Err(Failed { refused: reason.refused(), kind, unsent, died });
            }
        };
        match answer.head(upstream.stream(), self.client, &mut self.inbox).await {
            Ok(()) => {
                let now = Instant::now();
                self.record.first_byte_at = Some(now);
                server_time::sample(self.worker, answer, now);
                Ok(Attempt::Answered { uploaded })
            }
            Err(AnswerEnd::ClientGone) => Ok(Attempt::ClientGone),
            Err(AnswerEnd::Failed { kind, reason }) => {
                let died = answer.is_untouched()
                    && matches!(kind, UpstreamErrorKind::Closed | UpstreamErrorKind::Reset);
                Err(Failed { refused: reason.refused(), kind, unsent: false, died })
            }
        }
    }

    /// Writes the answer to the client and decides what both connections are good for afterwards.
    async fn bring_down(
        &mut self,
        ready: &Ready,
        mut upstream: Leased<'_>,
        answer: &mut Answer<'_>,
        uploaded: bool,
    ) -> After {
        others_first().await;
        let keep = uploaded && !self.ends_connection();
        let status = answer.status();
        self.record.answered(status, Speaker::Upstream, answer.request_id());
        let brought = answer.body(upstream.stream(), self.client, &mut self.record, keep).await;
        if let Some(body) = answer.heard() {
            let (signed, operation) = (ready.prepared.signed.head(), self.record.operation);
            let now = self.worker.clock.now();
            self.worker.signature_errors.look_at(status, body, signed, operation, now);
        }
        match brought {
            Ok(down) => {
                if uploaded && down.upstream_reusable {
                    upstream.give_back(&ready.prepared.origin);
                }
                if !down.client_kept {
                    return After::Close;
                }
                self.inbox.consume(self.head_len);
                After::Keep(std::mem::take(&mut self.inbox))
            }
            Err(answer::BodyEnd::ClientGone) => {
                self.record.client_gone();
                After::Drop
            }
            Err(answer::BodyEnd::TooSlow) => {
                self.record.client_gone();
                self.worker.meter.client_limited(ClientLimit::SlowReader);
                tracing::debug!(
                    status,
                    operation = self.record.operation.name(),
                    "the client reads its answer too slowly; its connection is reset"
                );
                // An orderly close would leave what was not read in the kernel.
                self.client.reset_on_close(true);
                After::Drop
            }
            Err(answer::BodyEnd::Cut(kind)) => {
                self.worker.meter.upstream_error(kind);
                tracing::warn!(status, kind = ?kind, operation = self.record.operation.name(), "upstream cut an answer short; the client's connection is reset so that it can tell");
                self.client.reset_on_close(true);
                After::Drop
            }
        }
    }

    fn ends_connection(&self) -> bool {
        self.last || self.worker.draining.is_cancelled()
    }

    async fn refuse(&mut self, refused: &Refused, mut side: ClientSide, in_doubt: bool) -> After {
        // The connection stays only if the whole request is known and read.
        let unread_body = match side.body {
            _ if self.body_taken => 0,
            Body::None | Body::Length(0) => 0,
            Body::Length(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Body::Chunked | Body::UntilClose => usize::MAX,
        };
        let here = self.inbox.unread().len().saturating_sub(self.head_len);
        let settled = !in_doubt && unread_body <= here && !self.ends_connection();
        side.answered.keep_alive &= settled && !refused.reason.closes_connection();
        let keep = side.answered.keep_alive;
        let resource =
            self.inbox.unread().get(..self.head_len).map(target_of).unwrap_or_default().to_vec();
        let after =
            refuse(self.worker, self.client, &mut self.record, refused, side, &resource).await;
        if keep && matches!(after, After::Keep(_)) {
            self.inbox.consume(self.head_len.saturating_add(unread_body));
            return After::Keep(std::mem::take(&mut self.inbox));
        }
        after
    }
}

enum Attempt {
    Answered { uploaded: bool },
    ClientGone,
    ClientBroken(Refused),
}

/// Reads until the head is complete. `None` when the client closed first.
async fn read_head(
    worker: &Worker,
    client: &mut Stream,
    inbox: &mut Buffer,
) -> Result<Option<usize>, Refused> {
    let limits = &worker.settings.request_limits;
    let mut scanner = HeadScanner::default();
    let mut deadline = None;
    loop {
        match scanner.scan(inbox.unread(), limits).map_err(Refused::from)? {
            HeadScan::Complete(head_len) => return Ok(Some(head_len)),
            HeadScan::NeedMore => {}
        }
        if inbox.is_full() {
            let room = (inbox.room() * 2).min(limits.head_bytes + 1);
            inbox.make_room(room);
        }
        let by = *deadline.get_or_insert_with(|| Instant::now() + worker.settings.head_timeout);
        match timeout_at(by, poll_fn(|cx| poll_fill(client, inbox, cx))).await {
            Ok(Ok(Filled::Bytes)) => {}
            Ok(Ok(Filled::Closed) | Err(_)) => return Ok(None),
            Err(_) => return Err(Reason::HeadTimeout.refused()),
        }
    }
}
