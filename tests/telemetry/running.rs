//! A service under test and a client that speaks plain bytes to it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    time::Duration,
};

use cos_auth_proxy::{
    server::{ListenAddress, Listener},
    shutdown::Shutdown,
};

/// A service on its own runtime and thread; ends with its owner.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
}

impl Running {
    pub(crate) fn start<F>(serve: impl FnOnce(Listener, Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let listener = loopback();
        let ListenAddress::Tcp(address) = *listener.address() else { unreachable!("TCP") };
        Self::serve(address, listener, serve)
    }

    pub(crate) fn serve<F>(
        address: SocketAddr,
        listener: Listener,
        serve: impl FnOnce(Listener, Shutdown) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let shutdown = Shutdown::new();
        let ending = shutdown.clone();
        let (on_end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Dropped at the end, also when the service panics.
            let _on_end: mpsc::Sender<()> = on_end;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, ending)).unwrap();
        });
        Self { address, shutdown, thread: Some(thread), ended }
    }

    /// Ends the service and waits for it.
    pub(crate) fn end(&mut self) {
        self.shutdown.begin();
        if let Some(thread) = self.thread.take() {
            self.expect_end();
            thread.join().unwrap();
        }
    }

    fn expect_end(&self) {
        let ended = self.ended.recv_timeout(Duration::from_secs(20));
        assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "the service does not end");
    }

    pub(crate) fn ask(&self, request: &str) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        exchange(stream, request)
    }

    /// A request with the usual headers of a well-behaved caller.
    pub(crate) fn order(&self, start: &str, body: &str) -> Answer {
        let length = body.len();
        self.ask(&format!(
            "{start} HTTP/1.1\r\nHost: localhost\r\nx-cos-auth-proxy-control: 1\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.begin();
        if let Some(thread) = self.thread.take() {
            if std::thread::panicking() {
                return;
            }
            self.expect_end();
            let ended = thread.join();
            assert!(ended.is_ok(), "the service panicked");
        }
    }
}

pub(crate) fn loopback() -> Listener {
    Listener::bind(&ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line in {text:?}"));
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a request that asks for the connection to be closed and reads to the end.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Answer::parse(&text)
}
