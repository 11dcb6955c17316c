//! The product's transport and refresher between a client of the test and an emulated COS and STS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        self, Endpoint, FederationTokenSettings, KeyMetrics, KeyReader, KeySetSettings, ParentKey,
        RefreshSettings, RefresherHandle, SourceSettings, StaticSettings, StsSettings,
    },
    emulator::{Emulator, EmulatorSettings, accounts::Account, faults::Service},
    http1::Limits,
    metrics::{Labels, Meters, Registry},
    proxy::{Gate, Method, Operation, ProxySettings, Reason, Scheme},
    secret::{SecretId, SecretKey},
    shutdown::Shutdown,
    transport::{ListenAddress, Parts, Running, SignatureErrors, Transport, TransportSettings},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) const BUCKET: &str = "examplebucket-1250000000";
const SECRET_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
const SECRET_KEY: &str = "ExampleSecretKeyExampleSecretKey01";

/// No step of a test may take longer: a hang is a failure that says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) emulator: Emulator,
    /// The product's clock; the emulator has the machine's.
    pub(crate) clock: Clock,
    pub(crate) reader: KeyReader,
    pub(crate) handle: RefresherHandle,
    address: SocketAddr,
    registry: Registry,
    running: Option<Running>,
    shutdown: Shutdown,
}

/// What a test may change before the house opens.
pub(crate) struct Plan {
    pub(crate) key_patience: Duration,
    pub(crate) try_expired_keys: bool,
    pub(crate) replay_body_bytes: usize,
    pub(crate) refresh: RefreshSettings,
    /// Signs with the account's own key, of which there is no other.
    pub(crate) static_key: bool,
    /// How far COS and STS are ahead of the machine, in seconds.
    pub(crate) servers_ahead: i64,
}

impl Plan {
    pub(crate) fn usual() -> Self {
        Self {
            key_patience: PATIENCE,
            try_expired_keys: false,
            replay_body_bytes: 0,
            refresh: RefreshSettings { forced_burst: 100, ..RefreshSettings::default() },
            static_key: false,
            servers_ahead: 0,
        }
    }

    pub(crate) async fn open(self) -> House {
        let shutdown = Shutdown::new();
        let emulator =
            Emulator::start(EmulatorSettings::default(), Clock::system(), &shutdown).await.unwrap();
        emulator.accounts().add_account(Account::example(SECRET_ID, SECRET_KEY));
        emulator.accounts().set_clock_offset(self.servers_ahead);
        let clock = Clock::following_tokio(Clock::system().now());
        let mut registry = Registry::new("test", 0);
        let key_metrics = KeyMetrics::register(registry.room());
        let settings = KeySetSettings {
            refresh: self.refresh.clone(),
            ..KeySetSettings::new("default", source(&emulator, self.static_key))
        };
        let (reader, handle) =
            credential::start(&settings, &clock, &key_metrics, &shutdown).unwrap();
        let names = |all: Vec<&'static str>| -> &'static [&'static str] { all.leak() };
        let meters = Meters::new(
            Labels {
                operations: names(Operation::ALL.iter().map(|o| o.name()).collect()),
                methods: names(Method::ALL.iter().map(|m| m.name()).collect()),
                reasons: names(Reason::ALL.iter().map(|r| r.name()).collect()),
            },
            2,
        );
        registry.room().register_collector(Box::new(Arc::clone(&meters)));
        let proxy = ProxySettings {
            bucket: Some(BUCKET.to_owned()),
            region: Some("ap-guangzhou".to_owned()),
            endpoint: "http://{bucket}.cos.{region}.myqcloud.com".to_owned(),
            service_endpoint: "http://service.cos.myqcloud.com".to_owned(),
            connect_to: Some(emulator.cos_address().to_string()),
            ..ProxySettings::default()
        };
        let transport = Transport::bind(self.transport()).unwrap();
        let ListenAddress::Tcp(address) = transport.addresses()[0].clone() else { panic!("TCP") };
        let parts = Parts {
            gate: Arc::new(Gate::new(&proxy)),
            keys: vec![reader.clone()],
            clock: clock.clone(),
            meters,
            signature_errors: SignatureErrors::default(),
            scheme: Scheme::Http,
        };
        let running = Some(transport.start(&parts).unwrap());
        House { emulator, clock, reader, handle, address, registry, running, shutdown }
    }

    fn transport(&self) -> TransportSettings {
        TransportSettings {
            listen: vec![ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())],
            threads: 2,
            connections: 10_000,
            request_limits: Limits { head_bytes: 65_536, fields: 100, target_bytes: 16_384 },
            head_timeout: PATIENCE,
            body_min_rate: 0,
            requests_per_connection: 0,
            client_idle_timeout: PATIENCE,
            connect_timeout: PATIENCE,
            first_byte_timeout: PATIENCE,
            stall_timeout: PATIENCE,
            pool_idle_timeout: PATIENCE,
            pool_idle_per_thread: 64,
            splice: true,
            ca_file: None,
            key_patience: self.key_patience,
            access_log: false,
            held_body_bytes: 1 << 20,
            replay_body_bytes: self.replay_body_bytes,
            try_expired_keys: self.try_expired_keys,
        }
    }
}

