//! Keeps the beginning of an error's body back until it can be judged. Nothing of it is lost: the
//! bytes stay in the answer's buffer and go on to the client as they came.

use tokio::time::Instant;

use crate::{
    http1::{Body, BodyDecoder, BodyEvent},
    metrics::UpstreamErrorKind,
    proxy,
};

use super::{
    answer::{Answer, BodyEnd, More},
    buffers::Buffer,
    stream::Stream,
};

/// However an error's body is framed, no more bytes of it than this are kept back.
const KEPT_BACK: usize = 8 * proxy::ERROR_BYTES;

/// The client left while we listened.
pub(super) struct ClientGone;

/// What has come of a body.
struct Beginning {
    data: Vec<u8>,
    /// The body is complete.
    whole: bool,
    /// It is complete, and no byte that is nobody's follows it.
    clean: bool,
}

impl Answer<'_> {
    /// The beginning of the body: enough to judge an error by, or all there is, or what came until
    /// the connection ended or stalled.
    pub(super) async fn hear(
        &mut self,
        upstream: &mut Stream,
        client: &mut Stream,
        inbox: &mut Buffer,
    ) -> Result<Vec<u8>, ClientGone> {
        let mut quiet_since = Instant::now();
        let late = quiet_since + self.worker.settings.stall_timeout;
        loop {
            let beginning = self.beginning();
            let judgeable = beginning.whole || beginning.data.len() >= proxy::ERROR_BYTES;
            if judgeable || self.kept_back() >= KEPT_BACK {
                return Ok(beginning.data);
            }
            let end = match self.more(upstream, client, inbox, late).await {
                More::Bytes => {
                    quiet_since = Instant::now();
                    continue;
                }
                More::ClientGone => return Err(ClientGone),
                More::Late => {
                    self.quiet_since = Some(quiet_since);
                    None
                }
                More::Closed => Some(BodyEnd::Cut(UpstreamErrorKind::Truncated)),
                More::Reset => Some(BodyEnd::Cut(UpstreamErrorKind::Reset)),
            };
            self.ended = end;
            return Ok(beginning.data);
        }
    }

    /// The answer is complete and its connection clean, although not a byte of it went on.
    pub(super) fn is_done_with(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.keep_alive)
            && self.ended.is_none()
            && self.beginning().clean
    }

    fn kept_back(&self) -> usize {
        let head_len = self.head.as_ref().map_or(0, |head| head.len);
        self.buffer.unread().len().saturating_sub(head_len)
    }

    fn beginning(&self) -> Beginning {
        let (len, body) = self.head.as_ref().map_or((0, Body::None), |head| (head.len, head.body));
        let mut rest = self.buffer.unread().get(len..).unwrap_or_default();
        let mut decoder = BodyDecoder::of_answer(body);
        let mut data = Vec::new();
        loop {
            match decoder.decode(rest) {
                Ok(BodyEvent::Data { start, end }) => {
                    data.extend_from_slice(rest.get(start..end).unwrap_or_default());
                    rest = rest.get(end..).unwrap_or_default();
                }
                Ok(BodyEvent::NeedMore) => return Beginning { data, whole: false, clean: false },
                Ok(BodyEvent::End { consumed }) => {
                    return Beginning { data, whole: true, clean: consumed == rest.len() };
                }
                // Its framing is broken: nothing more can be learnt from it.
                Err(_) => return Beginning { data, whole: true, clean: false },
            }
        }
    }
}
