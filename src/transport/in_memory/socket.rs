//! A pair of connected sockets that behaves as TCP does: bounded both ways, closed side by side,
//! reset by an end that goes while bytes wait for it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::Whims;

/// One end of a connection in memory. Dropping it closes both directions.
#[derive(Debug)]
pub(in crate::transport) struct Socket {
    incoming: Direction,
    outgoing: Direction,
    whims: Whims,
    /// Going resets the connection.
    resets: bool,
    /// The peer's reset was told; a socket tells of it once.
    told: bool,
}

/// Two ends; each direction holds at most `room` bytes. The whims are those of the first end.
pub(in crate::transport) fn pair(room: usize, whims: Whims) -> (Socket, Socket) {
    let (up, down) = (Direction::new(room), Direction::new(room));
    let end = |incoming: &Direction, outgoing: &Direction, whims| Socket {
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
        whims,
        resets: false,
        told: false,
    };
    (end(&down, &up, whims), end(&up, &down, Whims::none()))
}

#[derive(Debug, Clone)]
struct Direction(Arc<Mutex<Pipe>>);

/// One direction: what is on its way, and how it ends.
#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    end: End,
    /// Nobody will read any more.
    deserted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
    Reset,
}

impl Socket {
    pub(in crate::transport) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.incoming.lock();
        if pipe.bytes.is_empty() {
            return match pipe.end {
                End::Open => {
                    pipe.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                End::Reset if !self.told => {
                    self.told = true;
                    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
                }
                End::Reset | End::Closed => Poll::Ready(Ok(0)),
            };
        }
        // Who only looks, without a waker, sees what is there.
        if !cx.waker().will_wake(Waker::noop()) && self.whims.in_vain() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = self.whims.piece(pipe.bytes.len().min(into.len()));
        let (first, second) = pipe.bytes.as_slices();
        for (to, from) in into.iter_mut().take(n).zip(first.iter().chain(second)) {
            *to = *from;
        }
        pipe.bytes.drain(..n);
        wake(&mut pipe.writer);
        Poll::Ready(Ok(n))
    }

    pub(in crate::transport) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.outgoing.lock();
        if pipe.end != End::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        if pipe.deserted {
            // As in TCP: the first bytes leave, and are answered by a reset.
            pipe.end = End::Closed;
            drop(pipe);
            self.incoming.end(End::Reset);
            return Poll::Ready(Ok(wanted));
        }
        let free = pipe.room.saturating_sub(pipe.bytes.len());
        if free == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.whims.in_vain() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = self.whims.piece(wanted.min(free));
        let mut left = n;
        for part in parts {
            let taken = part.get(..left.min(part.len())).unwrap_or_default();
            pipe.bytes.extend(taken);
            left -= taken.len();
        }
        wake(&mut pipe.reader);
        Poll::Ready(Ok(n))
    }

    /// Puts `bytes` on the way at once, however little room there is.
    #[cfg(test)]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut pipe = self.outgoing.lock();
        if pipe.end == End::Open && !pipe.deserted {
            pipe.bytes.extend(bytes);
            wake(&mut pipe.reader);
        }
    }

    /// Says that nothing more comes from this end.
    pub(in crate::transport) fn shut_down(&mut self) {
        self.outgoing.end(End::Closed);
    }

    /// Whether going, from now on, is a reset.
    pub(in crate::transport) fn reset_on_close(&mut self, reset: bool) {
        self.resets = reset;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut pipe = self.incoming.lock();
        let unread = !pipe.bytes.is_empty();
        pipe.deserted = true;
        pipe.bytes.clear();
        wake(&mut pipe.writer);
        drop(pipe);
        let reset = self.resets || unread;
        self.outgoing.end(if reset { End::Reset } else { End::Closed });
    }
}

impl Direction {
    fn new(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Pipe {
            bytes: VecDeque::new(),
            room,
            end: End::Open,
            deserted: false,
            reader: None,
            writer: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it; a reset outdoes an orderly end.
    fn end(&self, end: End) {
        let mut pipe = self.lock();
        if pipe.end == End::Open || end == End::Reset {
            pipe.end = end;
        }
        wake(&mut pipe.reader);
        wake(&mut pipe.writer);
    }
}

fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}
