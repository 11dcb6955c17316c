//! The way up: signed head and body, with an eye on an answer that comes early.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use crate::{
    http1::{Body, BodyDecoder},
    metrics::UpstreamErrorKind,
    proxy::{Reason, Refused},
};

use super::{
    answer::Answer,
    buffers::Buffer,
    deadline::within,
    framing::{Framing, next_piece},
    pace::{Pace, TooSlow},
    rare::rarely,
    record::Record,
    splice::Pipe,
    stream::{COPIED, Filled, Outgoing, Sending, Stream, poll_fill},
    turn::Share,
    worker::Worker,
};

/// How the way up ended.
pub(super) enum UploadEnd {
    /// Head and body are out.
    Sent,
    /// Upstream answered before the body was out, or refuses to take more.
    Answered,
    ClientGone,
    /// The client's body is not what its head promised.
    ClientBroken(Refused),
    Failed {
        unsent: bool,
        kind: UpstreamErrorKind,
        reason: Reason,
    },
}

/// One request on its way up.
pub(super) struct Upload<'u, 'w> {
    pub(super) worker: &'w Worker,
    pub(super) client: &'u mut Stream,
    pub(super) upstream: &'u mut Stream,
    pub(super) answer: &'u mut Answer<'w>,
    pub(super) record: &'u mut Record<'w>,
    /// How much longer the client may take.
    pub(super) pace: &'u mut Pace,
    /// Some of the body is out of the client's hands and not kept: it cannot be sent again.
    pub(super) begun: bool,
}

impl Upload<'_, '_> {
    /// Sends `head`, then the body that begins in `inbox` after `head_len` bytes.
    pub(super) async fn send(
        &mut self,
        head: &[u8],
        from_client: Body,
        to_upstream: Body,
        inbox: &mut Buffer,
        head_len: usize,
    ) -> UploadEnd {
        let mut decoder = BodyDecoder::new(from_client);
        let framing = Framing::up(to_upstream);
        let mut framed = Vec::new();
        let here = inbox.unread().get(head_len..).unwrap_or_default();
        let piece = match next_piece(&mut decoder, here, framing, &mut framed, None) {
            Ok(piece) => piece,
            Err(fault) => return UploadEnd::ClientBroken(fault.into()),
        };
        let direct = here.get(piece.data.clone()).unwrap_or_default();
        let second = if framing == Framing::Plain { direct } else { framed.as_slice() };
        let first = begin(self.worker, self.upstream, self.answer, head, second);
        if let Some(end) = first.await {
            return end;
        }
        self.record.request_bytes(piece.len);
        self.begun = piece.consumed > 0;
        inbox.remove(head_len, piece.consumed);
        if piece.done {
            return UploadEnd::Sent;
        }
        self.pump(decoder, framing, framed, inbox).await
    }

    /// Sends a head with a body that is held.
    pub(super) async fn whole(
        worker: &Worker,
        upstream: &mut Stream,
        answer: &mut Answer<'_>,
        head: &[u8],
        body: &[u8],
    ) -> UploadEnd {
        begin(worker, upstream, answer, head, body).await.unwrap_or(UploadEnd::Sent)
    }

    async fn pump(
        &mut self,
        mut decoder: BodyDecoder,
        framing: Framing,
        mut framed: Vec<u8>,
        inbox: &mut Buffer,
    ) -> UploadEnd {
        let remaining = decoder.remaining().filter(|_| framing == Framing::Plain);
        if let Some(pipe) = self.worker.pipes.between(self.client, self.upstream, remaining) {
            match rarely(self.splice_body(pipe, &mut decoder)).await {
                Ok(false) => {}
                Ok(true) => return UploadEnd::Sent,
                Err(end) => return end,
            }
        }
        let mut buffer = self.worker.buffers.for_body(decoder.remaining());
        let end = loop {
            let before = buffer.unread().len();
            let read = self.read(|client, cx| {
                poll_fill(client, &mut buffer, cx).map_ok(|filled| match filled {
                    Filled::Bytes => buffer.unread().len() - before,
                    Filled::Closed => 0,
                })
            });
            match read.await {
                Ok(_) => {}
                Err(NotRead::End(end)) => break end,
                Err(NotRead::Unsupported) => break UploadEnd::ClientGone,
            }
            self.begun = true;
            framed.clear();
            let piece = match next_piece(&mut decoder, buffer.unread(), framing, &mut framed, None)
            {
                Ok(piece) => piece,
                Err(fault) => break UploadEnd::ClientBroken(fault.into()),
            };
            let direct = buffer.unread().get(piece.data.clone()).unwrap_or_default();
            let bytes = if framing == Framing::Plain { direct } else { framed.as_slice() };
            let bytes = Outgoing::new(bytes, b"");
            if let Some(end) = send(self.worker, self.upstream, self.answer, bytes, false).await {
                break end;
            }
            self.record.request_bytes(piece.len);
            buffer.consume(piece.consumed);
            if piece.done {
                // What follows is the next request.
                inbox.append(buffer.unread());
                break UploadEnd::Sent;
            }
        };
        self.worker.buffers.give(buffer);
        end
    }

