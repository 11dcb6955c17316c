//! The way down: the head of the answer, then its body, as upstream sends it.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    task::{Context, Poll},
    time::{Duration, UNIX_EPOCH},
};

use tokio::time::{Instant, error::Elapsed, timeout_at};

use crate::{
    clock::Timestamp,
    http1::{
        self, AnswerTo, Body, BodyDecoder, FieldSlots, HeadScan, HeadScanner, Limits,
        write_last_chunk,
    },
    metrics::UpstreamErrorKind,
    proxy::{self, Answered, Reason},
};

use super::{
    buffers::{Buffer, SMALL},
    deadline::within,
    framing::{Framing, next_piece},
    pace::Pace,
    rare::rarely,
    record::Record,
    splice::Pipe,
    stream::{COPIED, Filled, Outgoing, Sending, Stream, poll_fill, poll_gone, write_out},
    turn::Share,
    worker::Worker,
};

/// Bounds on what upstream may send as one head; COS's own heads are far smaller.
const LIMITS: Limits = Limits { head_bytes: 64 * 1024, fields: 128, target_bytes: 0 };
/// Interim answers (1xx) that are skipped before the real one.
const INTERIM_MOST: usize = 8;

/// An answer as it arrives.
pub(super) struct Answer<'w> {
    pub(super) worker: &'w Worker,
    to: Answered,
    pub(super) buffer: Buffer,
    scanner: HeadScanner,
    touched: bool,
    interim: usize,
    pub(super) head: Option<Head>,
    /// The head as it goes to the client, but for its end.
    out: Vec<u8>,
    /// When the request was out.
    asked_at: Option<Instant>,
    /// How the connection ended while the body was kept back: a socket tells that only once.
    pub(super) ended: Option<BodyEnd>,
    /// When the last byte came, if a wait for more was given up since.
    pub(super) quiet_since: Option<Instant>,
    /// The beginning of an error's body, which may say that the signature is the problem.
    heard: Option<Vec<u8>>,
}

/// What the head of the final answer said.
pub(super) struct Head {
    status: u16,
    pub(super) len: usize,
    pub(super) body: Body,
    /// How the body goes to the client.
    to_client: Body,
    pub(super) keep_alive: bool,
}

/// What came while waiting for more of an answer.
pub(super) enum More {
    Bytes,
    Closed,
    Reset,
    Late,
    ClientGone,
}

/// Why there is no answer.
pub(super) enum AnswerEnd {
    ClientGone,
    Failed { kind: UpstreamErrorKind, reason: Reason },
}

/// Why an answer was not brought down whole.
pub(super) enum BodyEnd {
    ClientGone,
    /// The client reads too slowly.
    TooSlow,
    Cut(UpstreamErrorKind),
}

/// What both connections are good for after a whole answer.
pub(super) struct Down {
    pub(super) upstream_reusable: bool,
    pub(super) client_kept: bool,
}

impl<'w> Answer<'w> {
    pub(super) fn new(worker: &'w Worker, to: Answered) -> Self {
        Self {
            worker,
            to,
            buffer: Buffer::default(),
            scanner: HeadScanner::default(),
            touched: false,
            interim: 0,
            head: None,
            out: Vec::new(),
            asked_at: None,
            ended: None,
            quiet_since: None,
            heard: None,
        }
    }

    /// Not one byte of an answer arrived.
    pub(super) fn is_untouched(&self) -> bool {
        !self.touched
    }

    pub(super) fn is_to_head(&self) -> bool {
        self.to.to_head
    }

    pub(super) fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    /// COS's request id, for the access line.
    pub(super) fn request_id(&self) -> Option<&[u8]> {
        if !self.worker.settings.access_log {
            return None;
        }
        self.field("x-cos-request-id")
    }

