//! Opening the data ports, starting the data threads and ending them.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    clock::Clock,
    credential::KeyReader,
    metrics::Meters,
    proxy::{Composer, Gate, Scheme},
    server::Listener,
    shutdown::Shutdown,
};

use super::{
    BindError, ListenAddress, SignatureErrors, TlsError, TransportSettings,
    buffers::{Budget, Buffers},
    client_config,
    listen::{self, Door},
    places::Places,
    pool::Pool,
    splice::Pipes,
    upstream::Connector,
    worker::{self, Arrived, Worker},
};

/// What all threads together may hold in large buffers: 64 transfers at once stay under 40 MiB.
const BUFFER_BUDGET: usize = 16 * 1024 * 1024;
/// Threads of each data thread's own pool that resolve names.
const RESOLVER_THREADS: usize = 2;

/// Connections served between two looks at the sockets, if so many wait. A small request is served
/// in four steps, so this is the runtime's usual interval twice: what has arrived is then mostly
/// read before any of it is answered.
const POLLS_PER_LOOK: u32 = 122;

/// How long cut threads may take to close their sockets.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// Why the data threads cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS towards upstream cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system gave no thread or no event queue.
    #[error("cannot start a data thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What the data threads need from the other rooms.
pub struct Parts {
    /// Admission.
    pub gate: Arc<Gate>,
    /// The keys, one reader for each key set; an [`crate::proxy::Admitted`] says which one signs.
    pub keys: Vec<KeyReader>,
    /// The time.
    pub clock: Clock,
    /// The metrics, one shard per thread.
    pub meters: Arc<Meters>,
    /// Where the last refused signature is remembered.
    pub signature_errors: SignatureErrors,
    /// What upstream usually speaks: decides whether missing roots are an error at start.
    pub scheme: Scheme,
}

/// Open data ports that nobody serves yet: connections wait in the kernel.
#[derive(Debug)]
pub struct Transport {
    settings: Arc<TransportSettings>,
    listeners: Vec<Listener>,
}

/// Data threads at work.
#[derive(Debug)]
pub struct Running {
    drain: CancellationToken,
    /// Cuts what is left when this is dropped.
    kill: DropGuard,
    ended: watch::Receiver<()>,
    accepting: Shutdown,
}

impl Transport {
    /// Opens the data ports.
    ///
    /// # Errors
    /// [`BindError`] names the address and the fix.
    pub fn bind(settings: TransportSettings) -> Result<Self, BindError> {
        let listeners = listen::bind(&settings.listen)?;
        Ok(Self { settings: Arc::new(settings), listeners })
    }

    /// The addresses as bound (port 0 resolved).
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.listeners.iter().map(|listener| listener.address().clone()).collect()
    }

    /// How many data threads there will be.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.settings.threads {
            // Counts the cores the process may use, cgroup quota included.
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// Starts the data threads, and the accept loops on the calling runtime.
    ///
    /// # Errors
    /// [`StartError`] when TLS is unusable or threads cannot be had.
    pub fn start(self, parts: &Parts) -> Result<Running, StartError> {
        let tls = match client_config(self.settings.ca_file.as_deref()) {
            Ok(config) => Some(config),
            Err(TlsError::NoRoots) if parts.scheme == Scheme::Http => None,
            Err(error) => return Err(error.into()),
        };
        let (drain, kill) = (CancellationToken::new(), CancellationToken::new());
        let (alive, ended) = watch::channel(());
        let budget = Budget::new(BUFFER_BUDGET);
        let keys: Arc<[KeyReader]> = parts.keys.clone().into();
        let alive = Arc::new(alive);
        let places = Places::new(self.settings.connections, parts.meters.meter(0));
        let mut doors = Vec::new();
        for number in 0..self.threads() {
            let (inbox, arrivals) = mpsc::unbounded_channel();
            doors.push(Door { inbox, load: Arc::new(AtomicUsize::new(0)) });
            let seed = Seed {
                settings: Arc::clone(&self.settings),
                gate: Arc::clone(&parts.gate),
                keys: Arc::clone(&keys),
                clock: parts.clock.clone(),
                meter: parts.meters.meter(number),
                signature_errors: parts.signature_errors.clone(),
                tls: tls.clone(),
                budget: Arc::clone(&budget),
                places: Arc::clone(&places),
                draining: drain.child_token(),
                kill: kill.clone(),
            };
            let alive = Arc::clone(&alive);
            std::thread::Builder::new().name(format!("data-{number}")).spawn(move || {
                let _alive = alive;
                seed.live(arrivals);
            })?;
        }
        let accepting = Shutdown::new();
        let doors = Arc::new(doors);
        for listener in self.listeners {
            accepting.spawn(
                "accept",
                listen::accept(
                    listener,
                    Arc::clone(&doors),
                    Arc::clone(&places),
                    accepting.clone(),
                ),
            );
        }
        Ok(Running { drain, kill: kill.drop_guard(), ended, accepting })
    }
}

