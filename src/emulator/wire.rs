//! The server side of HTTP/1.1, as an emulator needs it: targets arrive byte for byte (also `|`, `^`
//! and raw UTF-8), an answer can be cut short, and a connection can be reset.
//!
//! Deliberately strict about framing and shares no code with the proxy's codec: what the proxy
//! writes is judged by a second reading of RFC 9112.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// Longest head taken, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
/// Most header lines taken.
const HEADER_LIMIT: usize = 200;
/// Body bytes handed on at a time, at most.
const PIECE: usize = 64 * 1024;
/// Body bytes read and dropped after an answer, so that the connection can be used again.
const DRAIN_LIMIT: u64 = 256 * 1024;
/// How long a connection is read and ignored after an early answer, so that the peer sees it.
const LINGER: Duration = Duration::from_secs(2);

/// A connection's socket, plain or with TLS.
pub(crate) enum Socket {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS on TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
        }
    }
}

/// Why a request could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The peer is gone, or went in the middle of a head.
    #[error("the connection ended: {0}")]
    Gone(#[from] io::Error),
    /// The head breaks HTTP/1.1 in the way named.
    #[error("bad request: {0}")]
    Bad(&'static str),
}

/// Why a body could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection ended before the body did.
    #[error("the body ended early")]
    Incomplete,
    /// The chunked framing is broken.
    #[error("the chunked body is malformed")]
    Malformed,
    /// The body is longer than the caller takes.
    #[error("the body is too long")]
    TooLong,
}

/// How the request says its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Neither `Content-Length` nor `Transfer-Encoding`.
    Unstated,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A request's head.
#[derive(Debug)]
pub(crate) struct Head {
    /// As sent, case kept.
    pub(crate) method: String,
    /// The target as sent, byte for byte.
    pub(crate) target: String,
    /// All headers; values may hold any byte but controls.
    pub(crate) headers: HeaderMap,
    /// How the body ends.
    pub(crate) framing: Framing,
    /// Whether the connection may serve another request.
    pub(crate) keep_alive: bool,
    expects_continue: bool,
}

impl Head {
    /// The value of a header as text, if it is there once or more and is UTF-8.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }
}

/// One accepted connection.
pub(crate) struct Connection {
    socket: Socket,
    buffer: BytesMut,
}

impl Connection {
    /// Takes over a socket.
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, buffer: BytesMut::new() }
    }

    /// Reads the next head; `None` if the peer closed between requests. Cancel-safe.
    pub(crate) async fn read_head(&mut self) -> Result<Option<Head>, WireError> {
        loop {
            if let Some(end) = head_end(&self.buffer)? {
                let head = self.buffer.split_to(end);
                return parse_head(&head).map(Some);
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(WireError::Bad("the head is too long"));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(WireError::Gone(io::ErrorKind::UnexpectedEof.into()))
                };
            }
        }
    }

    /// The body that follows `head`.
    pub(crate) fn body(&mut self, head: &Head) -> Body<'_> {
        let left = match head.framing {
            Framing::Unstated | Framing::Length(0) => Left::Nothing,
            Framing::Length(length) => Left::Length(length),
            Framing::Chunked => Left::ChunkLine,
        };
        Body { connection: self, left, continue_due: head.expects_continue }
    }

    /// Writes bytes of an answer.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Hands everything written to the network.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().await
    }

    /// Closes with a reset: the peer sees ECONNRESET, not an end.
    pub(crate) fn reset(self) {
        // If the option cannot be set, the peer sees an ordinary end: still no answer.
        let _ = socket2::SockRef::from(self.socket.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Closes so that the peer can still read the answer, although it may be sending.
    pub(crate) async fn close(mut self) {
        let _ = self.socket.shutdown().await;
        let ignore_the_rest = async {
            self.buffer.clear();
            while self.fill().await.is_ok_and(|count| count > 0) {
                self.buffer.clear();
            }
        };
        let _ = tokio::time::timeout(LINGER, ignore_the_rest).await;
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(PIECE);
        self.socket.read_buf(&mut self.buffer).await
    }
}

/// A request's body, read piece by piece.
pub(crate) struct Body<'c> {
    connection: &'c mut Connection,
    left: Left,
    continue_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Length(u64),
    ChunkLine,
    Chunk(u64),
    ChunkEnd,
    Broken,
}

