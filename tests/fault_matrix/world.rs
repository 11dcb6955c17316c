//! One cell's own world: servers that can be harmed, and the settings of a source aimed at them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        self, Fetched, Fetching, KeyMetrics, KeyReader, KeySetSettings, KeySource, RefreshError,
        Refresher, RefresherHandle, SourceError,
    },
    emulator::{
        accounts::Accounts,
        faults::{Fault, Service},
    },
    metrics::Registry,
    shutdown::Shutdown,
};

use crate::{
    gate::Mode,
    servers::{Harm, Servers},
    sources::{Place, Source, introduce},
};

/// How long each key lives: no key ends while a cell is run.
pub(crate) const KEY_LIFE: u64 = 600;

/// A new key every 0.3 to 0.6 s where the source has one, failures retried within moments.
const REFRESH: &str = r#"
[upstream]
bucket = "examplebucket-1250000000"
region = "ap-guangzhou"
[refresh]
from = 0.0005
to = 0.001
floor = "100ms"
least_remaining_life = "60s"
transient_base = "50ms"
transient_cap_least = "100ms"
transient_cap_most = "100ms"
transient_cap_without_key = "100ms"
throttled_base = "50ms"
throttled_cap = "100ms"
throttled_cap_without_key = "100ms"
operator_pause = "200ms"
operator_pause_without_key = "100ms"
parent_pause_least = "50ms"
parent_pause_most = "200ms"
unchanged_poll = "100ms"
unchanged_poll_near_end = "100ms"
"#;

/// Deadlines that a server which works meets on the busiest machine.
const PATIENT: &str = "connect_timeout = \"20s\"\nattempt_timeout = \"20s\"\n";
/// Deadlines to wait for.
const HASTY: &str = "connect_timeout = \"400ms\"\nattempt_timeout = \"800ms\"\n";

/// What is started.
pub(crate) struct Prepared {
    right: Vec<KeySetSettings>,
    /// The same led astray, where that is the trouble.
    astray: Vec<KeySetSettings>,
}

pub(crate) struct World {
    pub(crate) accounts: Accounts,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    harm: Harm,
    metrics: KeyMetrics,
    servers: Servers,
    led_astray: Arc<Mutex<bool>>,
    shutdown: Shutdown,
}

impl World {
    /// Everything works.
    pub(crate) async fn open(source: Source, harm: Harm) -> Self {
        let (accounts, shutdown) = (Accounts::new(), Shutdown::new());
        introduce(&accounts);
        let tls = matches!(harm, Harm::TlsGate(_) | Harm::Distrust);
        let mut servers = Servers::open(source, &accounts, KEY_LIFE, tls, &shutdown).await;
        servers.place.exec_timeout = if waits_for_deadlines(harm) { "800ms" } else { "20s" };
        let mut registry = Registry::new("test", 0);
        let metrics = KeyMetrics::register(registry.room());
        Self {
            accounts,
            clock: Clock::system(),
            registry,
            harm,
            metrics,
            servers,
            led_astray: Arc::default(),
            shutdown,
        }
    }

    /// The key sets of the source, the first under this name.
    pub(crate) fn prepare(&self, set: &str) -> Prepared {
        let place = &self.servers.place;
        let astray = astray(place.clone(), self.servers.source, self.harm);
        Prepared { right: self.load(place, set), astray: self.load(&astray, set) }
    }

    /// Starts the refresher of the source.
    pub(crate) fn start(&self, set: &str, prepared: Prepared) -> (KeyReader, RefresherHandle) {
        let Prepared { right, astray } = prepared;
        let (clock, metrics) = (&self.clock, &self.metrics);
        if !matches!(self.harm, Harm::Name | Harm::Distrust) {
            let started = credential::start_all(&right, clock, metrics, &self.shutdown);
            return started.unwrap().remove(0);
        }
        let switch = Switch {
            set: set.to_owned(),
            astray,
            right,
            led_astray: Arc::clone(&self.led_astray),
            clock: clock.clone(),
        };
        let settings = switch.right.first().unwrap().refresh.clone();
        let (refresher, reader, handle) = Refresher::new(
            set,
            Box::new(switch),
            settings,
            clock.clone(),
            metrics.clone(),
            fastrand::Rng::new(),
        );
        self.shutdown.spawn("key refresher", refresher.run(self.shutdown.clone()));
        (reader, handle)
    }

