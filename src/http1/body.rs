//! Bodies: where data begins and ends in the bytes that arrive.

use super::{Body, BodyFault};

/// Follows one body through the bytes of its connection.
#[derive(Debug)]
pub struct BodyDecoder {
    body: Body,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEvent {
    /// `input[start..end]` is data; call again with `input[end..]`.
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
    /// A decoder at the first byte after the head.
    #[must_use]
    pub fn new(body: Body) -> Self {
        Self { body }
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        unimplemented!()
    }

    /// Bytes still to come, where that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.body {
            Body::None => Some(0),
            Body::Length(n) => Some(n),
            Body::Chunked | Body::UntilClose => None,
        }
    }

    /// Classifies the next bytes. Every byte of `input` up to the event's end is consumed; the
    /// decoder never needs them again.
    ///
    /// # Errors
    /// [`BodyFault`] when the framing is broken.
    pub fn decode(&mut self, _input: &[u8]) -> Result<BodyEvent, BodyFault> {
        unimplemented!()
    }

    /// The trailer section of a chunked body, raw lines with CRLF, once [`BodyEvent::End`] came.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        &[]
    }

    /// The sender closed its side.
    ///
    /// # Errors
    /// [`BodyFault`] if the body was not complete; `Ok` for `UntilClose` and complete bodies.
    pub fn close(&mut self) -> Result<(), BodyFault> {
        unimplemented!()
    }
}

/// Appends the size line of a chunk of `len` bytes (`len` > 0).
pub fn write_chunk_head(_len: usize, _out: &mut Vec<u8>) {
    unimplemented!()
}

/// Appends the last chunk, `trailers` (raw lines with CRLF, may be empty) and the blank line.
pub fn write_last_chunk(_trailers: &[u8], _out: &mut Vec<u8>) {
    unimplemented!()
}
