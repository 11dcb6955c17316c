//! The stage: a transport on a free port, and an upstream whose every byte the test decides.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cos_auth_proxy::{
    clock::Clock,
    credential::{Credential, KeyMetrics, KeyWriter, channel},
    http1::Limits,
    metrics::{Labels, Meters, Registry},
    proxy::{Gate, Method, Operation, PathStyle, ProxySettings, Reason, Scheme},
    secret::{SecretId, SecretKey, SessionToken},
    transport::{ListenAddress, Parts, Running, SignatureErrors, Transport, TransportSettings},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// No step of a test may take longer: a hang is a failure that says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) addresses: Vec<ListenAddress>,
    pub(crate) upstream: TcpListener,
    pub(crate) writer: Option<KeyWriter>,
    /// Of the second key set, which has no key yet.
    pub(crate) second: KeyWriter,
    pub(crate) running: Option<Running>,
    pub(crate) registry: Registry,
    pub(crate) meters: Arc<Meters>,
}

/// What a test may change before the house opens.
pub(crate) struct Plan {
    pub(crate) transport: TransportSettings,
    pub(crate) proxy: ProxySettings,
    pub(crate) with_key: bool,
    /// The upstream address refuses connections.
    pub(crate) nobody_upstream: bool,
    /// An upstream of the test's own.
    pub(crate) connect_to: Option<SocketAddr>,
}

impl Plan {
    pub(crate) fn usual() -> Self {
        Self {
            transport: TransportSettings {
                listen: vec![ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())],
                threads: 1,
                connections: 1000,
                request_limits: Limits {
                    head_bytes: 64 * 1024,
                    fields: 100,
                    target_bytes: 16 * 1024,
                },
                head_timeout: PATIENCE,
                body_min_rate: 0,
                requests_per_connection: 0,
                client_idle_timeout: PATIENCE,
                connect_timeout: PATIENCE,
                first_byte_timeout: PATIENCE,
                stall_timeout: PATIENCE,
                pool_idle_timeout: PATIENCE,
                pool_idle_per_thread: 16,
                splice: true,
                ca_file: None,
                key_patience: Duration::from_millis(300),
                access_log: false,
                held_body_bytes: 1 << 20,
                replay_body_bytes: 0,
                try_expired_keys: false,
            },
            proxy: ProxySettings {
                bucket: Some("examplebucket-1250000000".to_owned()),
                region: Some("ap-guangzhou".to_owned()),
                endpoint: "http://{bucket}.cos.{region}.myqcloud.com".to_owned(),
                service_endpoint: "http://service.cos.myqcloud.com".to_owned(),
                connect_to: None,
                domains: Vec::new(),
                host_families: vec!["myqcloud.com".to_owned(), "tencentcos.cn".to_owned()],
                allowed_hosts: Vec::new(),
                path_style: PathStyle::Auto,
                held_body_bytes: 1 << 20,
                ..ProxySettings::default()
            },
            with_key: true,
            nobody_upstream: false,
            connect_to: None,
        }
    }

    pub(crate) async fn open(mut self) -> House {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut target = upstream.local_addr().unwrap();
        if self.nobody_upstream {
            // A port of ours that nobody listens on and nobody else gets.
            let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            target = taken.local_addr().unwrap();
        }
        let target = self.connect_to.unwrap_or(target);
        self.proxy.connect_to = Some(target.to_string());
        let clock = Clock::system();
        let mut registry = Registry::new("test", 0);
        let key_metrics = KeyMetrics::register(registry.room());
        let (writer, keys) = channel();
        let writer = writer.counting(key_metrics);
        let (second, more_keys) = channel();
        if self.with_key {
            writer.publish(example_key(&clock));
        }
        let names = |all: Vec<&'static str>| -> &'static [&'static str] { all.leak() };
        let meters = Meters::new(
            Labels {
                operations: names(Operation::ALL.iter().map(|o| o.name()).collect()),
                methods: names(Method::ALL.iter().map(|m| m.name()).collect()),
                reasons: names(Reason::ALL.iter().map(|r| r.name()).collect()),
            },
            1,
        );
        registry.room().register_collector(Box::new(Arc::clone(&meters)));
        let transport = Transport::bind(self.transport).unwrap();
        let addresses = transport.addresses();
        let address = addresses.iter().find_map(|address| match address {
            ListenAddress::Tcp(tcp) => Some(*tcp),
            ListenAddress::Unix(_) => None,
        });
        let address = address.expect("one address is TCP");
        let parts = Parts {
            gate: Arc::new(Gate::new(&self.proxy)),
            keys: vec![keys, more_keys],
            clock,
            meters: Arc::clone(&meters),
            signature_errors: SignatureErrors::default(),
            scheme: if self.proxy.endpoint.starts_with("https") {
                Scheme::Https
            } else {
                Scheme::Http
            },
        };
        let running = Some(transport.start(&parts).unwrap());
        House {
            address,
            addresses,
            upstream,
            writer: Some(writer),
            second,
            running,
            registry,
            meters,
        }
    }
}