impl Running {
    /// Accepts nothing new, closes what idles, lets requests finish for at most `patience`, then
    /// cuts them. `true` when everything ended by itself.
    /// Dropping the future cuts them at once.
    pub async fn drain(self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.drain.cancel();
        self.accepting.begin();
        self.accepting.finished(patience).await;
        // The channel closes when the last thread has dropped its end.
        let mut ended = self.ended;
        if tokio::time::timeout_at(deadline, all_ended(&mut ended)).await.is_ok() {
            return true;
        }
        drop(self.kill);
        let _: Result<_, _> = tokio::time::timeout(LAST_BREATH, all_ended(&mut ended)).await;
        false
    }
}

async fn all_ended(ended: &mut watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
}

/// What travels to a new thread; the rest of a worker is made there.
pub(super) struct Seed {
    pub(super) settings: Arc<TransportSettings>,
    pub(super) gate: Arc<Gate>,
    pub(super) keys: Arc<[KeyReader]>,
    pub(super) clock: Clock,
    pub(super) meter: Arc<crate::metrics::Meter>,
    pub(super) signature_errors: SignatureErrors,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) budget: Arc<Budget>,
    pub(super) places: Arc<Places>,
    pub(super) draining: CancellationToken,
    pub(super) kill: CancellationToken,
}

impl Seed {
    fn live(self, arrivals: mpsc::UnboundedReceiver<Arrived>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(POLLS_PER_LOOK)
            .max_blocking_threads(RESOLVER_THREADS)
            .build_local(tokio::runtime::LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(problem) => return tracing::error!(%problem, "a data thread has no event queue"),
        };
        let kill = self.kill.clone();
        let worker = Rc::new(self.grow());
        runtime.block_on(async move {
            tokio::select! {
                () = worker::run(worker, arrivals) => {}
                () = kill.cancelled() => {}
            }
        });
        // A name that is still being resolved must not hold up the end.
        runtime.shutdown_background();
    }

    pub(super) fn grow(self) -> Worker {
        let settings = self.settings;
        Worker {
            gate: self.gate,
            key_sets: self.keys,
            clock: self.clock,
            signature_errors: self.signature_errors,
            composer: RefCell::new(Composer::default()),
            buffers: Buffers::new(self.budget),
            pipes: Pipes::new(settings.splice),
            kept_rooms: Cell::default(),
            pool: Pool::new(
                settings.pool_idle_per_thread,
                settings.pool_idle_timeout,
                Arc::clone(&self.meter),
            ),
            connector: Connector {
                tls: self.tls,
                rooms: Rc::default(),
                meter: Arc::clone(&self.meter),
                patience: settings.connect_timeout,
                #[cfg(any(test, feature = "in-memory"))]
                memory: None,
            },
            meter: self.meter,
            places: self.places,
            draining: self.draining,
            next_sample_at: Cell::new(Instant::now()),
            settings,
        }
    }
}