impl Body<'_> {
    /// The next piece, at most 64 KiB and never empty; `None` at the end.
    ///
    /// The first call answers `Expect: 100-continue`.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.continue_due && self.left != Left::Nothing {
            self.continue_due = false;
            let going_on = self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            going_on.map_err(|_gone| self.broken(BodyError::Incomplete))?;
        }
        loop {
            match self.left {
                Left::Nothing => return Ok(None),
                Left::Broken => return Err(BodyError::Incomplete),
                Left::Length(left) => {
                    let piece = self.take(left).await?;
                    let left = left - piece.len() as u64;
                    self.left = if left == 0 { Left::Nothing } else { Left::Length(left) };
                    return Ok(Some(piece));
                }
                Left::Chunk(left) => {
                    let piece = self.take(left).await?;
                    let left = left - piece.len() as u64;
                    self.left = if left == 0 { Left::ChunkEnd } else { Left::Chunk(left) };
                    return Ok(Some(piece));
                }
                Left::ChunkEnd => {
                    if !self.line().await?.is_empty() {
                        return Err(self.broken(BodyError::Malformed));
                    }
                    self.left = Left::ChunkLine;
                }
                Left::ChunkLine => match self.chunk_size().await? {
                    0 => {
                        while !self.line().await?.is_empty() {}
                        self.left = Left::Nothing;
                    }
                    size => self.left = Left::Chunk(size),
                },
            }
        }
    }

    /// The whole body, for small XML.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit {
                return Err(BodyError::TooLong);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Whether the rest is short and certain enough to be read and dropped after the answer.
    pub(crate) fn can_be_drained(&self) -> bool {
        match self.left {
            Left::Nothing => true,
            Left::Length(left) => left <= DRAIN_LIMIT && !self.continue_due,
            Left::ChunkLine | Left::Chunk(_) | Left::ChunkEnd | Left::Broken => false,
        }
    }

    /// Reads and drops the rest.
    pub(crate) async fn drain(mut self) -> Result<(), BodyError> {
        while self.piece().await?.is_some() {}
        Ok(())
    }

    /// The connection, to write the answer while the body is not read to its end.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    async fn take(&mut self, limit: u64) -> Result<Bytes, BodyError> {
        if self.connection.buffer.is_empty() {
            self.more().await?;
        }
        let most = usize::try_from(limit).unwrap_or(PIECE).min(PIECE);
        let count = most.min(self.connection.buffer.len());
        Ok(self.connection.buffer.split_to(count).freeze())
    }

    async fn chunk_size(&mut self) -> Result<u64, BodyError> {
        let line = self.line().await?;
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let valid = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(digits).ok().filter(|_| valid);
        size.and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.broken(BodyError::Malformed))
    }

    /// One line without its CR LF.
    async fn line(&mut self) -> Result<Bytes, BodyError> {
        loop {
            let buffer = &mut self.connection.buffer;
            if let Some(end) = memchr::memchr(b'\n', buffer) {
                let line = buffer.split_to(end + 1).freeze();
                let text = line.len().checked_sub(2).filter(|&at| line.get(at) == Some(&b'\r'));
                let text = text.ok_or_else(|| self.broken(BodyError::Malformed))?;
                return Ok(line.slice(..text));
            }
            if buffer.len() > HEAD_LIMIT {
                return Err(self.broken(BodyError::Malformed));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), BodyError> {
        match self.connection.fill().await {
            Ok(count) if count > 0 => Ok(()),
            Ok(_) | Err(_) => Err(self.broken(BodyError::Incomplete)),
        }
    }

    fn broken(&mut self, error: BodyError) -> BodyError {
        self.left = Left::Broken;
        error
    }
}

/// Where the head ends, refusing a line that ends in LF alone.
fn head_end(buffer: &[u8]) -> Result<Option<usize>, WireError> {
    let mut line_start = 0;
    for end in memchr::memchr_iter(b'\n', buffer) {
        match end.checked_sub(1).and_then(|at| buffer.get(at)) {
            Some(b'\r') if end > line_start => {}
            _ => return Err(WireError::Bad("a line of the head ends in LF alone")),
        }
        if end - line_start == 1 {
            return Ok(Some(end + 1));
        }
        line_start = end + 1;
    }
    Ok(None)
}

fn parse_head(bytes: &[u8]) -> Result<Head, WireError> {
    let mut lines = vec![httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut parsed = httparse::Request::new(&mut lines);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err(WireError::Bad("the head is not HTTP/1.1"));
        }
    }
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(WireError::Bad("the request line is not HTTP/1.1"));
    };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_bytes(line.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(WireError::Bad("a header is not HTTP/1.1"));
        };
        headers.append(name, value);
    }
    if headers.get_all(http::header::HOST).iter().count() != 1 {
        return Err(WireError::Bad("there must be exactly one Host"));
    }
    let http11 = parsed.version == Some(1);
    let says =
        |header: &HeaderName, token: &str| {
            headers.get_all(header).iter().filter_map(|value| value.to_str().ok()).any(|value| {
                value.split(',').any(|listed| listed.trim().eq_ignore_ascii_case(token))
            })
        };
    let keep_alive = http11 && !says(&http::header::CONNECTION, "close");
    let expects_continue = http11 && says(&http::header::EXPECT, "100-continue");
    let framing = framing(&headers)?;
    Ok(Head {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        framing,
        keep_alive,
        expects_continue,
    })
}

fn framing(headers: &HeaderMap) -> Result<Framing, WireError> {
    let mut lengths = headers.get_all(http::header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(http::header::TRANSFER_ENCODING).iter();
    match (lengths.next(), lengths.next(), codings.next(), codings.next()) {
        (None, None, None, None) => Ok(Framing::Unstated),
        (Some(length), None, None, None) => {
            let digits = length.as_bytes();
            let valid = (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            let length = length.to_str().ok().filter(|_| valid).and_then(|text| text.parse().ok());
            length.map(Framing::Length).ok_or(WireError::Bad("Content-Length is not a number"))
        }
        (None, None, Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (None, None, Some(_), _) => Err(WireError::Bad("Transfer-Encoding is not chunked")),
        _ => Err(WireError::Bad("the length of the body is stated twice")),
    }
}