pub(crate) fn example_key(clock: &Clock) -> Credential {
    Credential {
        id: SecretId::new("AKIDwiretestwiretestwiretest").unwrap(),
        secret: SecretKey::new("wiretestsecretkey").unwrap(),
        token: Some(SessionToken::new("wiretesttoken").unwrap()),
        expires_at: Some(clock.now() + Duration::from_secs(3600)),
        received_at: clock.now(),
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        Plan::usual().open().await
    }

    /// A client connection.
    pub(crate) async fn client(&self) -> Wire {
        Wire::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// The next connection the proxy opens towards upstream.
    pub(crate) async fn upstream(&self) -> Wire {
        let (stream, _) = timeout(PATIENCE, self.upstream.accept())
            .await
            .expect("no upstream connection")
            .unwrap();
        Wire::new(stream)
    }

    /// Whether the proxy opens a connection towards upstream within a moment.
    pub(crate) async fn upstream_is_called(&self) -> bool {
        timeout(Duration::from_millis(100), self.upstream.accept()).await.is_ok()
    }

    /// The value of a series, given without its prefix; 0 if it is not there.
    pub(crate) fn counter(&self, series: &str) -> u64 {
        let metrics = self.registry.encode();
        let name = format!("cos_auth_proxy_{series} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) async fn drain(&mut self, patience: Duration) -> bool {
        self.running.take().unwrap().drain(patience).await
    }
}

/// One end of a connection, with what was read and not used.
pub(crate) struct Wire<S = TcpStream> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let all = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, all).await.expect("nobody takes the bytes").unwrap();
    }

    /// Reads up to and including the blank line.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            assert!(
                self.more().await,
                "closed inside a head: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Reads exactly `n` bytes.
    pub(crate) async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.read.len() < n {
            assert!(self.more().await, "closed after {} of {n} bytes", self.read.len());
        }
        self.read.drain(..n).collect()
    }

    /// Reads until the other side closes or resets.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// Whether the other side closes without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    /// Whether the other side ends the connection with a reset rather than in order.
    pub(crate) async fn is_reset(&mut self) -> bool {
        let mut piece = [0; 1024];
        match timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("nothing arrives") {
            Ok(0) => false,
            Ok(n) => panic!("{n} more bytes"),
            Err(problem) => problem.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// A head and the body its Content-Length promises.
    pub(crate) async fn message(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        let length = field(&head, "content-length").map_or(0, |v| v.parse().unwrap());
        let body = self.exactly(length).await;
        (head, body)
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 65536];
        match timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("nothing arrives") {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.read.extend_from_slice(&piece[..n]);
                true
            }
        }
    }
}

/// Plays one side while the test plays the other; the test waits for it.
#[expect(clippy::disallowed_methods, reason = "the test awaits the task and ends with it")]
pub(crate) fn background<T: Send + 'static>(
    part: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(part)
}

/// The value of a header in a head, by lower-case name.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The status of an answer's head.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The reason the proxy gives for an answer of its own.
pub(crate) fn reason(head: &str) -> Option<&str> {
    field(head, "x-cos-auth-proxy-error")
}
