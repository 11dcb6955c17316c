//! A client that writes exactly the bytes a test wants and reads answers with nothing hidden.

use std::{net::SocketAddr, time::Duration};

use cos_auth_proxy::{
    clock::Clock,
    emulator::{Emulator, EmulatorSettings},
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const BUCKET: &str = "examplebucket-1250000000";
pub(crate) const HOST: &str = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";

/// An emulator that goes with the test.
pub(crate) struct Stand {
    pub(crate) emulator: Emulator,
    pub(crate) shutdown: Shutdown,
}

impl Stand {
    /// One that checks no signatures.
    pub(crate) async fn open() -> Self {
        Self::with(EmulatorSettings { verify: false, ..EmulatorSettings::default() }).await
    }

    pub(crate) async fn with(settings: EmulatorSettings) -> Self {
        let shutdown = Shutdown::new();
        let emulator = Emulator::start(settings, Clock::system(), &shutdown).await.unwrap();
        Self { emulator, shutdown }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.emulator.cos_address()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.connect().await.send(line, headers, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(&format!("GET {target}"), &[], b"").await
    }

    pub(crate) async fn put(&self, target: &str, body: &[u8]) -> Answer {
        self.send(&format!("PUT {target}"), &[], body).await
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// An answer read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.bytes(name).map(|value| std::str::from_utf8(value).unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The text of every element of that name, entities left as they are.
    pub(crate) fn all(&self, element: &str) -> Vec<&str> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let pieces = self.text().split(open.as_str()).skip(1);
        pieces.map(|piece| piece.split(close.as_str()).next().unwrap()).collect()
    }

    /// The text of the only element of that name.
    pub(crate) fn one(&self, element: &str) -> &str {
        let all = self.all(element);
        assert_eq!(all.len(), 1, "{element} in {}", self.text());
        all[0]
    }

    /// Asserts an error of that status and code, in COS's form.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.one("Code")), (status, code), "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/xml"));
        assert_eq!(self.header("x-cos-request-id"), Some(self.one("RequestId")));
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(matches!(self.status, 200 | 204 | 206), "{} {}", self.status, self.text());
        self
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    /// Sends a request with Host and, for PUT and POST, Content-Length, unless they are given.
    pub(crate) async fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut head = format!("{line} HTTP/1.1\r\n");
        if !has("host") {
            head += &format!("Host: {HOST}\r\n");
        }
        if (line.starts_with('P') || !body.is_empty()) && !has("transfer-encoding") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.write(head.as_bytes()).await;
        self.write(body).await;
        self.answer(line.starts_with("HEAD")).await.unwrap()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer; an error if the connection ends first.
    pub(crate) async fn answer(&mut self, head_only: bool) -> std::io::Result<Answer> {
        let reading = async {
            let end = loop {
                if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at + 4;
                }
                self.fill().await?;
            };
            let head: Vec<u8> = self.buffer.drain(..end).collect();
            let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
            let start = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
            let status = start.split(' ').nth(1).unwrap().parse().unwrap();
            let headers: Vec<(String, Vec<u8>)> = lines
                .filter(|line| !line.is_empty())
                .map(|line| {
                    let at = line.iter().position(|&byte| byte == b':').unwrap();
                    let name = String::from_utf8(line[..at].to_vec()).unwrap();
                    (name, line[at + 1..].trim_ascii().to_vec())
                })
                .collect();
            let mut answer = Answer { status, headers, body: Vec::new() };
            let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
            if !head_only {
                while self.buffer.len() < length {
                    self.fill().await?;
                }
                answer.body = self.buffer.drain(..length).collect();
            }
            Ok(answer)
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer in time")
    }

    /// Reads bytes until the connection ends; how many.
    pub(crate) async fn rest(&mut self) -> usize {
        let reading = async { while self.fill().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an end in time");
        self.buffer.len()
    }

    /// Reads and drops so many bytes.
    #[allow(dead_code, reason = "shared with a test that needs it")]
    pub(crate) async fn skip(&mut self, mut count: u64) {
        while count > 0 {
            if self.buffer.is_empty() {
                self.fill().await.unwrap();
            }
            count -= self.buffer.len() as u64;
            self.buffer.clear();
        }
    }

    async fn fill(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
