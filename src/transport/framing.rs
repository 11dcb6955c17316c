//! Takes a body out of the bytes of one connection and frames it for the other.

use std::ops::Range;

use crate::{
    explain,
    http1::{Body, BodyDecoder, BodyEvent, BodyFault, write_chunk_head, write_last_chunk},
};

/// What the input held of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where the data is within the input; meaningful when it goes on as it is.
    pub(super) data: Range<usize>,
    /// Bytes of data.
    pub(super) len: usize,
    /// Bytes of the input that are used up.
    pub(super) consumed: usize,
    /// The body is complete.
    pub(super) done: bool,
}

/// How a body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Its data as it is.
    Plain,
    /// In chunks; the trailers end here, since COS gives those of a request no meaning.
    Chunks,
    /// In chunks, with the trailers.
    ChunksAndTrailers,
}

impl Framing {
    /// For a request's body on its way up.
    pub(super) fn up(body: Body) -> Self {
        if body == Body::Chunked { Self::Chunks } else { Self::Plain }
    }

    /// For an answer's body on its way down.
    pub(super) fn down(body: Body) -> Self {
        if body == Body::Chunked { Self::ChunksAndTrailers } else { Self::Plain }
    }
}

/// Takes the next piece out of `input`. With chunks, everything that `input` holds is appended to
/// `framed`; plain data stays where it is, and comes in several pieces if it arrived in chunks.
/// The beginning of the data is copied to `heard`, if that is given.
pub(super) fn next_piece(
    decoder: &mut BodyDecoder,
    input: &[u8],
    framing: Framing,
    framed: &mut Vec<u8>,
    mut heard: Option<&mut Vec<u8>>,
) -> Result<Piece, BodyFault> {
    let mut piece = Piece::default();
    loop {
        let rest = input.get(piece.consumed..).unwrap_or_default();
        match decoder.decode(rest)? {
            BodyEvent::Data { start, end } => {
                let data = rest.get(start..end).unwrap_or_default();
                piece.data = piece.consumed + start..piece.consumed + end;
                piece.len += data.len();
                piece.consumed += end;
                if let Some(heard) = &mut heard {
                    let room = explain::ERROR_BYTES.saturating_sub(heard.len());
                    heard.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                }
                if framing != Framing::Plain {
                    write_chunk_head(data.len(), framed);
                    framed.extend_from_slice(data);
                    framed.extend_from_slice(b"\r\n");
                } else if decoder.remaining() != Some(0) {
                    return Ok(piece);
                }
            }
            BodyEvent::NeedMore => {
                piece.consumed = input.len();
                return Ok(piece);
            }
            BodyEvent::End { consumed } => {
                piece.consumed += consumed;
                piece.done = true;
                match framing {
                    Framing::Plain => {}
                    Framing::Chunks => write_last_chunk(b"", framed),
                    Framing::ChunksAndTrailers => write_last_chunk(decoder.trailers(), framed),
                }
                return Ok(piece);
            }
        }
    }
}