fn source(emulator: &Emulator, is_static: bool) -> SourceSettings {
    let key = ParentKey::new(
        SecretId::new(SECRET_ID).unwrap(),
        SecretKey::new(SECRET_KEY).unwrap(),
        None,
    );
    if is_static {
        return SourceSettings::Static(StaticSettings { key, expires_at: None });
    }
    SourceSettings::FederationToken(FederationTokenSettings {
        sts: StsSettings {
            endpoint: Endpoint::new(&format!("http://{}", emulator.sts_address())).unwrap(),
            ..StsSettings::default()
        },
        parent: key,
        session_name: "cos-auth-proxy".to_owned(),
        policy: credential::bucket_policy("ap-guangzhou", BUCKET),
        duration: Duration::from_secs(7200),
    })
}

impl House {
    /// With an object, so that GETs have something to get, and a connection and a key in use.
    pub(crate) async fn furnished(plan: Plan) -> Self {
        let house = plan.open().await;
        assert_eq!(house.put("/a.txt", b"hello").await.status, 200);
        house
    }

    pub(crate) async fn get(&self) -> Answer {
        self.send("GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"").await
    }

    pub(crate) async fn put(&self, path: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        self.send(&head, body).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, head: &str, body: &[u8]) -> Answer {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body).await.unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            String::from_utf8(read).unwrap()
        };
        let text = timeout(PATIENCE, exchange).await.expect("no answer");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// How often STS was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.emulator.seen().count(Service::Sts)
    }

    /// Requests that were sent again, by the reason.
    pub(crate) fn retries(&self, reason: &str) -> u64 {
        self.counter(&format!("upstream_retries_total{{reason=\"{reason}\"}}"))
    }

    pub(crate) fn counter(&self, series: &str) -> u64 {
        let metrics = self.registry.encode();
        let name = format!("cos_auth_proxy_{series} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// The machine sleeps: its clocks and those of COS and STS go on, its timers do not.
    pub(crate) fn sleeps(&self, span: Duration) {
        let ahead = self.emulator.accounts().clock_offset();
        let seconds = i64::try_from(span.as_secs()).unwrap();
        self.emulator.accounts().set_clock_offset(ahead + seconds);
        self.clock.suspend(span);
    }

    pub(crate) async fn close(mut self) {
        assert!(self.running.take().unwrap().drain(PATIENCE).await, "nothing is left");
        self.shutdown.begin();
        assert!(self.shutdown.finished(PATIENCE).await, "every task ends");
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    #[track_caller]
    pub(crate) fn is_hello(&self) {
        assert_eq!((self.status, self.body.as_str()), (200, "hello"), "{self:?}");
    }
}
