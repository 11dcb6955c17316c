//! The client's side: writes bytes in given pieces, and reads answers as plainly as can be.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::judge::lossy;

/// No step may take longer, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lets a piece be read before the next one comes. Nothing depends on whether it was.
const BREATH: Duration = Duration::from_millis(1);

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// How the reading of an answer ended.
#[derive(Debug)]
pub(crate) enum Got {
    Whole(Answer),
    /// The connection ended in order before another byte.
    Closed,
    /// It was reset, or ended inside a head or a body whose end is marked: nobody takes that for a
    /// whole answer. With the status, if the head was there.
    Cut(Option<u16>),
}

/// A client connection.
pub(crate) struct Client<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Writes as much as the other side takes; it may end the connection at any byte.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ended: Result<(), _> =
            timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("nobody takes the bytes");
    }

    /// Writes in pieces that end at `cuts`; with many, only other tasks run in between.
    pub(crate) async fn write_cut(&mut self, bytes: &[u8], cuts: &[usize]) {
        let mut start = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            let cut = cut.clamp(start, bytes.len());
            self.write(&bytes[start..cut]).await;
            start = cut;
            if start < bytes.len() {
                if cuts.len() > 8 { tokio::task::yield_now().await } else { sleep(BREATH).await }
            }
        }
    }

    pub(crate) async fn say_end(&mut self) {
        let _ended: Result<(), _> =
            timeout(PATIENCE, self.stream.shutdown()).await.expect("no end of the writing");
    }

    /// Whether the other side ends the connection without another byte.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.read.is_empty() && !matches!(self.more().await, More::Bytes)
    }

    /// The next answer. One to HEAD has no body.
    pub(crate) async fn answer(&mut self, to_head: bool) -> Result<Got, String> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            match self.more().await {
                More::Bytes => {}
                More::Closed if self.read.is_empty() => return Ok(Got::Closed),
                More::Closed | More::Reset => return Ok(Got::Cut(None)),
            }
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let (status, fields) =
            head_of(&head).ok_or_else(|| format!("no head: {:?}", lossy(&head)))?;
        let mut answer = Answer { status, fields, body: Vec::new() };
        let bodiless = to_head || matches!(status, 100..=199 | 204 | 304);
        let framings = (answer.field("content-length"), answer.field("transfer-encoding"));
        let whole = match framings {
            _ if bodiless => true,
            (Some(length), None) => {
                let length = length.parse().map_err(|_not_one| format!("length {length:?}"))?;
                self.exactly(length, &mut answer.body).await
            }
            (None, Some("chunked")) => self.chunks(&mut answer.body).await?,
            (None, None) => self.until_end(&mut answer.body).await,
            other => return Err(format!("the framing of the answer is {other:?}")),
        };
        Ok(if whole { Got::Whole(answer) } else { Got::Cut(Some(status)) })
    }

    async fn exactly(&mut self, length: usize, into: &mut Vec<u8>) -> bool {
        while self.read.len() < length {
            if !matches!(self.more().await, More::Bytes) {
                return false;
            }
        }
        into.extend(self.read.drain(..length));
        true
    }

    /// `false` if the last chunk never comes.
    async fn chunks(&mut self, into: &mut Vec<u8>) -> Result<bool, String> {
        loop {
            let Some(line) = self.line().await else { return Ok(false) };
            let size =
                usize::from_str_radix(&line, 16).map_err(|_not_one| format!("size {line:?}"))?;
            if size == 0 {
                break;
            }
            let mut end = Vec::new();
            if !self.exactly(size, into).await || !self.exactly(2, &mut end).await {
                return Ok(false);
            }
            if end != b"\r\n" {
                return Err("no CR LF after a chunk".to_owned());
            }
        }
        loop {
            match self.line().await {
                Some(line) if line.is_empty() => return Ok(true),
                Some(_trailer) => {}
                None => return Ok(false),
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).take(end).collect();
                return Some(lossy(&line));
            }
            if !matches!(self.more().await, More::Bytes) {
                return None;
            }
        }
    }

    /// `false` if the end was a reset.
    async fn until_end(&mut self, into: &mut Vec<u8>) -> bool {
        loop {
            match self.more().await {
                More::Bytes => {}
                More::Closed => {
                    into.append(&mut self.read);
                    return true;
                }
                More::Reset => return false,
            }
        }
    }

    async fn more(&mut self) -> More {
        let mut piece = [0; 16384];
        match timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("nothing arrives") {
            Ok(0) => More::Closed,
            Err(_) => More::Reset,
            Ok(n) => {
                self.read.extend_from_slice(&piece[..n]);
                More::Bytes
            }
        }
    }
}

enum More {
    Bytes,
    Closed,
    Reset,
}

/// Status and fields; `None` for anything but the plainest form.
fn head_of(head: &[u8]) -> Option<(u16, Vec<(String, String)>)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ")?;
        let plain = !line.contains(['\r', '\n', '\0']) && !name.contains([' ', '\t']);
        plain.then(|| (name.to_ascii_lowercase(), value.to_owned()))
    });
    let fields: Vec<_> = fields.collect::<Option<_>>()?;
    let once = |name| fields.iter().filter(|(n, _)| n == name).count() <= 1;
    (once("content-length") && once("transfer-encoding")).then_some((status, fields))
}
