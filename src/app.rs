//! Puts the rooms together, opens the house and closes it.

mod key_notes;
mod limits;
mod one_key;
mod online;
mod orders;
mod own_key;

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Timestamp},
    config::{self, Settings},
    control::{self, Control, ControlError},
    credential::{self, KeyMetrics, KeyReader, Narrowing},
    key_endpoint::{HandedOut, KeyEndpoint, KeyEndpointError, KeyEndpointMetrics},
    log::{self, LogError, LogHandle},
    metrics::{Labels, Meters, Registry},
    proxy::{Gate, Method, Operation, Reason, Scheme},
    server::{ListenAddress, Listener},
    shutdown::Shutdown,
    telemetry::{Health, Telemetry},
    transport::{self, BindError, Parts, SignatureErrors, Transport},
};

pub use one_key::{KeyForm, NoSingleKey, one_key};
pub use online::check_online;
pub use own_key::OwnKey;

/// This version, as `version`, `status` and `build_info` tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long the services of the operator may take to end, once the data path has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// As it was told to.
    Clean,
    /// The settings cannot be carried out.
    Configuration,
    /// An address could not be bound.
    CannotBind,
    /// A mistake in this program.
    Bug,
    /// Requests were still running when their time was over.
    DrainDeadline,
}

impl ExitReason {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Configuration => 64,
            Self::CannotBind => 69,
            Self::Bug => 70,
            Self::DrainDeadline => 75,
        }
    }
}

