//! Bodies that are held before they are sent: to be digested, or to be sent again if need be.

use std::future::poll_fn;

use crate::{
    http1::{Body, BodyDecoder, BodyEvent},
    proxy::{self, Reason, Refused},
};

use super::{
    buffers::SMALL,
    exchange::Exchange,
    hear::ClientGone,
    pace::{Pace, TooSlow},
    prepare::ClientSide,
    stream::{Filled, Outgoing, poll_fill, write_out},
};

/// Why a body was not held.
pub(super) enum HoldEnd {
    ClientGone,
    Refused(Refused),
}

impl Exchange<'_> {
    /// Reads the whole body (bounded) out of the inbox and the connection.
    pub(super) async fn hold_body(&mut self, side: ClientSide) -> Result<Vec<u8>, HoldEnd> {
        let settings = &self.worker.settings;
        let most = settings.held_body_bytes.max(settings.replay_body_bytes);
        let too_large = || HoldEnd::Refused(Reason::HeldBodyTooLarge.refused());
        if matches!(side.body, Body::Length(n) if n > most as u64) {
            return Err(too_large());
        }
        if self.say_continue(side).await.is_err() {
            return Err(HoldEnd::ClientGone);
        }
        let mut decoder = BodyDecoder::new(side.body);
        let mut body = Vec::new();
        loop {
            let input = self.inbox.unread().get(self.head_len..).unwrap_or_default();
            match decoder.decode(input) {
                Err(fault) => return Err(HoldEnd::Refused(fault.into())),
                Ok(BodyEvent::Data { start, end }) => {
                    let data = input.get(start..end).unwrap_or_default();
                    if body.len() + data.len() > most {
                        return Err(too_large());
                    }
                    body.extend_from_slice(data);
                    self.record.request_bytes(end - start);
                    self.inbox.remove(self.head_len, end);
                }
                Ok(BodyEvent::End { consumed }) => {
                    self.inbox.remove(self.head_len, consumed);
                    return Ok(body);
                }
                Ok(BodyEvent::NeedMore) => {
                    self.inbox.remove(self.head_len, usize::MAX);
                    self.inbox.make_room(self.head_len + SMALL);
                    let read = poll_fn(|cx| poll_fill(self.client, &mut self.inbox, cx));
                    match self.pace.wait(read).await {
                        Ok(Ok(Filled::Bytes)) => {
                            self.pace.moved(self.inbox.unread().len() - self.head_len);
                        }
                        Ok(Ok(Filled::Closed) | Err(_)) => return Err(HoldEnd::ClientGone),
                        Err(TooSlow) => {
                            return Err(HoldEnd::Refused(Reason::BodyTimeout.refused()));
                        }
                    }
                }
            }
        }
    }

    /// Lets a client that asked first send its body; once, and not if the body is here already.
    pub(super) async fn say_continue(&mut self, side: ClientSide) -> Result<(), ClientGone> {
        let body_is_here = self.inbox.unread().len() > self.head_len;
        if !side.expects_continue
            || body_is_here
            || self.continued
            || side.body == Body::None
            || side.body == Body::Length(0)
        {
            return Ok(());
        }
        self.continued = true;
        let line = Outgoing::new(proxy::continue_100(), b"");
        let written = write_out(line, self.client, &mut Pace::of(&self.worker.settings)).await;
        written.map_err(|_gone| ClientGone)
    }
}
