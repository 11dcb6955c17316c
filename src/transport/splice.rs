//! Bodies that pass from socket to socket inside the kernel, by way of a pipe: this process never
//! sees their bytes. Linux only.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use super::{
    shelf::Shelf,
    stream::{Sending, Stream},
};

/// A body with less than this still to come is copied: that takes as few calls.
pub(super) const LEAST: u64 = 64 * 1024;

/// What a pipe may hold. The kernel gives less to a user who has many; less works too.
const ROOM: usize = 1024 * 1024;

/// Pipes of one thread in use at once; further bodies are copied.
const MOST: usize = 256;

/// Pipes a thread keeps for reuse at most.
const KEPT: usize = 8;

/// The pipes of one data thread.
#[derive(Debug)]
pub(super) struct Pipes {
    idle: Shelf<Ends>,
    in_use: Cell<usize>,
    /// Off by the operator, or since the kernel refused.
    on: Cell<bool>,
}

impl Pipes {
    pub(super) fn new(on: bool) -> Self {
        Self { idle: Shelf::new(KEPT), in_use: Cell::new(0), on: Cell::new(on) }
    }

    /// A pipe for a body of which `remaining` bytes go from one socket to the other; `None` where
    /// it is to be copied.
    pub(super) fn between(
        &self,
        from: &Stream,
        to: &Stream,
        remaining: Option<u64>,
    ) -> Option<Pipe<'_>> {
        let worth_it = remaining.is_some_and(|left| left >= LEAST);
        if !worth_it || !self.on.get() || self.in_use.get() >= MOST {
            return None;
        }
        if plain(from).is_none() || plain(to).is_none() {
            return None;
        }
        let ends = self.idle.take().or_else(|| Ends::open().ok())?;
        self.in_use.set(self.in_use.get() + 1);
        Some(Pipe { pipes: self, ends: Some(ends), held: 0 })
    }

    /// Closes what was not needed since the last sweep.
    pub(super) fn sweep(&self) {
        self.idle.sweep(drop);
    }
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Ends {
    fn open() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A user has a limit over all pipes: then this one stays as small as it was born.
        let _: Result<_, _> = fcntl_setpipe_size(&write, ROOM);
        Ok(Self { read, write })
    }
}

/// A pipe in use by one body: kept for the next one if it is empty at the end.
#[derive(Debug)]
pub(super) struct Pipe<'p> {
    pipes: &'p Pipes,
    ends: Option<Ends>,
    /// Bytes that went in and are not out yet.
    held: usize,
}

impl Pipe<'_> {
    /// Takes up to `most` bytes from a socket into the empty pipe. 0: the peer closed its side.
    ///
    /// # Errors
    /// Of the socket; `Unsupported` when the kernel cannot do it, and then nothing was taken.
    pub(super) fn poll_fill(
        &mut self,
        from: &Stream,
        most: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        debug_assert_eq!(self.held, 0, "a full pipe and a silent socket would look the same");
        let (Some(ends), Some(from)) = (&self.ends, plain(from)) else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        let most = usize::try_from(most).map_or(ROOM, |most| most.min(ROOM));
        let polled =
            from.poll(Interest::READABLE, cx, |socket| move_bytes(socket, &ends.write, most));
        Poll::Ready(match ready!(polled) {
            Ok(n) => {
                self.held = n;
                Ok(n)
            }
            Err(refused) if cannot(&refused) => {
                self.pipes.on.set(false);
                tracing::info!(%refused, "the kernel does not splice these sockets; bodies are copied");
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(failure) => Err(failure),
        })
    }

    /// What is in the pipe, on its way out.
    pub(super) fn drain(&mut self) -> Drain<'_> {
        let (Some(ends), held) = (&self.ends, &mut self.held) else {
            unreachable!("the ends go when the pipe goes")
        };
        Drain { read: &ends.read, held, written: 0 }
    }
}

impl Drop for Pipe<'_> {
    fn drop(&mut self) {
        self.pipes.in_use.set(self.pipes.in_use.get() - 1);
        if let (0, Some(empty)) = (self.held, self.ends.take()) {
            self.pipes.idle.put(empty);
        }
    }
}

/// A pipe's bytes on their way into a socket.
#[derive(Debug)]
pub(super) struct Drain<'d> {
    read: &'d OwnedFd,
    held: &'d mut usize,
    written: usize,
}

impl Sending for Drain<'_> {
    fn written(&self) -> usize {
        self.written
    }

    fn poll(&mut self, to: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(to) = plain(to) else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        while *self.held > 0 {
            let moved =
                to.poll(Interest::WRITABLE, cx, |socket| move_bytes(self.read, socket, *self.held));
            match ready!(moved)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => {
                    *self.held = self.held.saturating_sub(n);
                    self.written += n;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A socket whose bytes the kernel may move.
#[derive(Clone, Copy)]
enum Plain<'s> {
    Tcp(&'s tokio::net::TcpStream),
    Unix(&'s tokio::net::UnixStream),
}

fn plain(stream: &Stream) -> Option<Plain<'_>> {
    match stream {
        Stream::Tcp(tcp) => Some(Plain::Tcp(tcp)),
        Stream::Unix(unix) => Some(Plain::Unix(unix)),
        Stream::Tls(_) => None,
        #[cfg(any(test, feature = "in-memory"))]
        Stream::Memory(_) => None,
    }
}

impl Plain<'_> {
    /// Tries as often as the socket is said to be ready; pending once it turns out not to be.
    fn poll(
        self,
        interest: Interest,
        cx: &mut Context<'_>,
        mut step: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(match (self, interest.is_readable()) {
                (Self::Tcp(tcp), true) => tcp.poll_read_ready(cx),
                (Self::Tcp(tcp), false) => tcp.poll_write_ready(cx),
                (Self::Unix(unix), true) => unix.poll_read_ready(cx),
                (Self::Unix(unix), false) => unix.poll_write_ready(cx),
            })?;
            let tried = match self {
                Self::Tcp(tcp) => tcp.try_io(interest, || step(tcp.as_fd())),
                Self::Unix(unix) => unix.try_io(interest, || step(unix.as_fd())),
            };
            match tried {
                Err(busy) if busy.kind() == io::ErrorKind::WouldBlock => {}
                Err(again) if again.kind() == io::ErrorKind::Interrupted => {}
                settled => return Poll::Ready(settled),
            }
        }
    }
}

fn move_bytes(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}

/// Not a failure of the connection: this kernel, or a sandbox around it, has no such call.
fn cannot(refused: &io::Error) -> bool {
    use rustix::io::Errno;
    let known = [Errno::INVAL, Errno::NOSYS, Errno::PERM, Errno::OPNOTSUPP];
    known.iter().any(|errno| refused.raw_os_error() == Some(errno.raw_os_error()))
}
