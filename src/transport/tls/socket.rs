//! A TLS connection to upstream: a session on a socket.

use std::{
    fmt,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Rooms, session::Session};

/// Reads and writes plaintext. While nothing is under way it holds no buffer.
pub(in crate::transport) struct TlsSocket<S = TcpStream> {
    socket: S,
    session: Session,
    /// How the socket ended. It may tell only once; a reader may have to ask twice.
    ended: Option<Ended>,
}

#[derive(Clone, Copy)]
enum Ended {
    Eof,
    Broken(io::ErrorKind),
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsSocket<S> {
    /// Shakes hands with the server `name`.
    ///
    /// # Errors
    /// Of the socket; a failure of TLS lies inside as a [`rustls::Error`].
    pub(in crate::transport) async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        socket: S,
        rooms: Rc<Rooms>,
    ) -> io::Result<Self> {
        let session = Session::new(config, name, rooms).map_err(in_io)?;
        let mut connecting = Self { socket, session, ended: None };
        poll_fn(|cx| connecting.poll_handshake(cx)).await?;
        Ok(connecting)
    }

    /// Whether the keys of an earlier session were taken up.
    pub(in crate::transport) fn is_resumed(&self) -> bool {
        self.session.is_resumed()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let shaken = self.session.shake_hands();
            let shaken = shaken.map_err(|failure| self.give_up(failure, cx))?;
            ready!(self.poll_flush(cx))?;
            if shaken {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
                return Poll::Ready(Err(eof));
            }
        }
    }

    /// 0 once the peer said that nothing follows; a socket that just ends is an error.
    pub(in crate::transport) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let opened = self.session.open(into);
            let opened = opened.map_err(|failure| self.give_up(failure, cx))?;
            if opened > 0 || into.is_empty() || self.session.is_closed() {
                return Poll::Ready(Ok(opened));
            }
            // Whatever reading gave cause to say; a full socket takes it with the next write.
            if let Poll::Ready(Err(failure)) = self.poll_flush(cx) {
                return Poll::Ready(Err(failure));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection ended without the end of TLS (close_notify)",
                )));
            }
        }
    }

    /// Takes plaintext once all that was taken before is out. What it took may still be held back.
    pub(in crate::transport) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let taken = self.session.seal(parts).map_err(|failure| self.give_up(failure, cx))?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    /// Pushes out what is held back.
    pub(in crate::transport) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.session.to_send().is_empty() {
            let sending = Pin::new(&mut self.socket).poll_write(cx, self.session.to_send());
            match ready!(sending)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.session.sent(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing follows, and closes this side of the socket.
    pub(in crate::transport) fn poll_shutdown(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.session.say_close();
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// Receives what is there; 0 when the socket ended.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.ended {
            Some(Ended::Eof) => return Poll::Ready(Ok(0)),
            Some(Ended::Broken(kind)) => return Poll::Ready(Err(kind.into())),
            None => {}
        }
        let space = self.session.space();
        if space.is_empty() {
            let long = "a TLS message is too long";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, long)));
        }
        let mut into = ReadBuf::new(space);
        let polled = Pin::new(&mut self.socket).poll_read(cx, &mut into);
        let n = into.filled().len();
        match polled {
            Poll::Pending => {
                self.session.give_empty_room();
                Poll::Pending
            }
            Poll::Ready(Ok(())) => {
                self.session.received(n);
                if n == 0 {
                    self.ended = Some(Ended::Eof);
                }
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(failure)) => {
                self.ended = Some(Ended::Broken(failure.kind()));
                Poll::Ready(Err(failure))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.session.held()
    }

    /// Tries to tell the peer, but the reason stays the first one.
    fn give_up(&mut self, failure: rustls::Error, cx: &mut Context<'_>) -> io::Error {
        let _: Poll<io::Result<()>> = self.poll_flush(cx);
        in_io(failure)
    }
}

impl<S> fmt::Debug for TlsSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSocket").finish_non_exhaustive()
    }
}

fn in_io(failure: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, failure)
}
