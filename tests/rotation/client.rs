//! A program's HTTP client: one connection that it keeps, bodies at its own pace, no second try.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use cos_auth_proxy::shutdown::Shutdown;
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Body, Frame, SizeHint},
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Sleep};

/// No exchange may take longer: a hang is a failure that says where.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Client {
    address: SocketAddr,
    shutdown: Shutdown,
    kept: Option<SendRequest<Paced>>,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, shutdown: &Shutdown) -> Self {
        Self { address, shutdown: shutdown.clone(), kept: None }
    }

    /// One request with its whole body at once.
    pub(crate) async fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        self.exchange(line, headers, Paced::whole(body.into()), Duration::ZERO).await
    }

    /// One request; each frame of the answer is read `pause` after the one before.
    pub(crate) async fn exchange(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: Paced,
        pause: Duration,
    ) -> Result<Answer, String> {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let exchange = self.carry_out(request, pause);
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(answer) => answer.map_err(|problem| format!("{line}: {problem}")),
            Err(_elapsed) => Err(format!("{line}: nothing within {PATIENCE:?}")),
        }
    }

    async fn carry_out(
        &mut self,
        request: Request<Paced>,
        pause: Duration,
    ) -> Result<Answer, String> {
        let mut sender = match self.kept.take().filter(|kept| !kept.is_closed()) {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        sender.ready().await.map_err(|problem| format!("the connection: {problem}"))?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|problem| format!("no answer: {problem:?}"))?;
        let status = answer.status().as_u16();
        let reason = answer.headers().get("x-cos-auth-proxy-error");
        let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
        let mut body = answer.into_body();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|problem| {
                format!("{status}, cut after {} bytes: {problem:?}", whole.len())
            })?;
            if let Ok(data) = frame.into_data() {
                whole.extend_from_slice(&data);
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
        self.kept = Some(sender);
        Ok(Answer { status, reason, body: whole.freeze() })
    }

    async fn connect(&self) -> Result<SendRequest<Paced>, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|p| format!("connect: {p}"))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|p| format!("connect: {p}"))?;
        let ending = self.shutdown.clone();
        self.shutdown.spawn("client connection", async move {
            tokio::select! {
                // What went wrong is told to the request that was under way.
                _ = connection => {}
                () = ending.begun() => {}
            }
        });
        Ok(sender)
    }
}

/// A body in pieces, with a pause before each but the first.
pub(crate) struct Paced {
    rest: Bytes,
    piece: usize,
    pause: Duration,
    until: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        let piece = bytes.len().max(1);
        Self { rest: bytes, piece, pause: Duration::ZERO, until: None }
    }

    pub(crate) fn in_pieces(bytes: Bytes, piece: usize, pause: Duration) -> Self {
        Self { rest: bytes, piece, pause, until: None }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(until) = &mut self.until {
            ready!(until.as_mut().poll(context));
        }
        let end = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(end);
        self.until = (!self.pause.is_zero()).then(|| Box::pin(tokio::time::sleep(self.pause)));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