    /// Sends the rest of the body inside the kernel; whether that worked.
    async fn splice_body(
        &mut self,
        mut pipe: Pipe<'_>,
        decoder: &mut BodyDecoder,
    ) -> Result<bool, UploadEnd> {
        let worker = self.worker;
        let mut share = Share::default();
        while let Some(left @ 1..) = decoder.remaining() {
            let n = match self.read(|client, cx| pipe.poll_fill(client, left, cx)).await {
                Ok(n) => n,
                Err(NotRead::Unsupported) => return Ok(false),
                Err(NotRead::End(end)) => return Err(end),
            };
            self.begun = true;
            decoder.skip(n);
            if let Some(end) = send(worker, self.upstream, self.answer, pipe.drain(), false).await {
                return Err(end);
            }
            self.record.request_bytes(n);
            share.take(n).await;
        }
        Ok(true)
    }

    /// Reads from the client while upstream stays silent; at least one byte.
    async fn read(
        &mut self,
        mut poll_client: impl FnMut(&mut Stream, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Result<usize, NotRead> {
        loop {
            let (client, upstream, answer) =
                (&mut *self.client, &mut *self.upstream, &mut *self.answer);
            let step = poll_fn(|cx| {
                if let Poll::Ready(heard) = poll_answer(upstream, answer, cx) {
                    return Poll::Ready(Step::Heard(heard));
                }
                poll_client(client, cx).map(Step::Own)
            });
            let end = match self.pace.wait(step).await {
                Err(TooSlow) => UploadEnd::ClientBroken(Reason::BodyTimeout.refused()),
                Ok(Step::Own(Ok(n @ 1..))) => {
                    self.pace.moved(n);
                    return Ok(n);
                }
                Ok(Step::Progress) => continue,
                Ok(Step::Own(Err(refused))) if refused.kind() == io::ErrorKind::Unsupported => {
                    return Err(NotRead::Unsupported);
                }
                Ok(Step::Own(Ok(_) | Err(_))) => UploadEnd::ClientGone,
                Ok(Step::Heard(heard)) => match after_hearing(self.answer, &heard, false) {
                    Some(end) => end,
                    None => continue,
                },
            };
            return Err(NotRead::End(end));
        }
    }
}

/// What happened while waiting on one side: its own result, or something heard from upstream.
enum Step<T> {
    Heard(io::Result<Filled>),
    Own(io::Result<T>),
    /// Some bytes went, not all: the waiting begins anew.
    Progress,
}

/// Why nothing was read.
enum NotRead {
    End(UploadEnd),
    /// The kernel cannot read it this way.
    Unsupported,
}

/// Sends a head with its body, or the beginning of it.
async fn begin(
    worker: &Worker,
    upstream: &mut Stream,
    answer: &mut Answer<'_>,
    head: &[u8],
    body: &[u8],
) -> Option<UploadEnd> {
    if body.is_empty() || body.len() > COPIED {
        return send(worker, upstream, answer, Outgoing::new(head, body), true).await;
    }
    let mut whole = worker.buffers.head();
    whole.extend_from_slice(head);
    whole.extend_from_slice(body);
    let end = send(worker, upstream, answer, Outgoing::new(&whole, b""), true).await;
    worker.buffers.give_head(whole);
    end
}

/// Sends all of it; while upstream does not take more, listens for an early answer.
/// `unsent`: nothing of the request went out before.
async fn send(
    worker: &Worker,
    upstream: &mut Stream,
    answer: &mut Answer<'_>,
    mut outgoing: impl Sending,
    unsent: bool,
) -> Option<UploadEnd> {
    loop {
        let before = outgoing.written();
        let step = poll_fn(|cx| {
            if let Poll::Ready(written) = outgoing.poll(upstream, cx) {
                return Poll::Ready(Step::Own(written));
            }
            if outgoing.written() > before {
                return Poll::Ready(Step::Progress);
            }
            poll_answer(upstream, answer, cx).map(Step::Heard)
        });
        match within(worker.settings.stall_timeout, step).await {
            Err(_) => {
                return Some(UploadEnd::Failed {
                    unsent: false,
                    kind: UpstreamErrorKind::Stalled,
                    reason: Reason::Stalled,
                });
            }
            Ok(Step::Own(Ok(()))) => return None,
            Ok(Step::Progress) => {}
            // An answer may already be waiting: upstream that refuses a body answers, then closes.
            Ok(Step::Own(Err(_))) if outgoing.written() > 0 || !unsent => {
                return Some(UploadEnd::Answered);
            }
            Ok(Step::Own(Err(_))) => {
                return Some(UploadEnd::Failed {
                    unsent: true,
                    kind: UpstreamErrorKind::Reset,
                    reason: Reason::UpstreamClosed,
                });
            }
            Ok(Step::Heard(heard)) => {
                if let Some(end) = after_hearing(answer, &heard, unsent && outgoing.written() == 0)
                {
                    return Some(end);
                }
            }
        }
    }
}

fn poll_answer(
    upstream: &mut Stream,
    answer: &mut Answer<'_>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Filled>> {
    answer.poll_fill(upstream, cx)
}

/// An interim answer lets the upload go on; anything final ends it.
fn after_hearing(
    answer: &mut Answer<'_>,
    heard: &io::Result<Filled>,
    unsent: bool,
) -> Option<UploadEnd> {
    match heard {
        Ok(Filled::Bytes) if answer.is_interim_so_far() => None,
        Ok(Filled::Bytes) => Some(UploadEnd::Answered),
        Ok(Filled::Closed) | Err(_) if answer.is_untouched() => Some(UploadEnd::Failed {
            unsent,
            kind: if matches!(heard, Ok(Filled::Closed)) {
                UpstreamErrorKind::Closed
            } else {
                UpstreamErrorKind::Reset
            },
            reason: Reason::UpstreamClosed,
        }),
        Ok(Filled::Closed) | Err(_) => Some(UploadEnd::Answered),
    }
}
