//! Bodies: where data begins and ends in the bytes that arrive.

use super::{Body, BodyFault, chunked::Chunked};

/// Follows one body through the bytes of its connection.
///
/// A state machine over bytes: it keeps what it needs of a framing line cut in two, so callers
/// never present a byte twice. Data is never copied.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    /// What went wrong, told again to whoever asks again.
    Broken(BodyFault),
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEvent {
    /// `input[start..end]` is data, never empty; call again with `input[end..]`.
    Data {
        /// First byte of data.
        start: usize,
        /// One past the last byte of data.
        end: usize,
    },
    /// All of `input` was framing or is used up; read more.
    NeedMore,
    /// The body ended; `input[consumed..]` belongs to the next message.
    End {
        /// Bytes of `input` that belonged to this body.
        consumed: usize,
    },
}

impl BodyDecoder {
    /// A decoder at the first byte after a request's head. Trailers must not carry `x-cos-` or
    /// `x-ci-` fields: they would reach COS unsigned.
    #[must_use]
    pub fn new(body: Body) -> Self {
        Self::with(body, Chunked::of_request())
    }

    /// The same for an answer, whose trailers may carry `x-cos-` and `x-ci-` fields.
    #[must_use]
    pub fn of_answer(body: Body) -> Self {
        Self::with(body, Chunked::of_answer())
    }

    fn with(body: Body, chunked: Chunked) -> Self {
        let state = match body {
            Body::None => State::Length(0),
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Chunked(chunked),
            Body::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Whether the body is complete: no further byte belongs to it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Length(left) => *left == 0,
            State::Chunked(chunked) => chunked.is_done(),
            State::UntilClose | State::Broken(_) => false,
        }
    }

    /// Bytes of data still to come, where that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match &self.state {
            State::Length(left) => Some(*left),
            State::Chunked(_) | State::UntilClose | State::Broken(_) => None,
        }
    }

    /// Classifies the next bytes. Every byte of `input` up to the event's end is consumed; the
    /// decoder never needs them again.
    ///
    /// # Errors
    /// [`BodyFault`] when the framing is broken; from then on always the same.
    pub fn decode(&mut self, input: &[u8]) -> Result<BodyEvent, BodyFault> {
        let event = match &mut self.state {
            State::Length(0) => Ok(BodyEvent::End { consumed: 0 }),
            State::Length(left) => Ok(take_data(left, input, 0)),
            State::Chunked(chunked) => chunked.decode(input),
            State::UntilClose if input.is_empty() => Ok(BodyEvent::NeedMore),
            State::UntilClose => Ok(BodyEvent::Data { start: 0, end: input.len() }),
            State::Broken(fault) => Err(*fault),
        };
        event.inspect_err(|&fault| self.state = State::Broken(fault))
    }

    /// The next `n` bytes of data pass by another way, unseen. Only for a body of known length,
    /// and no more than [`BodyDecoder::remaining`].
    pub fn skip(&mut self, n: usize) {
        match &mut self.state {
            State::Length(left) if n as u64 <= *left => *left -= n as u64,
            State::Length(_) | State::Chunked(_) | State::UntilClose | State::Broken(_) => {
                debug_assert!(false, "{n} bytes that are not this body's");
                self.state = State::Broken(BodyFault::Truncated);
            }
        }
    }

    /// The trailer section of a chunked body, raw lines with CRLF, once [`BodyEvent::End`] came.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        match &self.state {
            State::Chunked(chunked) => chunked.trailers(),
            State::Length(_) | State::UntilClose | State::Broken(_) => &[],
        }
    }

    /// The sender closed its side: [`BodyDecoder::is_done`] from now on, unless it fails.
    ///
    /// # Errors
    /// [`BodyFault`] if the body was not complete; `Ok` for `UntilClose` and complete bodies.
    pub fn close(&mut self) -> Result<(), BodyFault> {
        match &self.state {
            State::Broken(fault) => return Err(*fault),
            State::UntilClose => self.state = State::Length(0),
            State::Length(_) | State::Chunked(_) if self.is_done() => {}
            State::Length(_) | State::Chunked(_) => {
                self.state = State::Broken(BodyFault::Truncated);
                return Err(BodyFault::Truncated);
            }
        }
        Ok(())
    }
}

/// Takes up to `left` bytes of data from `input[start..]`.
pub(super) fn take_data(left: &mut u64, input: &[u8], start: usize) -> BodyEvent {
    let available = input.len() - start;
    if available == 0 {
        return BodyEvent::NeedMore;
    }
    let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= taken as u64;
    BodyEvent::Data { start, end: start + taken }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_counted_down_and_then_ends() {
        let mut decoder = BodyDecoder::new(Body::Length(5));
        assert_eq!(decoder.decode(b""), Ok(BodyEvent::NeedMore));
        assert_eq!(decoder.decode(b"abc"), Ok(BodyEvent::Data { start: 0, end: 3 }));
        assert_eq!((decoder.remaining(), decoder.is_done()), (Some(2), false));
        assert_eq!(decoder.decode(b"deGET"), Ok(BodyEvent::Data { start: 0, end: 2 }));
        assert!(decoder.is_done());
        assert_eq!(decoder.decode(b"GET"), Ok(BodyEvent::End { consumed: 0 }));
        assert_eq!(decoder.close(), Ok(()));
    }

    #[test]
    fn only_a_body_until_close_may_be_ended_by_closing() {
        let mut until_close = BodyDecoder::of_answer(Body::UntilClose);
        assert_eq!(until_close.decode(b""), Ok(BodyEvent::NeedMore));
        assert_eq!(until_close.decode(b"ab"), Ok(BodyEvent::Data { start: 0, end: 2 }));
        assert_eq!((until_close.close(), until_close.is_done()), (Ok(()), true));

        for body in [Body::Length(1), Body::Chunked] {
            let mut cut = BodyDecoder::new(body);
            assert_eq!(cut.close(), Err(BodyFault::Truncated));
            assert_eq!(cut.decode(b"x"), Err(BodyFault::Truncated));
        }
        assert_eq!(BodyDecoder::new(Body::None).close(), Ok(()));
    }

    #[test]
    fn a_broken_body_stays_broken() {
        let mut decoder = BodyDecoder::new(Body::Chunked);
        assert_eq!(decoder.decode(b"x\r\n"), Err(BodyFault::ChunkSize));
        assert_eq!(decoder.decode(b"0\r\n\r\n"), Err(BodyFault::ChunkSize));
        assert_eq!(decoder.close(), Err(BodyFault::ChunkSize));
        assert!(!decoder.is_done());
    }
}
