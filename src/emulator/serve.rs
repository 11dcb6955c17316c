//! Serves STS and the key server on hyper, with answers that go wrong on request: late, cut short,
//! one byte at a time, or not at all.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::Sleep,
};

use super::faults::Fault;
use crate::shutdown::Shutdown;

/// The longest request body read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// The size of an [`Fault::Oversized`] answer, in bytes.
const OVERSIZED: usize = 8 * 1024 * 1024;
/// How long an exchange under way may go on once the end has begun.
const GRACE: Duration = Duration::from_millis(500);
/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A request read whole.
pub(super) type WholeRequest = http::Request<Bytes>;

/// What to do with a request.
pub(super) enum Reply {
    Answer(Response<AnswerBody>),
    /// Drop the connection with a RST.
    Reset,
    /// Close the connection without an answer.
    Close,
}

/// Binds and serves until `shutdown` begins; returns the bound address.
pub(super) async fn serve<H, F>(
    name: &'static str,
    bind: SocketAddr,
    shutdown: &Shutdown,
    handler: H,
) -> io::Result<SocketAddr>
where
    H: Fn(WholeRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let listener = TcpListener::bind(bind).await?;
    let address = listener.local_addr()?;
    let ending = shutdown.clone();
    shutdown.spawn(name, async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ending.begun() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, ending.clone(), handler.clone());
                    ending.spawn(name, connection);
                }
                Err(error) => {
                    tracing::warn!(%error, service = name, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    Ok(address)
}

/// Serves one connection until the client closes it, a fault ends it, or `shutdown` begins.
async fn connection<H, F>(stream: TcpStream, shutdown: Shutdown, handler: H)
where
    H: Fn(WholeRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let reset = Arc::new(AtomicBool::new(false));
    let socket = TokioIo::new(ResettableSocket { stream, reset: Arc::clone(&reset) });
    let service = service_fn(move |request: http::Request<Incoming>| {
        exchange(request, handler.clone(), Arc::clone(&reset))
    });
    let serving = http1::Builder::new().timer(TokioTimer::new()).serve_connection(socket, service);
    let mut serving = pin!(serving);
    tokio::select! {
        // A client that went away, or was dropped on purpose, is nothing to report.
        _ = serving.as_mut() => {}
        () = shutdown.begun() => {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, serving).await;
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Reads one request whole and answers it; an error closes the connection.
async fn exchange<H, F>(
    request: http::Request<Incoming>,
    handler: H,
    reset: Arc<AtomicBool>,
) -> Result<Response<AnswerBody>, BoxError>
where
    H: Fn(WholeRequest) -> F,
    F: Future<Output = Reply>,
{
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await?.to_bytes();
    match handler(http::Request::from_parts(head, body)).await {
        Reply::Answer(answer) => Ok(answer),
        Reply::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err("reset on purpose".into())
        }
        Reply::Close => Err("closed on purpose".into()),
    }
}

/// A socket that says RST instead of FIN when it is dropped, if told to.
struct ResettableSocket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for ResettableSocket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let socket = socket2::SockRef::from(&self.stream);
            if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
                tracing::warn!(%error, "a connection could not be reset");
            }
        }
    }
}

impl AsyncRead for ResettableSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ResettableSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(())); // no FIN: the RST comes with the drop
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A JSON answer with the emulator's own `Date`.
pub(super) fn json(status: StatusCode, value: &serde_json::Value, now_unix: u64) -> Answer {
    Answer { status, content_type: "application/json", body: value.to_string(), now_unix }
}

/// An answer that no fault has touched yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    /// The emulator's clock, for the `Date` header.
    pub(super) now_unix: u64,
}

impl Answer {
    /// The reply a client gets, spoilt as `fault` says where that concerns the bytes sent.
    pub(super) fn spoilt_by(self, fault: Option<Fault>) -> Reply {
        let whole = Bytes::from(self.body);
        let length = whole.len();
        let (status, content_type, body) = match fault {
            Some(Fault::Reset) => return Reply::Reset,
            Some(Fault::Close) => return Reply::Close,
            Some(Fault::Html200) => (StatusCode::OK, "text/html", AnswerBody::whole(HTML)),
            Some(Fault::Oversized) => {
                (self.status, self.content_type, AnswerBody::whole(vec![b' '; OVERSIZED]))
            }
            Some(Fault::TruncateBody(bytes)) => {
                (self.status, self.content_type, AnswerBody::truncated(&whole, bytes))
            }
            Some(Fault::DripBody(pause)) => {
                (self.status, self.content_type, AnswerBody::dripping(whole, pause))
            }
            Some(
                Fault::Slow(_)
                | Fault::Status(_)
                | Fault::Throttle
                | Fault::ErrorCode(_)
                | Fault::WrongFields
                | Fault::ExpiresAt(_),
            )
            | None => (self.status, self.content_type, AnswerBody::whole(whole)),
        };
        let length = if matches!(body.manner, Manner::Whole) { body.rest.len() } else { length };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        let now = std::time::UNIX_EPOCH + Duration::from_secs(self.now_unix);
        if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(now)) {
            headers.insert(header::DATE, date);
        }
        Reply::Answer(response)
    }
}

const HTML: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head>\
                    <body><h1>Please sign in to the network</h1></body></html>";

/// The body of an answer, perhaps cut short or dripping.
pub(super) struct AnswerBody {
    rest: Bytes,
    manner: Manner,
}

enum Manner {
    Whole,
    Truncated { flushed: bool },
    Dripping { pause: Duration, until: Pin<Box<Sleep>> },
}

impl AnswerBody {
    fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { rest: bytes.into(), manner: Manner::Whole }
    }

    fn truncated(whole: &Bytes, bytes: u64) -> Self {
        let kept = usize::try_from(bytes).unwrap_or(usize::MAX).min(whole.len());
        Self { rest: whole.slice(..kept), manner: Manner::Truncated { flushed: false } }
    }

    fn dripping(whole: Bytes, pause: Duration) -> Self {
        let until = Box::pin(tokio::time::sleep(pause));
        Self { rest: whole, manner: Manner::Dripping { pause, until } }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { rest, manner } = &mut *self;
        let piece = match manner {
            Manner::Dripping { pause, until } if !rest.is_empty() => {
                ready!(until.as_mut().poll(context));
                until.as_mut().reset(tokio::time::Instant::now() + *pause);
                rest.split_to(1)
            }
            Manner::Truncated { flushed: true } => {
                return Poll::Ready(Some(Err("cut short on purpose".into())));
            }
            Manner::Truncated { flushed } if rest.is_empty() => {
                // hyper sends what it has when a body makes it wait, and drops it on an error.
                *flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Manner::Whole | Manner::Truncated { .. } | Manner::Dripping { .. } => {
                std::mem::take(rest)
            }
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.manner {
            Manner::Truncated { .. } => SizeHint::default(),
            Manner::Whole | Manner::Dripping { .. } => SizeHint::with_exact(self.rest.len() as u64),
        }
    }
}
