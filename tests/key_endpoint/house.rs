//! An embedded COS and STS, and proxies that live on threads of their own as real ones do.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use cos_auth_proxy::{
    app::{App, Bound, ExitReason, StatusReader, Stop},
    clock::Clock,
    config::{self, Inputs},
    control::KeyStatus,
    credential::RefreshSettings,
    emulator::{
        Emulator, EmulatorSettings,
        accounts::{Account, Role},
    },
    server::ListenAddress,
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::oneshot,
    time::{Instant, timeout},
};

pub(crate) const BUCKET: &str = "examplebucket-1250000000";
pub(crate) const SECRET_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
pub(crate) const SECRET_KEY: &str = "ExampleSecretKeyExampleSecretKey01";
/// No step takes longer: a hang is a failure that says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct House {
    pub(crate) emulator: Emulator,
    pub(crate) folder: tempfile::TempDir,
    shutdown: Shutdown,
}

impl House {
    /// Keys live `life`.
    pub(crate) async fn open(life: Duration) -> Self {
        let shutdown = Shutdown::new();
        let emulator = Emulator::start(EmulatorSettings::default(), Clock::system(), &shutdown);
        let emulator = emulator.await.unwrap();
        emulator.accounts().add_account(Account::example(SECRET_ID, SECRET_KEY));
        emulator.accounts().set_key_life(Some(life.as_secs()));
        Self { emulator, folder: tempfile::tempdir().unwrap(), shutdown }
    }

    pub(crate) async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(PATIENCE).await, "every task of the emulator ends");
    }

    /// A path in the house's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `[keys.default]` that asks the emulated STS.
    pub(crate) fn federation(&self) -> String {
        let sts = self.emulator.sts_address();
        format!("[keys.default]\nsource = \"federation-token\"\nendpoint = \"http://{sts}\"\n")
    }

    /// Three key sets, each making the calls of the next: `base` by a key server, then the roles
    /// `mid` and `default`.
    pub(crate) fn chain(&self) -> String {
        let role = "qcs::cam::uin/100000000001:roleName/reports";
        self.emulator.accounts().add_role(Role::unlimited(role));
        let (sts, server) = (self.emulator.sts_address(), self.emulator.key_server_address());
        let takes_role = |name: &str, via: &str| {
            format!(
                "[keys.{name}]\nsource = \"assume-role\"\nendpoint = \"http://{sts}\"\n\
                 role_arn = \"{role}\"\nvia = \"{via}\"\n"
            )
        };
        let base = format!("[keys.base]\nsource = \"http\"\nendpoint = \"http://{server}/sts\"\n");
        [takes_role("default", "mid"), takes_role("mid", "base"), base].concat()
    }

    /// A whole file of settings around `more`.
    pub(crate) fn file(&self, more: &str) -> String {
        let cos = self.emulator.cos_address();
        format!(
            "[listen]\naddress = [\"127.0.0.1:0\"]\nthreads = 1\n\
             [telemetry]\naddress = \"127.0.0.1:0\"\n[control]\naddress = \"127.0.0.1:0\"\n\
             [upstream]\nbucket = \"{BUCKET}\"\nregion = \"ap-guangzhou\"\n\
             endpoint = \"http://{{bucket}}.cos.{{region}}.myqcloud.com\"\n\
             connect_to = \"{cos}\"\n[shutdown]\ngrace = \"1s\"\n{more}"
        )
    }

    /// Starts a proxy with `more` in its file; its numbers fit keys that live `life`.
    pub(crate) async fn proxy(&self, more: &str, life: Duration) -> Proxy {
        let file = self.path("config.toml");
        std::fs::write(&file, self.file(more)).unwrap();
        let environment = BTreeMap::from([
            ("TENCENTCLOUD_SECRET_ID".to_owned(), SECRET_ID.to_owned()),
            ("TENCENTCLOUD_SECRET_KEY".to_owned(), SECRET_KEY.to_owned()),
        ]);
        let inputs = Inputs { file: Some(file), flags: Vec::new(), environment: &environment };
        let mut settings = config::load(&inputs).unwrap_or_else(|told| panic!("{told}"));
        for set in &mut settings.keys {
            set.refresh = RefreshSettings::for_keys_living(life);
        }
        let mut app = App::bind(settings).unwrap();
        let bound = app.bound();
        let watched = app.watch();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(app.run(Clock::system(), None, Told(Some(stopped))))
        });
        let status = timeout(PATIENCE, watched).await.unwrap().unwrap();
        Proxy { bound, status, stop: Some(stop), thread: Some(thread) }
    }
}

/// Stops when its sender goes.
struct Told(Option<oneshot::Receiver<()>>);

impl Stop for Told {
    async fn next(&mut self) {
        match self.0.take() {
            Some(told) => drop(told.await),
            None => std::future::pending().await,
        }
    }
}

type Ended = Result<ExitReason, cos_auth_proxy::app::StartError>;

pub(crate) struct Proxy {
    bound: Bound,
    status: StatusReader,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Ended>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the proxy panicked");
        }
    }
}

fn tcp(addresses: &[ListenAddress]) -> SocketAddr {
    let tcp = addresses.iter().find_map(|address| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    });
    tcp.expect("one address is TCP")
}

impl Proxy {
    pub(crate) fn endpoint(&self) -> SocketAddr {
        tcp(&self.bound.key_endpoint)
    }

    pub(crate) fn control(&self) -> SocketAddr {
        tcp(&self.bound.control)
    }

    /// Asks the key endpoint as a well-behaved program does.
    pub(crate) async fn ask(&self, start: &str, body: &str) -> Answer {
        ask(self.endpoint(), start, "Host: localhost\r\n", body).await
    }

    /// Sends a request through the data port.
    pub(crate) async fn data(&self, start: &str, body: &str) -> Answer {
        ask(tcp(&self.bound.data), start, "Host: localhost\r\n", body).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let address = tcp(&self.bound.telemetry);
        ask(address, "GET /metrics", "Host: localhost\r\n", "").await.body
    }

    pub(crate) fn keys(&self) -> KeyStatus {
        (self.status)().keys.remove(0)
    }

    pub(crate) fn all_keys(&self) -> Vec<KeyStatus> {
        (self.status)().keys
    }

    /// Waits until `good` is true of the first key set.
    pub(crate) async fn until(&self, what: &str, good: impl Fn(&KeyStatus) -> bool) -> KeyStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let keys = self.keys();
            if good(&keys) {
                return keys;
            }
            assert!(Instant::now() < deadline, "never {what}: {keys:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

pub(crate) async fn ask(address: SocketAddr, start: &str, headers: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    exchange(stream, start, headers, body).await
}

pub(crate) async fn ask_socket(socket: &Path, start: &str, body: &str) -> Answer {
    let stream = UnixStream::connect(socket).await.unwrap();
    exchange(stream, start, "Host: keys\r\n", body).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    start: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let request = format!(
        "{start} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let exchanged = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = timeout(PATIENCE, exchanged).await.unwrap_or_else(|_| panic!("no answer: {start}"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no status line in {text:?}")),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