/// Why the house does not open. The text names the address or setting and the fix.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A data port cannot be had.
    #[error(transparent)]
    Data(#[from] BindError),
    /// The telemetry port cannot be had.
    #[error(
        "cannot listen for telemetry on {address}: {error}; choose another with --telemetry-address"
    )]
    Telemetry {
        /// As configured.
        address: ListenAddress,
        /// What the system said.
        error: io::Error,
    },
    /// The control port cannot be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The port that hands out keys cannot be had.
    #[error(transparent)]
    KeyEndpoint(#[from] KeyEndpointError),
    /// A key set cannot be kept.
    #[error(transparent)]
    Keys(#[from] credential::StartError),
    /// The data threads cannot start.
    #[error(transparent)]
    Threads(#[from] transport::StartError),
    /// The logs cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The operating system gave no event queue.
    #[error("cannot start the control thread: {0}")]
    Runtime(#[from] io::Error),
}

impl StartError {
    fn exit_reason(&self) -> ExitReason {
        match self {
            Self::Data(_) | Self::Telemetry { .. } | Self::Control(_) | Self::KeyEndpoint(_) => {
                ExitReason::CannotBind
            }
            Self::Keys(_) | Self::Log(_) | Self::Threads(transport::StartError::Tls(_)) => {
                ExitReason::Configuration
            }
            Self::Threads(transport::StartError::Thread(_)) | Self::Runtime(_) => ExitReason::Bug,
        }
    }
}

/// Serves until SIGTERM, SIGINT or an order to quit, then drains.
#[must_use]
pub fn run(settings: Settings) -> ExitReason {
    let started = log::init(&settings.log).map_err(StartError::from).and_then(|log| {
        limits::prepare(settings.transport.connections);
        let clock = Clock::configured(settings.clock.clone());
        let app = App::bind(settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("control")
            .build()?;
        let ended = runtime.block_on(app.run(clock, Some(log), until_signalled()));
        // A name that is still being resolved must not hold up the end.
        runtime.shutdown_background();
        ended
    });
    started.unwrap_or_else(|error| {
        // The logs may be what failed, and a person is waiting.
        drop(writeln!(io::stderr(), "cos-auth-proxy: {error}"));
        error.exit_reason()
    })
}

/// An opened house: every address is bound, nothing runs.
pub struct App {
    settings: Settings,
    transport: Transport,
    telemetry: Vec<Listener>,
    control: Vec<Listener>,
    key_endpoint: Vec<Listener>,
    watcher: Option<oneshot::Sender<StatusReader>>,
}

/// Tells how a running house is doing.
pub type StatusReader = Box<dyn Fn() -> control::Status + Send + Sync>;

/// Where an opened house listens, ports resolved.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Data.
    pub data: Vec<ListenAddress>,
    /// `/metrics` and health.
    pub telemetry: Vec<ListenAddress>,
    /// Orders.
    pub control: Vec<ListenAddress>,
    /// Keys for programs that sign themselves.
    pub key_endpoint: Vec<ListenAddress>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("bound", &self.bound()).finish_non_exhaustive()
    }
}

impl App {
    /// Binds every address. Clients that connect now wait in the kernel.
    ///
    /// # Errors
    /// [`StartError`] for the first address that cannot be had.
    pub fn bind(settings: Settings) -> Result<Self, StartError> {
        let transport = Transport::bind(settings.transport.clone())?;
        let telemetry = settings.telemetry.address.iter().map(|address| {
            Listener::bind(address)
                .map_err(|error| StartError::Telemetry { address: address.clone(), error })
        });
        let telemetry = telemetry.collect::<Result<_, _>>()?;
        let control = Control::bind(&settings.control)?;
        let key_endpoint = KeyEndpoint::bind(&settings.key_endpoint)?;
        Ok(Self { settings, transport, telemetry, control, key_endpoint, watcher: None })
    }

    /// Where it listens.
    #[must_use]
    pub fn bound(&self) -> Bound {
        let addresses =
            |listeners: &[Listener]| listeners.iter().map(|l| l.address().clone()).collect();
        Bound {
            data: self.transport.addresses(),
            telemetry: addresses(&self.telemetry),
            control: addresses(&self.control),
            key_endpoint: addresses(&self.key_endpoint),
        }
    }

    /// Gets, once the house runs, a way to look at it.
    pub fn watch(&mut self) -> oneshot::Receiver<StatusReader> {
        let (watcher, watched) = oneshot::channel();
        self.watcher = Some(watcher);
        watched
    }

    /// Serves until `stop` completes or control orders the end, then drains. A second completion of
    /// `stop` cuts the drain short.
    ///
    /// # Errors
    /// [`StartError`] when keys or threads cannot be started.
    pub async fn run(
        self,
        clock: Clock,
        log: Option<LogHandle>,
        mut stop: impl Stop,
    ) -> Result<ExitReason, StartError> {
        let bound = self.bound();
        let warnings = config::warnings(&self.settings);
        let Self { settings, transport, telemetry, control, key_endpoint, watcher } = self;
        let (shutdown, quit) = (Shutdown::new(), CancellationToken::new());
        let mut registry = Registry::new(VERSION, clock.now().unix_seconds());
        let key_metrics = KeyMetrics::register(registry.room());
        let endpoint_metrics = KeyEndpointMetrics::register(registry.room());
        let threads = transport.threads();
        let meters = Meters::new(labels(), threads);
        registry.room().register_collector(Box::new(Arc::clone(&meters)));

        let started = credential::start_all(&settings.keys, &clock, &key_metrics, &shutdown)?;
        let (readers, refreshers): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        // A key that only makes calls for another key set signs no request, so it makes nobody ready.
        let signs = |(at, _): &(usize, &KeyReader)| config::signs(&settings, *at);
        let signing = readers.iter().enumerate().filter(signs).map(|(_, r)| r.clone()).collect();
        let handed_out = handed_out(&settings, &readers, &clock, &key_metrics);
        let endpoint =
            KeyEndpoint::new(&settings.key_endpoint, handed_out, clock.clone(), endpoint_metrics);
        for listener in key_endpoint {
            let serving = Arc::clone(&endpoint).serve(listener, shutdown.clone());
            shutdown.spawn("key endpoint", log_failure("key endpoint", serving));
        }
        let signature_errors = SignatureErrors::default();
        let running = transport.start(&Parts {
            gate: Arc::new(Gate::new(&settings.proxy)),
            keys: readers.clone(),
            clock: clock.clone(),
            meters: Arc::clone(&meters),
            signature_errors: signature_errors.clone(),
            scheme: usual_scheme(&settings),
        })?;

        let view = View {
            bound,
            threads,
            readers,
            meters,
            warnings,
            draining: Arc::default(),
            signature_errors,
            started_at: clock.now(),
            clock,
        };
        let view = Arc::new(view);
        let health = Health::new(view.clock.clone(), signing, Arc::clone(&view.draining));
        let service = Telemetry::new(registry, health);
        for listener in telemetry {
            let serving = Arc::clone(&service).serve(listener, shutdown.clone());
            shutdown.spawn("telemetry", log_failure("telemetry", serving));
        }
        let service = Control::new(orders::actions(&view, refreshers, log, &quit));
        for listener in control {
            let serving = Arc::clone(&service).serve(listener, shutdown.clone());
            shutdown.spawn("control", log_failure("control", serving));
        }
        view.log_start();
        key_notes::log(&settings.key_notes);
        if let Some(watcher) = watcher {
            let view = Arc::clone(&view);
            drop(watcher.send(Box::new(move || view.status())));
        }

        tokio::select! {
            () = stop.next() => {}
            () = quit.cancelled() => tracing::info!("told to quit by control"),
        }
        view.draining.store(true, Ordering::Relaxed);
        tracing::info!(requests_in_flight = view.meters.requests_in_flight(), grace = ?settings.shutdown_grace, "draining");
        // In a hurry; but nothing is lost when nothing was under way. Looked at before the drain is
        // dropped, which cuts what is left.
        let hurried = async {
            stop.next().await;
            view.meters.requests_in_flight() == 0
        };
        let clean = tokio::select! {
            clean = running.drain(settings.shutdown_grace) => clean,
            clean = hurried => clean,
        };
        shutdown.begin();
        shutdown.finished(LAST_ANSWERS).await;
        if clean {
            tracing::info!("ended");
            return Ok(ExitReason::Clean);
        }
        tracing::warn!(
            requests_in_flight = view.meters.requests_in_flight(),
            "ended before every request was complete"
        );
        Ok(ExitReason::DrainDeadline)
    }
}

/// What `status` shows.
struct View {
    bound: Bound,
    threads: usize,
    readers: Vec<KeyReader>,
    meters: Arc<Meters>,
    warnings: Vec<String>,
    draining: Arc<AtomicBool>,
    signature_errors: SignatureErrors,
    started_at: Timestamp,
    clock: Clock,
}

impl View {
    fn log_start(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            version = VERSION,
            data = %list(&self.bound.data),
            telemetry = %list(&self.bound.telemetry),
            control = %list(&self.bound.control),
            key_endpoint = %list(&self.bound.key_endpoint),
            data_threads = self.threads,
            "listening"
        );
    }

    fn status(&self) -> control::Status {
        let now = self.clock.now();
        control::Status {
            version: VERSION,
            started_at: self.started_at.to_string(),
            uptime_seconds: now.since(self.started_at).as_secs(),
            listen: self.bound.data.iter().map(ToString::to_string).collect(),
            draining: self.draining.load(Ordering::Relaxed),
            data_threads: self.threads,
            requests_in_flight: self.meters.requests_in_flight(),
            requests_total: self.meters.requests_total(),
            client_connections: self.meters.client_connections(),
            clock_offset_millis: self.clock.offset_millis(),
            keys: self.readers.iter().map(|r| orders::key_status(r.status(now), now)).collect(),
        }
    }
}

/// The key sets that the key endpoint hands out, in the order it was told.
fn handed_out(
    settings: &Settings,
    readers: &[KeyReader],
    clock: &Clock,
    metrics: &KeyMetrics,
) -> Vec<HandedOut> {
    let find = |name: &String| {
        let set = settings.keys.iter().find(|set| set.name == *name)?;
        let keys = readers.iter().find(|reader| reader.name() == name)?.clone();
        let parent = readers.iter().find(|reader| set.via() == Some(reader.name())).cloned();
        let narrowing = Narrowing::new(set.clone(), parent, clock.clone(), metrics.clone());
        Some(HandedOut { keys, narrowing })
    };
    settings.key_endpoint.keys.iter().filter_map(find).collect()
}

fn labels() -> Labels {
    // Made once per process; the metrics keep them to its end.
    let names = |all: Vec<&'static str>| -> &'static [&'static str] { all.leak() };
    Labels {
        operations: names(Operation::ALL.iter().map(|o| o.name()).collect()),
        methods: names(Method::ALL.iter().map(|m| m.name()).collect()),
        reasons: names(Reason::ALL.iter().map(|r| r.name()).collect()),
    }
}

fn usual_scheme(settings: &Settings) -> Scheme {
    if settings.proxy.endpoint.starts_with("https:") { Scheme::Https } else { Scheme::Http }
}

fn list(addresses: &[ListenAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

async fn log_failure(name: &'static str, serving: impl Future<Output = io::Result<()>>) {
    if let Err(problem) = serving.await {
        tracing::error!(service = name, %problem, "a service of the operator ended");
    }
}

/// What ends a running house, more than once if need be.
pub trait Stop {
    /// Completes when the house shall close; called again while it drains.
    fn next(&mut self) -> impl Future<Output = ()>;
}

/// SIGTERM or SIGINT.
struct Signals {
    terminate: Option<tokio::signal::unix::Signal>,
    interrupt: Option<tokio::signal::unix::Signal>,
}

/// Stops at SIGTERM or SIGINT.
#[must_use]
pub fn until_signalled() -> impl Stop {
    Signals { terminate: None, interrupt: None }
}

impl Stop for Signals {
    async fn next(&mut self) {
        // Registered here, on the control thread's runtime.
        let terminate = self.terminate.take().or_else(|| signal(SignalKind::terminate()).ok());
        let interrupt = self.interrupt.take().or_else(|| signal(SignalKind::interrupt()).ok());
        let (Some(mut terminate), Some(mut interrupt)) = (terminate, interrupt) else {
            return std::future::pending().await;
        };
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "told to end");
        self.terminate = Some(terminate);
        self.interrupt = Some(interrupt);
    }
}
