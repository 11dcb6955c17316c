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
    emulator::{accounts::Accounts, faults::Fault},
    metrics::Registry,
    shutdown::Shutdown,
};

use crate::{
    gate::{Certificate, Mode},
    servers::{Harm, Servers},
    sources::{Place, Source, introduce},
};

/// How long each key lives: no key ends while a cell is run.
pub(crate) const KEY_LIFE: u64 = 600;

/// `[refresh]`: a new key every 0.3 to 0.6 s, failures retried within moments.
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

pub(crate) struct World {
    pub(crate) source: Source,
    pub(crate) accounts: Accounts,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) registry: Registry,
    metrics: KeyMetrics,
    servers: Servers,
    settings: KeySetSettings,
    /// The same aimed at a name that does not resolve, or trusting nobody.
    astray: KeySetSettings,
    led_astray: Arc<Mutex<bool>>,
    through_switch: bool,
    _folder: tempfile::TempDir,
}

impl World {
    /// Everything works.
    pub(crate) async fn open(source: Source, harm: Harm) -> Self {
        let shutdown = Shutdown::new();
        let accounts = Accounts::new();
        introduce(&accounts);
        let folder = tempfile::tempdir().unwrap();
        let certificate = matches!(harm, Harm::TlsGate(_) | Harm::Distrust).then(Certificate::new);
        let tls = certificate.as_ref().map(|made| &made.acceptor);
        let servers = Servers::open(&accounts, KEY_LIFE, tls, &shutdown).await;
        let mut place = Place::plain(servers.sts, servers.key_server, folder.path());
        if let Some(made) = &certificate {
            let ca_file = folder.path().join("ca.pem");
            std::fs::write(&ca_file, &made.ca_pem).unwrap();
            place.ca_file = Some(ca_file);
            place.sts = format!("https://localhost:{}", servers.sts.port());
            place.key_server = format!("https://localhost:{}", servers.key_server.port());
        }
        let deadlines = if waits_for_deadlines(harm) { HASTY } else { PATIENT };
        let settings = load(&place, source, deadlines);
        let astray = load(&astray(place, harm), source, deadlines);
        let mut registry = Registry::new("test", 0);
        let metrics = KeyMetrics::register(registry.room());
        Self {
            source,
            accounts,
            clock: Clock::system(),
            shutdown,
            registry,
            metrics,
            servers,
            settings,
            astray,
            led_astray: Arc::default(),
            through_switch: matches!(harm, Harm::Name | Harm::Distrust),
            _folder: folder,
        }
    }

    /// Starts the source's refresher under a name of its own.
    pub(crate) fn start(&self, set: &str) -> (KeyReader, RefresherHandle) {
        let settings = KeySetSettings { name: set.to_owned(), ..self.settings.clone() };
        if !self.through_switch {
            let started = credential::start(&settings, &self.clock, &self.metrics, &self.shutdown);
            return started.unwrap();
        }
        let switch = Switch {
            right: self.settings.clone(),
            astray: self.astray.clone(),
            led_astray: Arc::clone(&self.led_astray),
            clock: self.clock.clone(),
        };
        let (refresher, reader, handle) = Refresher::new(
            set,
            Box::new(switch),
            settings.refresh,
            self.clock.clone(),
            self.metrics.clone(),
            fastrand::Rng::new(),
        );
        self.shutdown.spawn("key refresher", refresher.run(self.shutdown.clone()));
        (reader, handle)
    }

    /// From now on.
    pub(crate) fn harm(&self, harm: Harm) {
        self.servers.harm(harm);
        *self.led_astray.lock().unwrap() = matches!(harm, Harm::Name | Harm::Distrust);
    }

    /// Everything works again.
    pub(crate) fn mend(&self) {
        self.servers.mend();
        *self.led_astray.lock().unwrap() = false;
    }

    /// Where the source asks, as its messages name it.
    pub(crate) fn endpoint(&self) -> String {
        let port = match self.source {
            Source::FederationToken | Source::AssumeRole => self.servers.sts.port(),
            Source::Http => self.servers.key_server.port(),
            Source::Static => 0,
        };
        format!(":{port}")
    }

    pub(crate) async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(Duration::from_secs(20)).await, "every task ends");
    }
}

fn load(place: &Place, source: Source, deadlines: &str) -> KeySetSettings {
    let text = format!("{REFRESH}{deadlines}{}", place.key_set(source, "default"));
    place.load(source, &text).unwrap().keys.remove(0)
}

/// Whether the trouble is the wait for a deadline.
fn waits_for_deadlines(harm: Harm) -> bool {
    match harm {
        Harm::Gate(mode) | Harm::TlsGate(mode) => mode != Mode::Shut,
        Harm::Server(fault) => matches!(fault, Fault::DripBody(_) | Fault::Slow(_)),
        Harm::Distrust | Harm::EndsAfter(_) | Harm::Name => false,
    }
}

/// The same place where nothing can be asked.
fn astray(place: Place, harm: Harm) -> Place {
    match harm {
        // A label longer than DNS allows: every resolver refuses it without asking anybody.
        Harm::Name => {
            let name = "x".repeat(70);
            let moved = |url: &str| url.replace("127.0.0.1", &format!("{name}.invalid"));
            Place { sts: moved(&place.sts), key_server: moved(&place.key_server), ..place }
        }
        Harm::Distrust => Place { ca_file: None, ..place },
        Harm::Gate(_) | Harm::TlsGate(_) | Harm::Server(_) | Harm::EndsAfter(_) => place,
    }
}

/// A source whose server's name, or authority, is the right one or a wrong one, from one attempt to
/// the next: neither can be changed under a running source without changing the machine.
struct Switch {
    right: KeySetSettings,
    astray: KeySetSettings,
    led_astray: Arc<Mutex<bool>>,
    clock: Clock,
}

impl KeySource for Switch {
    fn kind(&self) -> &'static str {
        self.right.source.kind()
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let led_astray = *self.led_astray.lock().unwrap();
            let settings = if led_astray { &self.astray } else { &self.right };
            match credential::once(settings, &self.clock).await {
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