    /// The server's time, if the answer is COS's own.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.field("x-cos-request-id")?;
        let text = std::str::from_utf8(self.field("date")?).ok()?;
        let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Timestamp::from_unix_seconds(since_epoch.as_secs()))
    }

    /// From the end of the request to the head of the answer.
    pub(super) fn round_trip(&self, answered_at: Instant) -> Duration {
        self.asked_at.map_or(Duration::MAX, |asked_at| answered_at.duration_since(asked_at))
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let len = self.head.as_ref()?.len;
        let mut slots: FieldSlots<'_> = [const { MaybeUninit::uninit() }; 128];
        let head = self.buffer.unread().get(..len)?;
        http1::read_response(head, &mut slots, &LIMITS, self.answer_to()).ok()?.field(name)
    }

    /// The beginning of an error's body, once it was brought down.
    pub(super) fn heard(&self) -> Option<&[u8]> {
        self.heard.as_deref()
    }

    /// Reads into the answer's buffer, which exists only from the first byte on.
    pub(super) fn poll_fill(
        &mut self,
        upstream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Filled>> {
        if self.buffer.room() == 0 {
            let mut buffer = self.worker.buffers.small();
            let polled = poll_fill(upstream, &mut buffer, cx);
            if matches!(polled, Poll::Ready(Ok(Filled::Bytes))) {
                self.touched = true;
                self.buffer = buffer;
            } else {
                self.worker.buffers.give(buffer);
            }
            return polled;
        }
        if self.buffer.is_full() {
            let room = (self.buffer.room() * 2).min(LIMITS.head_bytes + 1);
            self.buffer.make_room(room);
        }
        poll_fill(upstream, &mut self.buffer, cx)
    }

    /// Whether what arrived can still be an interim answer: complete ones are dropped on the way.
    pub(super) fn is_interim_so_far(&mut self) -> bool {
        matches!(self.take_head(), Ok(false))
    }

    /// Brings the head of the final answer. Bytes the client sends meanwhile (its next requests)
    /// go to `inbox` while there is room; its close ends the waiting.
    pub(super) async fn head(
        &mut self,
        upstream: &mut Stream,
        client: &mut Stream,
        inbox: &mut Buffer,
    ) -> Result<(), AnswerEnd> {
        let settings = &self.worker.settings;
        let asked_at = Instant::now();
        self.asked_at = Some(asked_at);
        let (mut late, mut late_as) = (
            asked_at + settings.first_byte_timeout,
            (UpstreamErrorKind::FirstByteTimeout, Reason::UpstreamFirstByteTimeout),
        );
        let mut begun = false;
        loop {
            match self.take_head() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(()) => {
                    return Err(AnswerEnd::Failed {
                        kind: UpstreamErrorKind::Malformed,
                        reason: Reason::UpstreamMalformed,
                    });
                }
            }
            // Once begun, the head has one deadline as a whole, however it drips in.
            if !begun && !self.buffer.is_empty() {
                begun = true;
                late = Instant::now() + settings.stall_timeout;
                late_as = (UpstreamErrorKind::Stalled, Reason::Stalled);
            }
            let (kind, reason) = match self.more(upstream, client, inbox, late).await {
                More::Bytes => continue,
                More::ClientGone => return Err(AnswerEnd::ClientGone),
                More::Closed => (UpstreamErrorKind::Closed, Reason::UpstreamClosed),
                More::Reset => (UpstreamErrorKind::Reset, Reason::UpstreamClosed),
                More::Late => late_as,
            };
            return Err(AnswerEnd::Failed { kind, reason });
        }
    }

    /// Waits for more of the answer, with an eye on the client, which has heard nothing yet.
    pub(super) async fn more(
        &mut self,
        upstream: &mut Stream,
        client: &mut Stream,
        inbox: &mut Buffer,
        late: Instant,
    ) -> More {
        let step = poll_fn(|cx| {
            if let Poll::Ready(filled) = self.poll_fill(upstream, cx) {
                return Poll::Ready(match filled {
                    Ok(Filled::Bytes) => More::Bytes,
                    Ok(Filled::Closed) => More::Closed,
                    Err(_) => More::Reset,
                });
            }
            poll_gone(client, inbox, cx).map(|()| More::ClientGone)
        });
        timeout_at(late, step).await.unwrap_or(More::Late)
    }

    fn answer_to(&self) -> AnswerTo {
        if self.to.to_head { AnswerTo::Head } else { AnswerTo::Other }
    }

    /// `Ok(true)` once the final head is there; interim heads before it are dropped.
    fn take_head(&mut self) -> Result<bool, ()> {
        if self.head.is_some() {
            return Ok(true);
        }
        loop {
            if self.buffer.is_empty() {
                return Ok(false);
            }
            let len = match self.scanner.scan_response(self.buffer.unread(), &LIMITS) {
                Ok(HeadScan::Complete(len)) => len,
                Ok(HeadScan::NeedMore) => return Ok(false),
                Err(fault) => {
                    tracing::warn!(%fault, "upstream's answer is not acceptable");
                    return Err(());
                }
            };
            let mut slots: FieldSlots<'_> = [const { MaybeUninit::uninit() }; 128];
            let head = self.buffer.unread().get(..len).unwrap_or_default();
            let head = match http1::read_response(head, &mut slots, &LIMITS, self.answer_to()) {
                Ok(head) => head,
                Err(fault) => {
                    tracing::warn!(%fault, "upstream's answer is not acceptable");
                    return Err(());
                }
            };
            if head.status >= 200 {
                let (status, body, keep_alive) = (head.status, head.body, head.keep_alive);
                self.out = self.worker.buffers.head();
                let to_client = proxy::forward_head(&head, self.to, &mut self.out);
                self.heard = (400..500).contains(&status).then(Vec::new);
                self.head = Some(Head { status, len, body, to_client, keep_alive });
                return Ok(true);
            }
            self.interim += 1;
            if self.interim > INTERIM_MOST {
                tracing::warn!("upstream sent more than {INTERIM_MOST} interim answers");
                return Err(());
            }
            self.buffer.consume(len);
            self.scanner = HeadScanner::default();
        }
    }

    /// Writes head and body to the client.
    pub(super) async fn body(
        &mut self,
        upstream: &mut Stream,
        client: &mut Stream,
        record: &mut Record<'_>,
        keep: bool,
    ) -> Result<Down, BodyEnd> {
        let mut out = std::mem::take(&mut self.out);
        let result = self.bring(upstream, client, record, keep, &mut out).await;
        self.out = out;
        result
    }

    async fn bring(
        &mut self,
        upstream: &mut Stream,
        client: &mut Stream,
        record: &mut Record<'_>,
        keep: bool,
        out: &mut Vec<u8>,
    ) -> Result<Down, BodyEnd> {
        let Some(head) = self.head.take() else {
            return Err(BodyEnd::Cut(UpstreamErrorKind::Malformed));
        };
        let to_client = head.to_client;
        let how = Answered { keep_alive: self.to.keep_alive && keep, ..self.to };
        let client_kept = proxy::end_head(to_client, how, out);
        self.buffer.consume(head.len);
        let mut decoder = BodyDecoder::of_answer(head.body);
        let framing = Framing::down(to_client);
        if to_client == Body::UntilClose {
            // Only a reset can tell this client that the end is not the body's; taken back at its
            // true end, so that no way out of here can be mistaken for it.
            client.reset_on_close(true);
        }
        let reusable =
            self.bring_body(upstream, client, record, &mut decoder, framing, out).await?;
        if to_client == Body::UntilClose {
            client.reset_on_close(false);
        }
        Ok(Down { upstream_reusable: head.keep_alive && reusable, client_kept })
    }

    /// Brings the body; whether upstream's connection is clean after it.
    async fn bring_body(
        &mut self,
        upstream: &mut Stream,
        client: &mut Stream,
        record: &mut Record<'_>,
        decoder: &mut BodyDecoder,
        framing: Framing,
        out: &mut Vec<u8>,
    ) -> Result<bool, BodyEnd> {
        let mut pace = Pace::of(&self.worker.settings);
        loop {
            let input = self.buffer.unread();
            let piece = next_piece(decoder, input, framing, out, self.heard.as_mut());
            let piece = piece.map_err(|fault| {
                tracing::warn!(%fault, "the framing of upstream's body is broken");
                BodyEnd::Cut(UpstreamErrorKind::Malformed)
            })?;
            let direct = match framing {
                Framing::Plain => input.get(piece.data).unwrap_or_default(),
                Framing::Chunks | Framing::ChunksAndTrailers => &[],
            };
            let direct = if !out.is_empty() && direct.len() <= COPIED {
                out.extend_from_slice(direct);
                &[]
            } else {
                direct
            };
            if !out.is_empty() || !direct.is_empty() {
                bring(Outgoing::new(out, direct), client, &mut pace).await?;
                record.response_bytes(piece.len);
            }
            out.clear();
            self.buffer.consume(piece.consumed);
            if piece.done {
                break;
            }
            if !self.buffer.is_empty() {
                continue;
            }
            if let Some(pipe) = self.pipe(upstream, client, decoder)
                && rarely(self.splice_body(pipe, upstream, client, record, &mut pace, decoder))
                    .await?
            {
                break;
            }
            self.fit_buffer(decoder);
            if let Some(end) = self.read_on(upstream).await {
                let closed = matches!(end, BodyEnd::Cut(UpstreamErrorKind::Truncated));
                if !closed || decoder.close().is_err() {
                    return Err(end);
                }
                if framing != Framing::Plain {
                    write_last_chunk(b"", out);
                    bring(Outgoing::new(out, &[]), client, &mut pace).await?;
                }
                return Ok(false);
            }
        }
        // Bytes after the end are nobody's: such a connection is not used again.
        Ok(self.buffer.is_empty())
    }

    /// A pipe for the rest of the body, if it can go that way.
    fn pipe(&self, upstream: &Stream, client: &Stream, decoder: &BodyDecoder) -> Option<Pipe<'w>> {
        if self.heard.is_some() || self.ended.is_some() {
            return None;
        }
        self.worker.pipes.between(upstream, client, decoder.remaining())
    }

    /// Brings the rest of the body inside the kernel; whether that worked.
    async fn splice_body(
        &mut self,
        mut pipe: Pipe<'_>,
        upstream: &Stream,
        client: &mut Stream,
        record: &mut Record<'_>,
        pace: &mut Pace,
        decoder: &mut BodyDecoder,
    ) -> Result<bool, BodyEnd> {
        let worker = self.worker;
        worker.buffers.give(std::mem::take(&mut self.buffer));
        let mut share = Share::default();
        while let Some(left @ 1..) = decoder.remaining() {
            let read = poll_fn(|cx| pipe.poll_fill(upstream, left, cx));
            let n = match within(worker.settings.stall_timeout, read).await {
                Ok(Ok(n @ 1..)) => n,
                Ok(Err(refused)) if refused.kind() == io::ErrorKind::Unsupported => {
                    return Ok(false);
                }
                other => return Err(cut(&other.map(|read| read.map(|_| Filled::Closed)))),
            };
            decoder.skip(n);
            bring(pipe.drain(), client, pace).await?;
            record.response_bytes(n);
            share.take(n).await;
        }
        Ok(true)
    }

    /// Reads more of the body, or tells how it was cut; `Truncated` may also be its end.
    async fn read_on(&mut self, upstream: &mut Stream) -> Option<BodyEnd> {
        if let Some(end) = self.ended.take() {
            return Some(end);
        }
        let read = poll_fn(|cx| poll_fill(upstream, &mut self.buffer, cx));
        let quiet_since = self.quiet_since.take().unwrap_or_else(Instant::now);
        let late = quiet_since + self.worker.settings.stall_timeout;
        match timeout_at(late, read).await {
            Ok(Ok(Filled::Bytes)) => None,
            other => Some(cut(&other)),
        }
    }

    /// Swaps the small buffer for one that suits the rest of the body.
    fn fit_buffer(&mut self, decoder: &BodyDecoder) {
        // There is none after a body that could not be spliced.
        let none = self.buffer.room() == 0;
        let large = decoder.remaining().is_none_or(|n| n > 2 * SMALL as u64);
        if (none || large) && self.buffer.is_empty() && self.buffer.room() <= SMALL {
            let fitting = self.worker.buffers.for_body(decoder.remaining());
            self.worker.buffers.give(std::mem::replace(&mut self.buffer, fitting));
        }
    }
}

/// How a body ended before its time: by a read that brought nothing.
fn cut(read: &Result<io::Result<Filled>, Elapsed>) -> BodyEnd {
    BodyEnd::Cut(match read {
        Ok(Ok(_)) => UpstreamErrorKind::Truncated,
        Ok(Err(_)) => UpstreamErrorKind::Reset,
        Err(_) => UpstreamErrorKind::Stalled,
    })
}

async fn bring(bytes: impl Sending, client: &mut Stream, pace: &mut Pace) -> Result<(), BodyEnd> {
    write_out(bytes, client, pace).await.map_err(|failure| {
        let too_slow = failure.kind() == io::ErrorKind::TimedOut;
        if too_slow { BodyEnd::TooSlow } else { BodyEnd::ClientGone }
    })
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.worker.buffers.give(std::mem::take(&mut self.buffer));
        self.worker.buffers.give_head(std::mem::take(&mut self.out));
    }
}
