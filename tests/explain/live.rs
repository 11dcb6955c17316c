//! From a running proxy: a hop that rewrites what passes stands between it and the embedded COS.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};

use cos_auth_proxy::{
    app::{App, Bound, Stop},
    clock::Clock,
    config::{self, FlagText, Inputs},
    credential::{Endpoint, SourceSettings},
    emulator::{Emulator, EmulatorSettings, accounts::Account},
    server::ListenAddress,
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

const SECRET_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
const SECRET_KEY: &str = "ExampleSecretKeyExampleSecretKey01";
const BUCKET: &str = "examplebucket-1250000000";
const PATIENCE: Duration = Duration::from_secs(20);

/// What the hop does to a request head.
type Rewrite = fn(String) -> String;

/// The embedded COS, a hop before it and the proxy before that.
struct Stand {
    emulator: Emulator,
    rewrite: Arc<Mutex<Rewrite>>,
    bound: Bound,
    shutdown: Shutdown,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

struct Told(Option<oneshot::Receiver<()>>);

impl Stop for Told {
    async fn next(&mut self) {
        match self.0.take() {
            Some(told) => drop(told.await),
            None => std::future::pending().await,
        }
    }
}

impl Stand {
    async fn open() -> Self {
        let shutdown = Shutdown::new();
        let settings =
            EmulatorSettings { buckets: vec![BUCKET.to_owned()], ..EmulatorSettings::default() };
        let emulator = Emulator::start(settings, Clock::system(), &shutdown).await.unwrap();
        emulator.accounts().add_account(Account::example(SECRET_ID, SECRET_KEY));
        let rewrite: Arc<Mutex<Rewrite>> = Arc::new(Mutex::new(|head| head));
        let hop = hop(emulator.cos_address(), Arc::clone(&rewrite), &shutdown).await;
        let app = App::bind(settings_of(&emulator, hop)).unwrap();
        let bound = app.bound();
        let (stop, told) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        // The house has a thread of its own, as it has in the program.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(app.run(Clock::system(), None, Told(Some(told)))).unwrap();
            drop(ending);
        });
        Self { emulator, rewrite, bound, shutdown, stop, ended }
    }

    /// Sends a request through the proxy while the hop does `rewrite`; the status.
    async fn send(&self, head: &str, rewrite: Rewrite) -> u16 {
        *self.rewrite.lock().unwrap() = rewrite;
        let exchange = async {
            let mut client = TcpStream::connect(tcp(&self.bound.data)).await.unwrap();
            let head = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(PATIENCE, exchange).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn explain(&self, more: &[&str]) -> Output {
        let address = tcp(&self.bound.control).to_string();
        let mut arguments = vec!["explain-signature", "--last", "--control-address"];
        arguments.push(&address);
        arguments.extend(more);
        let mut command = Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"));
        command.args(&arguments).env_clear().env("COLUMNS", "100");
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn close(self) {
        drop(self.stop);
        drop(timeout(PATIENCE, self.ended).await.unwrap());
        self.shutdown.begin();
        assert!(self.shutdown.finished(PATIENCE).await, "every task ends");
    }
}

fn tcp(addresses: &[ListenAddress]) -> SocketAddr {
    let tcp = addresses.iter().find_map(|address| match address {
        ListenAddress::Tcp(tcp) => Some(*tcp),
        ListenAddress::Unix(_) => None,
    });
    tcp.unwrap()
}

fn settings_of(emulator: &Emulator, hop: SocketAddr) -> config::Settings {
    let flag = |path: &str, text: &str| FlagText {
        path: path.to_owned(),
        text: text.to_owned(),
        spelling: format!("--{path}"),
    };
    let environment = BTreeMap::from([
        ("TENCENTCLOUD_SECRET_ID".to_owned(), SECRET_ID.to_owned()),
        ("TENCENTCLOUD_SECRET_KEY".to_owned(), SECRET_KEY.to_owned()),
    ]);
    let flags = vec![
        flag("upstream.bucket", BUCKET),
        flag("upstream.region", "ap-guangzhou"),
        flag("upstream.endpoint", "http://{bucket}.cos.{region}.myqcloud.com"),
        flag("upstream.connect_to", &hop.to_string()),
        flag("listen.address", "127.0.0.1:0"),
        flag("telemetry.address", "127.0.0.1:0"),
        flag("control.address", "127.0.0.1:0"),
    ];
    let inputs = Inputs { file: None, flags, environment: &environment };
    let mut settings = config::load(&inputs).unwrap();
    settings.shutdown_grace = Duration::from_secs(5);
    for set in &mut settings.keys {
        let SourceSettings::FederationToken(source) = &mut set.source else { panic!("the source") };
        source.sts.endpoint = Endpoint::new(&format!("http://{}", emulator.sts_address())).unwrap();
    }
    settings
}

/// Passes one request a connection on to `upstream`, its head rewritten.
async fn hop(
    upstream: SocketAddr,
    rewrite: Arc<Mutex<Rewrite>>,
    shutdown: &Shutdown,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ending = shutdown.clone();
    shutdown.spawn("hop", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ending.begun() => return,
            };
            let (client, _) = accepted.unwrap();
            let rewrite = *rewrite.lock().unwrap();
            let over = ending.clone();
            ending.spawn("hop connection", async move {
                tokio::select! {
                    _ = pass(client, upstream, rewrite) => {}
                    () = over.begun() => {}
                }
            });
        }
    });
    address
}

