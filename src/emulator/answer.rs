//! An answer of the COS half, and how it is put on the wire.

use std::{borrow::Cow, fmt::Write as _, io, time::Duration};

use super::{store::Reader, wire::Connection};

/// An answer before it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    body: AnswerBody,
}

#[derive(Debug)]
enum AnswerBody {
    /// No body, and no `Content-Length` either where HTTP forbids it.
    Empty,
    Text(Vec<u8>),
    /// Bytes of an object, streamed.
    Content(Reader),
}

/// What is done to an answer on its way out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    /// The answer to a HEAD: the body's length without the body.
    pub(crate) head_only: bool,
    /// Whether to say that the connection ends.
    pub(crate) close: bool,
    /// Ends the body after so many bytes, whatever was declared.
    pub(crate) truncate_at: Option<u64>,
    /// Sends the body byte by byte with this wait before each.
    pub(crate) drip: Option<Duration>,
}

impl Answer {
    /// An answer without body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: AnswerBody::Empty }
    }

    /// An answer with an XML document.
    pub(crate) fn xml(status: u16, document: String) -> Self {
        Self::text(status, "application/xml", document)
    }

    /// An answer with any text.
    pub(crate) fn text(status: u16, content_type: &'static str, text: String) -> Self {
        let body = AnswerBody::Text(text.into_bytes());
        Self { status, headers: Vec::new(), body }.header("Content-Type", content_type)
    }

    /// An answer with bytes of an object.
    pub(crate) fn content(status: u16, reader: Reader) -> Self {
        Self { status, headers: Vec::new(), body: AnswerBody::Content(reader) }
    }

    /// Adds a header.
    pub(crate) fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces a header, or adds it.
    pub(crate) fn replace_header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    /// Takes a header away.
    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    fn length(&self) -> u64 {
        match &self.body {
            AnswerBody::Empty => 0,
            AnswerBody::Text(text) => text.len() as u64,
            AnswerBody::Content(reader) => reader.left,
        }
    }

    fn head(&self, close: bool) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Unknown");
        let mut start = String::new();
        // Writing to a String cannot fail.
        let _ = write!(start, "HTTP/1.1 {} {reason}\r\n", self.status);
        if !matches!(self.status, 204 | 304) {
            let _ = write!(start, "Content-Length: {}\r\n", self.length());
        }
        let _ = write!(start, "Connection: {}\r\n", if close { "close" } else { "keep-alive" });
        let mut head = start.into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Writes the answer. An error means the connection is to be closed, also when the body was
    /// truncated on purpose.
    pub(crate) async fn deliver(
        self,
        connection: &mut Connection,
        delivery: Delivery,
    ) -> io::Result<()> {
        let mut head = self.head(delivery.close);
        let mut outlet = Outlet { connection, delivery, sent: 0 };
        match self.body {
            _ if delivery.head_only => outlet.connection.write(&head).await?,
            AnswerBody::Empty => outlet.connection.write(&head).await?,
            AnswerBody::Text(text) if !outlet.is_disturbed() => {
                head.extend_from_slice(&text);
                outlet.connection.write(&head).await?;
            }
            AnswerBody::Text(text) => {
                outlet.connection.write(&head).await?;
                outlet.send(&text).await?;
            }
            AnswerBody::Content(mut reader) => {
                let mut piece = Vec::new();
                reader.next(&mut piece).await?;
                // A small object leaves in one write.
                if !outlet.is_disturbed() && head.len() + piece.len() <= 16 * 1024 {
                    head.append(&mut piece);
                }
                outlet.connection.write(&head).await?;
                outlet.send(&piece).await?;
                while reader.left > 0 {
                    reader.next(&mut piece).await?;
                    outlet.send(&piece).await?;
                }
            }
        }
        outlet.connection.flush().await
    }
}

struct Outlet<'c> {
    connection: &'c mut Connection,
    delivery: Delivery,
    sent: u64,
}

impl Outlet<'_> {
    fn is_disturbed(&self) -> bool {
        self.delivery.truncate_at.is_some() || self.delivery.drip.is_some()
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.delivery.truncate_at.map_or(u64::MAX, |end| end - self.sent.min(end));
        let count = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let (kept, cut) = bytes.split_at(count);
        match self.delivery.drip {
            None => self.connection.write(kept).await?,
            Some(wait) => {
                for byte in kept {
                    tokio::time::sleep(wait).await;
                    self.connection.write(&[*byte]).await?;
                    self.connection.flush().await?;
                }
            }
        }
        self.sent += count as u64;
        if cut.is_empty() {
            return Ok(());
        }
        self.connection.flush().await?;
        Err(io::Error::other("the body was truncated on purpose"))
    }
}