    fn load(&self, place: &Place, set: &str) -> Vec<KeySetSettings> {
        let deadlines = if waits_for_deadlines(self.harm) { HASTY } else { PATIENT };
        let source = self.servers.source;
        let text = format!("{REFRESH}{deadlines}{}", place.key_set(source, set));
        place.load(source, &text).unwrap().keys
    }

    /// From now on.
    pub(crate) async fn harm(&self) {
        self.servers.harm(self.harm).await;
        *self.led_astray.lock().unwrap() = true;
    }

    /// Everything works again.
    pub(crate) async fn mend(&self) {
        self.servers.mend().await;
        *self.led_astray.lock().unwrap() = false;
    }

    /// Where the trouble is, as messages name it.
    pub(crate) fn place_of_trouble(&self) -> String {
        self.servers.place_of(self.harm)
    }

    pub(crate) async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(Duration::from_secs(20)).await, "every task ends");
    }
}

/// Whether the trouble is the wait for a deadline.
fn waits_for_deadlines(harm: Harm) -> bool {
    match harm {
        Harm::Gate(mode) | Harm::TlsGate(mode) => mode != Mode::Shut,
        Harm::Server(fault) => matches!(fault, Fault::DripBody(_) | Fault::Slow(_)),
        // The one whose calls are made waits for the one that makes them.
        Harm::Caller(_) => true,
        Harm::Script(script) => script.contains("sleep"),
        Harm::Distrust
        | Harm::EndsAfter(_)
        | Harm::Name
        | Harm::File(_)
        | Harm::Written(_)
        | Harm::Program(_) => false,
    }
}

/// The same place where the server cannot be asked.
fn astray(mut place: Place, source: Source, harm: Harm) -> Place {
    match harm {
        Harm::Name => {
            // A label longer than DNS allows: every resolver refuses it without asking anybody.
            let name = format!("{}.invalid", "x".repeat(70));
            let url = match source.server() {
                Some(Service::Sts) => &mut place.sts,
                Some(Service::KeyServer | Service::Cos) | None => &mut place.key_server,
            };
            *url = url.replace("127.0.0.1", &name);
        }
        Harm::Distrust => place.ca_file = None,
        Harm::Gate(_)
        | Harm::TlsGate(_)
        | Harm::Server(_)
        | Harm::EndsAfter(_)
        | Harm::File(_)
        | Harm::Written(_)
        | Harm::Program(_)
        | Harm::Script(_)
        | Harm::Caller(_) => {}
    }
    place
}

/// A source whose server's name, or authority, is the right one or a wrong one, from one attempt to
/// the next: neither can be changed under a running source without changing the machine.
struct Switch {
    set: String,
    right: Vec<KeySetSettings>,
    astray: Vec<KeySetSettings>,
    led_astray: Arc<Mutex<bool>>,
    clock: Clock,
}

impl KeySource for Switch {
    fn kind(&self) -> &'static str {
        self.right.first().unwrap().source.kind()
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let led_astray = *self.led_astray.lock().unwrap();
            let sets = if led_astray { &self.astray } else { &self.right };
            match credential::once_of(sets, &self.set, &self.clock).await {
                Ok(credential) => Ok(Fetched { credential, request_id: None }),
                Err(RefreshError::Source(fault)) => Err(fault),
                Err(other) => Err(SourceError::Unreadable {
                    endpoint: "the test".to_owned(),
                    fault: other.to_string(),
                }),
            }
        })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
}