async fn pass(
    mut client: TcpStream,
    upstream: SocketAddr,
    rewrite: Rewrite,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = rewrite(String::from_utf8(head).unwrap());
    let mut server = TcpStream::connect(upstream).await?;
    // One request a connection, so that every head is seen.
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_proxy_tells_what_a_hop_did_to_its_last_request() {
    let stand = Stand::open().await;
    let nothing = stand.explain(&[]).await;
    assert_eq!(nothing.status.code(), Some(69));
    assert!(text(&nothing.stderr).contains("refused no signature"), "{}", text(&nothing.stderr));

    let get =
        "GET /dir/a%2Bb.txt?versionId=1 HTTP/1.1\r\nx-cos-meta-note: one  two\r\nRange: bytes=0-9";
    // What is not about the signature is not remembered.
    assert_eq!(stand.send("GET /nothing HTTP/1.1", |head| head).await, 404);
    assert_eq!(stand.explain(&[]).await.status.code(), Some(69));

    let table: [(Rewrite, &str, &str); 7] = [
        (|head| head.replacen("a%2Bb", "a%20b", 1), "plus-in-path", "path"),
        (|head| head.replacen("/dir/", "/proxied/dir/", 1), "path-rewritten", "path"),
        (|head| head.replacen("versionId=1", "versionId=2", 1), "parameter-changed", "versionid"),
        (|head| head.replacen("one  two", "one two", 1), "white-space", "x-cos-meta-note"),
        (|head| head.replacen("bytes=0-9", "bytes=0-", 1), "header-changed", "range"),
        (|head| head.replacen("myqcloud.com", "myqcloud.com:80", 1), "wrong-host", "host"),
        (|head| head.replacen("Range: bytes=0-9\r\n", "", 1), "header-missing", "range"),
    ];
    for (rewrite, cause, place) in table {
        assert_eq!(stand.send(get, rewrite).await, 403, "{cause}");
        let output = stand.explain(&[]).await;
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(shown.contains(&format!("cause: {cause}: ")), "{cause}\n{shown}");
        assert!(shown.contains(place), "{place}\n{shown}");
        assert!(shown.starts_with("GetObject: 403 SignatureDoesNotMatch"), "{shown}");
        not_a_secret(&stand, &shown);
    }
    let json = text(&stand.explain(&["--json"]).await.stdout);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["evidence"]["operation"], "GetObject");
    not_a_secret(&stand, &json);
    stand.close().await;
}

/// Neither token nor signature, in whatever encoding.
#[track_caller]
fn not_a_secret(stand: &Stand, text: &str) {
    let key = stand.emulator.accounts().latest().unwrap();
    let encoded = key.token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    for hidden in [&key.token, &encoded, &key.secret_key, &key.secret_id] {
        assert!(!text.contains(hidden.as_str()), "{text}");
    }
    assert!(!text.contains("q-signature"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_proxy_tells_that_cos_knows_another_secret() {
    let stand = Stand::open().await;
    assert_eq!(stand.send("GET /k HTTP/1.1", |head| head).await, 404);
    let accounts = stand.emulator.accounts();
    let mut key = (*accounts.latest().unwrap()).clone();
    key.secret_key = "AnotherSecretKey".to_owned();
    accounts.add_temporary(key);
    assert_eq!(stand.send("GET /k HTTP/1.1", |head| head).await, 403);
    let shown = text(&stand.explain(&[]).await.stdout);
    assert!(shown.contains("cause: wrong-secret: "), "{shown}");
    assert!(!shown.contains("first difference"), "{shown}");
    not_a_secret(&stand, &shown);
    stand.close().await;
}
