//! The two kinds of data sockets, and reading and writing them in few system calls.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

use super::buffers::Buffer;

/// A connection in either direction. One type, so that both share every helper below.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Makes the close that follows a reset, so that the peer cannot take a cut body for a whole.
    pub(super) fn reset_on_close(&self) {
        if let Self::Tcp(tcp) = self {
            // Failing leaves an ordinary close: the length or the last chunk still tells.
            drop(socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO)));
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(into);
        let polled = match self {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, &mut into),
            Self::Unix(s) => Pin::new(s).poll_read(cx, &mut into),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_read(cx, &mut into),
        };
        polled.map_ok(|()| into.filled().len())
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(s) => Pin::new(s).poll_write_vectored(cx, parts),
            Self::Unix(s) => Pin::new(s).poll_write_vectored(cx, parts),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_write_vectored(cx, parts),
        }
    }

    /// Pushes out what TLS holds back; a plain socket holds nothing.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_flush(cx),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_shutdown(cx),
        }
    }
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// At least one byte is new.
    Bytes,
    /// The peer closed its side.
    Closed,
}

/// Reads what is there until the buffer is full or the socket empty. Pending only when nothing is
/// new. A full buffer with nothing read yet is a caller's mistake and reported as `Bytes`.
pub(super) fn poll_fill(
    stream: &mut Stream,
    buffer: &mut Buffer,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Filled>> {
    let mut any = false;
    while !buffer.is_full() {
        match stream.poll_read(cx, buffer.space()) {
            Poll::Ready(Ok(0)) if any => break, // the next call sees the close again
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Filled::Closed)),
            Poll::Ready(Ok(n)) => {
                buffer.filled(n);
                any = true;
            }
            Poll::Ready(Err(_)) if any => break, // the next call sees the error again
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Pending if any => break,
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(Filled::Bytes))
}

/// Two slices that are written as one, and how much of them is out.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    first: &'a [u8],
    second: &'a [u8],
    written: usize,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(first: &'a [u8], second: &'a [u8]) -> Self {
        Self { first, second, written: 0 }
    }

    /// Bytes the socket took so far.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Writes until everything is out and flushed. Progress is kept between calls.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let total = self.first.len() + self.second.len();
        while self.written < total {
            let first = self.first.get(self.written..).unwrap_or_default();
            let second_at = self.written.saturating_sub(self.first.len());
            let second = self.second.get(second_at..).unwrap_or_default();
            let parts = [IoSlice::new(first), IoSlice::new(second)];
            let parts = if first.is_empty() { parts.get(1..).unwrap_or_default() } else { &parts };
            match stream.poll_write(cx, parts) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.written += n,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return Poll::Pending,
            }
        }
        stream.poll_flush(cx)
    }
}
