//! Serves small HTTP/1.1 services (telemetry, control, the embedded COS) until told to end.
//!
//! Not for the data port, whose transport is of its own.

mod listen;
mod origin;
mod peer;

use std::{convert::Infallible, error::Error, io, pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::shutdown::Shutdown;

pub use listen::{Accepting, Connection, ListenAddress, Listener};
pub use origin::{Foreign, from_this_host};
pub use peer::Peer;

/// Bounds of one service.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Most connections at once; further ones wait in the kernel.
    pub connections: usize,
    /// Longest head, in bytes (at least 8192).
    pub head_bytes: usize,
    /// Time for a whole head to arrive; also how long a connection may idle between requests.
    pub head_timeout: Duration,
    /// Age at which a connection is closed after its current exchange.
    pub connection_age: Duration,
    /// Time an exchange under way has to end once the service or its connection must.
    pub grace: Duration,
}

impl Default for ServerLimits {
    /// For services that answer at once: 64 connections, 16 KiB heads, 10 s, 5 min, 5 s.
    fn default() -> Self {
        Self {
            connections: 64,
            head_bytes: 16 * 1024,
            head_timeout: Duration::from_secs(10),
            connection_age: Duration::from_secs(300),
            grace: Duration::from_secs(5),
        }
    }
}

/// Serves until `shutdown` begins, then lets exchanges under way end within [`ServerLimits`]'s
/// grace. Nothing a client or the system does at `accept` ends it earlier. Each request carries the
/// [`Peer`] that sent it as an extension.
///
/// # Errors
/// When the runtime does not take the socket.
///
/// Must run inside a tokio runtime. Dropping the future closes every connection at once.
pub async fn serve<H, F, B>(
    listener: Listener,
    limits: ServerLimits,
    shutdown: Shutdown,
    handler: H,
) -> io::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let accepting = listener.accepting()?;
    let mut connections = JoinSet::new();
    let mut complaints = Complaints::default();
    loop {
        tokio::select! {
            () = shutdown.begun() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => note(ended),
            accepted = accept(&accepting, &mut complaints),
                if connections.len() < limits.connections =>
            {
                let Some((stream, peer)) = accepted else { continue };
                let from_peer = handler.clone();
                let handler = move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer);
                    from_peer(request)
                };
                connections.spawn(connection(stream, limits, shutdown.clone(), handler));
            }
        }
    }
    drop(accepting);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
    Ok(())
}

/// Why a request's body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The framing is broken or the client left.
    #[error("the body is broken off or malformed")]
    Broken,
}

/// Reads a small body whole: at most `limit` bytes within `patience`.
///
/// # Errors
/// [`BodyError`].
pub async fn read_body(
    body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    match timeout(patience, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong { limit }),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_elapsed) => Err(BodyError::TooSlow),
    }
}

/// What a connection is read from and written to.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection, or `None` after an error and a pause.
async fn accept(
    accepting: &Accepting,
    complaints: &mut Complaints,
) -> Option<(Box<dyn Stream>, Peer)> {
    match accepting.accept().await {
        Ok(connection) => {
            let peer = Peer::of(&connection);
            Some(match connection {
                Connection::Tcp(stream) => (Box::new(stream), peer),
                Connection::Unix(stream) => (Box::new(stream), peer),
            })
        }
        Err(error) => {
            if complaints.may_speak() {
                tracing::warn!(%error, address = %accepting.address(), "cannot take a connection");
            }
            // Without descriptors every accept fails at once: do not spin.
            sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection<H, F, B>(
    stream: Box<dyn Stream>,
    limits: ServerLimits,
    shutdown: Shutdown,
    handler: H,
) where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(limits.head_bytes.max(8192))
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        ended = serving.as_mut() => return tell(ended),
        () = shutdown.begun() => {}
        () = sleep(limits.connection_age) => {}
    }
    serving.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(limits.grace, serving).await {
        tell(ended);
    }
}

fn tell(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection's task panicked; this is a bug");
    }
}

/// At most one complaint per second.
#[derive(Debug, Default)]
struct Complaints {
    last_at: Option<Instant>,
}

impl Complaints {
    fn may_speak(&mut self) -> bool {
        let now = Instant::now();
        let may = self.last_at.is_none_or(|last| now - last >= Duration::from_secs(1));
        if may {
            self.last_at = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn accept_errors_are_told_once_a_second() {
        let mut complaints = Complaints::default();
        assert!(complaints.may_speak());
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(!complaints.may_speak());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(complaints.may_speak());
    }
}
