//! The two kinds of data sockets, and reading and writing them in few system calls.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

#[cfg(any(test, feature = "in-memory"))]
use super::in_memory::Socket;
use super::{
    buffers::Buffer,
    pace::{Pace, TooSlow},
    tls::TlsSocket,
};

/// A connection in either direction. One type, so that both share every helper below.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsSocket>),
    #[cfg(any(test, feature = "in-memory"))]
    Memory(Socket),
}

impl Stream {
    /// Whether the close that follows is a reset, so that the peer cannot take a cut body for a
    /// whole one. Only TCP has resets.
    pub(super) fn reset_on_close(&mut self, reset: bool) {
        if let Self::Tcp(tcp) = self {
            // Failing leaves an ordinary close: the length or the last chunk still tells.
            let linger = reset.then_some(Duration::ZERO);
            drop(socket2::SockRef::from(&*tcp).set_linger(linger));
        }
        #[cfg(any(test, feature = "in-memory"))]
        if let Self::Memory(s) = self {
            s.reset_on_close(reset);
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
            Self::Tls(s) => return s.poll_read(cx, into.initialize_unfilled()),
            #[cfg(any(test, feature = "in-memory"))]
            Self::Memory(s) => return s.poll_read(cx, into.initialize_unfilled()),
        };
        polled.map_ok(|()| into.filled().len())
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, parts) {
            // One slice costs less as `send` than as `writev`.
            (Self::Tcp(s), [whole]) => Pin::new(s).poll_write(cx, whole),
            (Self::Unix(s), [whole]) => Pin::new(s).poll_write(cx, whole),
            (Self::Tcp(s), _) => Pin::new(s).poll_write_vectored(cx, parts),
            (Self::Unix(s), _) => Pin::new(s).poll_write_vectored(cx, parts),
            (Self::Tls(s), _) => s.poll_write(cx, parts),
            #[cfg(any(test, feature = "in-memory"))]
            (Self::Memory(s), _) => s.poll_write(cx, parts),
        }
    }

    /// Pushes out what TLS holds back; a plain socket holds nothing.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(s) => s.poll_flush(cx),
            #[cfg(any(test, feature = "in-memory"))]
            Self::Memory(_) => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => s.poll_shutdown(cx),
            #[cfg(any(test, feature = "in-memory"))]
            Self::Memory(s) => {
                s.shut_down();
                Poll::Ready(Ok(()))
            }
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

/// Reads what is there: from a plain socket with one call, from TLS record by record until the
/// buffer is full. Pending only when nothing is new. A full buffer with nothing read yet is a
/// caller's mistake and reported as `Bytes`.
///
/// A plain socket tells of a reset once; after that it looks like an orderly end. So nothing may
/// be asked of it whose answer could not be passed on.
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
                if !matches!(stream, Stream::Tls(_)) {
                    break;
                }
            }
            Poll::Ready(Err(_)) if any => break, // TLS tells its errors again
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Pending if any => break,
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(Filled::Bytes))
}

/// Looks after a client that waits for its answer: what it sends meanwhile goes to `inbox` while
/// there is room. Ready once it has left.
pub(super) fn poll_gone(client: &mut Stream, inbox: &mut Buffer, cx: &mut Context<'_>) -> Poll<()> {
    while !inbox.is_full() {
        match poll_fill(client, inbox, cx) {
            Poll::Ready(Ok(Filled::Bytes)) => {}
            Poll::Ready(Ok(Filled::Closed) | Err(_)) => return Poll::Ready(()),
            Poll::Pending => break,
        }
    }
    Poll::Pending
}

/// A body up to this is copied behind its head: cheaper than a system call with two slices.
pub(super) const COPIED: usize = 4096;

/// Bytes on their way into a socket.
pub(super) trait Sending {
    /// Bytes the socket took so far.
    fn written(&self) -> usize;

    /// Writes until everything is out and flushed. Progress is kept between calls.
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
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
}

impl Sending for Outgoing<'_> {
    fn written(&self) -> usize {
        self.written
    }

    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let total = self.first.len() + self.second.len();
        while self.written < total {
            let first = self.first.get(self.written..).unwrap_or_default();
            let second_at = self.written.saturating_sub(self.first.len());
            let second = self.second.get(second_at..).unwrap_or_default();
            let parts = [IoSlice::new(first), IoSlice::new(second)];
            let parts = match (first.is_empty(), second.is_empty()) {
                (true, _) => parts.get(1..).unwrap_or_default(),
                (false, true) => parts.get(..1).unwrap_or_default(),
                (false, false) => &parts,
            };
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

/// Writes everything to a client and flushes.
///
/// # Errors
/// Of the socket; `TimedOut` when the client took too little for its pace.
pub(super) async fn write_out(
    mut outgoing: impl Sending,
    client: &mut Stream,
    pace: &mut Pace,
) -> io::Result<()> {
    loop {
        let before = outgoing.written();
        let step = poll_fn(|cx| match outgoing.poll(client, cx) {
            Poll::Pending if outgoing.written() > before => Poll::Ready(Ok(false)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(written) => Poll::Ready(written.map(|()| true)),
        });
        let done = pace.wait(step).await.map_err(|TooSlow| io::ErrorKind::TimedOut)??;
        pace.moved(outgoing.written() - before);
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_slow_but_reads_is_waited_for() {
        const STALL: Duration = Duration::from_secs(60);
        let body = vec![7; 4 << 20];
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut ours = Stream::Unix(ours);
        let reading = async {
            let (mut read, mut piece) = (0, vec![0; 1 << 20]);
            while read < body.len() {
                tokio::time::sleep(STALL / 2).await;
                while let Ok(n @ 1..) = theirs.try_read(&mut piece) {
                    read += n;
                }
            }
        };
        let mut pace = Pace::new(STALL, 256);
        let (written, ()) =
            tokio::join!(write_out(Outgoing::new(&body, b""), &mut ours, &mut pace), reading);
        written.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut ours = Stream::Unix(ours);
        let body = vec![7; 4 << 20];
        let mut pace = Pace::new(Duration::from_secs(60), 256);
        let written = write_out(Outgoing::new(&body, b""), &mut ours, &mut pace);
        assert_eq!(written.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
