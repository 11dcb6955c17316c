//! A data thread with all it needs and nothing around it: its clients come in memory, and its calls
//! upstream arrive at whoever plays upstream.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
use crate::metrics::Registry;
use crate::{
    clock::{Clock, Timestamp},
    credential::{Credential, KeyWriter, channel},
    http1::Limits,
    metrics::{Labels, Meters},
    proxy::{Gate, Method, Operation, ProxySettings, Reason},
    secret::{BadSecret, SecretId, SecretKey, SessionToken},
    transport::{
        SignatureErrors, TransportSettings,
        buffers::Budget,
        places::Places,
        threads::Seed,
        worker::{Arrived, ArrivedStream, Place, Worker},
    },
};

use super::{Call, Dialer, Socket, Whims, pair};

/// When the world of a house begins: signatures are the same in every run.
const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

pub(in crate::transport) struct House {
    pub(in crate::transport) worker: Rc<Worker>,
    #[cfg(test)]
    registry: Registry,
    /// Keeps the key there.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests renew it"))]
    keys: KeyWriter,
    #[cfg(test)]
    renewed: u32,
    door: Option<Door>,
    #[cfg_attr(not(test), expect(dead_code, reason = "simulations look at it"))]
    load: Arc<AtomicUsize>,
}

/// Where clients get in.
#[derive(Clone)]
pub(in crate::transport) struct Door {
    inbox: mpsc::UnboundedSender<Arrived>,
    load: Arc<AtomicUsize>,
    places: Arc<Places>,
}

/// What the rooms of a house are given, as the names in a configuration file.
pub(in crate::transport) struct HouseSettings {
    pub(in crate::transport) transport: TransportSettings,
    /// What all large buffers may hold together.
    pub(in crate::transport) budget: usize,
}

impl HouseSettings {
    pub(in crate::transport) fn usual() -> Self {
        let transport = TransportSettings {
            listen: Vec::new(),
            threads: 1,
            connections: 1000,
            request_limits: Limits { head_bytes: 64 * 1024, fields: 100, target_bytes: 16 * 1024 },
            head_timeout: Duration::from_secs(10),
            body_min_rate: 0,
            requests_per_connection: 0,
            client_idle_timeout: Duration::from_secs(75),
            connect_timeout: Duration::from_secs(2),
            first_byte_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(15),
            pool_idle_timeout: Duration::from_secs(50),
            pool_idle_per_thread: 16,
            splice: false,
            ca_file: None,
            key_patience: Duration::from_secs(3),
            access_log: false,
            held_body_bytes: 1 << 20,
            replay_body_bytes: 0,
            try_expired_keys: false,
        };
        Self { transport, budget: 16 << 20 }
    }
}

impl House {
    /// A house, where its clients arrive, and where its calls upstream do. The arrivals are for
    /// [`worker::run`].
    ///
    /// # Errors
    /// None: the planted key is well formed.
    pub(in crate::transport) fn build(
        settings: HouseSettings,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Arrived>, mpsc::UnboundedReceiver<Call>), BadSecret>
    {
        let HouseSettings { transport, budget } = settings;
        let clock = Clock::following_tokio(EPOCH);
        let meters = meters();
        #[cfg(test)]
        let registry = {
            let mut registry = Registry::default();
            registry.room().register_collector(Box::new(Arc::clone(&meters)));
            registry
        };
        let (keys, reader) = channel();
        keys.publish(key(&clock, "AKIDinmemoryinmemoryinmemory")?);
        let gate = Gate::new(&ProxySettings {
            bucket: Some("examplebucket-1250000000".to_owned()),
            region: Some("ap-guangzhou".to_owned()),
            endpoint: "http://{bucket}.cos.{region}.myqcloud.com".to_owned(),
            ..ProxySettings::default()
        });
        let (dialer, calls) = Dialer::new();
        let meter = meters.meter(0);
        let places = Places::new(transport.connections, Arc::clone(&meter));
        let mut worker = Seed {
            settings: Arc::new(transport),
            gate: Arc::new(gate),
            keys: [reader].into(),
            clock,
            meter,
            signature_errors: SignatureErrors::default(),
            tls: None,
            budget: Budget::new(budget),
            places: Arc::clone(&places),
            draining: CancellationToken::new(),
            kill: CancellationToken::new(),
        }
        .grow();
        worker.connector.memory = Some(dialer);
        let (inbox, arrivals) = mpsc::unbounded_channel();
        let load = Arc::<AtomicUsize>::default();
        let house = Self {
            worker: Rc::new(worker),
            #[cfg(test)]
            registry,
            keys,
            #[cfg(test)]
            renewed: 0,
            door: Some(Door { inbox, load: Arc::clone(&load), places }),
            load,
        };
        Ok((house, arrivals, calls))
    }

    /// Where clients get in, until the house closes.
    pub(in crate::transport) fn door(&self) -> Option<Door> {
        self.door.clone()
    }

    /// No further client gets in.
    #[cfg(test)]
    pub(in crate::transport) fn close(&mut self) {
        self.door = None;
    }

    /// The next key comes.
    #[cfg(test)]
    pub(in crate::transport) fn renew_key(&mut self) {
        self.renewed += 1;
        let id = format!("AKIDinmemory{:016}", self.renewed);
        if let Ok(key) = key(&self.worker.clock, &id) {
            self.keys.publish(key);
        }
    }

    /// How many client connections are open.
    #[cfg(test)]
    pub(in crate::transport) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// The value of a series, given without its prefix; 0 if it is not there.
    #[cfg(test)]
    pub(in crate::transport) fn series(&self, name: &str) -> i64 {
        let text = self.registry.encode();
        let name = format!("cos_auth_proxy_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

impl Door {
    /// A client connection, as soon as there is a place: the client's end. The whims are the
    /// driver's.
    pub(in crate::transport) async fn connect(self, room: usize, whims: Whims) -> Option<Socket> {
        let permit = self.places.take().await?;
        let (ours, theirs) = pair(room, whims);
        self.load.fetch_add(1, Ordering::Relaxed);
        let place = Place { load: self.load, _permit: permit };
        self.inbox.send(Arrived { stream: Ok(ArrivedStream::Memory(ours)), place }).ok()?;
        Some(theirs)
    }
}

fn meters() -> Arc<Meters> {
    let names = |all: Vec<&'static str>| -> &'static [&'static str] { all.leak() };
    thread_local! {
        static LABELS: std::cell::OnceCell<Labels> = const { std::cell::OnceCell::new() };
    }
    let labels = LABELS.with(|labels| {
        *labels.get_or_init(|| Labels {
            operations: names(Operation::ALL.iter().map(|o| o.name()).collect()),
            methods: names(Method::ALL.iter().map(|m| m.name()).collect()),
            reasons: names(Reason::ALL.iter().map(|r| r.name()).collect()),
        })
    });
    Meters::new(labels, 1)
}

fn key(clock: &Clock, id: &str) -> Result<Credential, BadSecret> {
    Ok(Credential {
        id: SecretId::new(id)?,
        secret: SecretKey::new("inmemorysecretkey")?,
        token: Some(SessionToken::new("inmemorytoken")?),
        expires_at: Some(clock.now() + Duration::from_secs(24 * 3600)),
        received_at: clock.now(),
    })
}
