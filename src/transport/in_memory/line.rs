//! An end of a connection in the hands of whoever plays client or upstream.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice},
};

use super::Socket;

/// Reads and writes may wait at the same time, in one task.
#[derive(Debug)]
pub(in crate::transport) struct Line(RefCell<Socket>);

impl Line {
    pub(in crate::transport) fn over(socket: Socket) -> Self {
        Self(RefCell::new(socket))
    }

    /// Some bytes, 0 at the peer's orderly end.
    ///
    /// # Errors
    /// The peer's reset, once.
    pub(in crate::transport) async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.0.borrow_mut().poll_read(cx, into)).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The peer is gone.
    pub(in crate::transport) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n =
                poll_fn(|cx| self.0.borrow_mut().poll_write(cx, &[IoSlice::new(bytes)])).await?;
            bytes = bytes.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Puts `bytes` on the way at once, however little room there is.
    #[cfg(test)]
    pub(in crate::transport) fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().push(bytes);
    }

    /// Nothing more comes from this side.
    pub(in crate::transport) fn shut_down(&self) {
        self.0.borrow_mut().shut_down();
    }

    /// Goes with a reset, whatever is unread.
    #[cfg(test)]
    pub(in crate::transport) fn reset(self) {
        self.0.borrow_mut().reset_on_close(true);
    }
}
