//! One data thread: its runtime, its connections and everything they share without locks.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::AbortHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    credential::KeyReader,
    metrics::{ClientLimit, Meter},
    proxy::{Composer, Gate},
};

use super::{
    SignatureErrors, TransportSettings,
    buffers::Buffers,
    connection,
    places::{self, Places},
    pool::Pool,
    splice::Pipes,
    stream::Stream,
    upstream::Connector,
};

/// How often idle connections of both sides are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// While draining: a connection that idles this long has nothing more to say. Shorter, and a
/// request that is already in the kernel would be lost.
const LAST_WORD: Duration = Duration::from_millis(50);

/// While clients wait for a place: a connection that idles less is left alone, since its next
/// request may be on the way.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);

/// What the connections of one thread share.
pub(super) struct Worker {
    pub(super) settings: Arc<TransportSettings>,
    pub(super) gate: Arc<Gate>,
    /// One for each key set; see [`Worker::keys`].
    pub(super) key_sets: Arc<[KeyReader]>,
    pub(super) clock: Clock,
    pub(super) meter: Arc<Meter>,
    pub(super) signature_errors: SignatureErrors,
    pub(super) composer: RefCell<Composer>,
    pub(super) buffers: Buffers,
    pub(super) pipes: Pipes,
    /// See `connection`: those that wait with the room of a request.
    pub(super) kept_rooms: Cell<usize>,
    pub(super) pool: Pool,
    pub(super) connector: Connector,
    pub(super) places: Arc<Places>,
    pub(super) draining: CancellationToken,
    /// When an answer's date is next worth reading.
    pub(super) next_sample_at: Cell<Instant>,
}

impl Worker {
    /// The keys of the key set that an admitted request is signed with. The gate names only key
    /// sets that were started, so the first one never stands in for another.
    pub(super) fn keys(&self, key_set: usize) -> &KeyReader {
        self.key_sets.get(key_set).unwrap_or(&self.key_sets[0])
    }
}

/// A client connection on its way to a thread; dropping it frees its place.
pub(super) struct Arrived {
    pub(super) stream: std::io::Result<ArrivedStream>,
    pub(super) place: Place,
}

/// Not yet registered with the thread's runtime.
pub(super) enum ArrivedStream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    #[cfg(any(test, feature = "in-memory"))]
    Memory(super::in_memory::Socket),
}

/// The place a connection takes: one of the limit, and one in its thread's count.
pub(super) struct Place {
    pub(super) load: Arc<AtomicUsize>,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the thread knows of one connection: enough to end it from outside while it idles.
#[derive(Default)]
pub(super) struct Slot {
    phase: Cell<Phase>,
    /// Told to give back what a rest does not need.
    told_to_rest: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Default)]
enum Phase {
    /// A request is under way.
    #[default]
    Busy,
    /// Between two requests, and no sweep saw it yet: so a request needs no clock for it.
    Idle,
    /// The same, since a sweep first saw it.
    IdleSince(Instant),
}

impl Slot {
    /// Between two requests: may be closed at any time.
    pub(super) fn idle(&self) {
        self.phase.set(Phase::Idle);
    }

    /// A request is under way.
    pub(super) fn busy(&self) {
        self.phase.set(Phase::Busy);
        self.told_to_rest.set(false);
    }

    /// Ready once the connection has idled for a while.
    pub(super) fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.told_to_rest.get() {
            return Poll::Ready(());
        }
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn tell_to_rest(&self) {
        if let Some(task) = self.task.borrow_mut().take() {
            self.told_to_rest.set(true);
            task.wake();
        }
    }

    /// Since when it idles, to a sweep; `None` while a request is under way.
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        match self.phase.get() {
            Phase::Busy => None,
            Phase::IdleSince(since) => Some(since),
            Phase::Idle => {
                self.phase.set(Phase::IdleSince(now));
                Some(now)
            }
        }
    }
}

type Connections = Rc<RefCell<BTreeMap<u64, (Rc<Slot>, AbortHandle)>>>;

/// Serves what arrives until the inbox is closed and every connection has ended.
pub(super) async fn run(worker: Rc<Worker>, mut inbox: mpsc::UnboundedReceiver<Arrived>) {
    let connections = Connections::default();
    let mut next_number = 0u64;
    let mut sweep = tokio::time::interval(sweep_every(&worker.settings));
    loop {
        // In a fixed order, so that a simulated run can be repeated.
        tokio::select! {
            biased;
            _ = sweep.tick() => {
                sweep_idle(&worker, &connections, worker.settings.client_idle_timeout);
                if worker.places.are_wanted() {
                    make_room(&worker, &connections);
                }
            }
            arrived = inbox.recv() => {
                let Some(arrived) = arrived else { break };
                next_number += 1;
                accept(&worker, &connections, next_number, arrived);
            }
        }
    }
    while !connections.borrow().is_empty() {
        sweep_idle(&worker, &connections, LAST_WORD);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Often enough that a life in idleness is kept to a quarter.
fn sweep_every(settings: &TransportSettings) -> Duration {
    let shortest = settings.client_idle_timeout.min(settings.pool_idle_timeout);
    SWEEP.min(shortest / 4).max(Duration::from_millis(10))
}

fn accept(worker: &Rc<Worker>, connections: &Connections, number: u64, arrived: Arrived) {
    let Ok(stream) = arrived.stream.and_then(register) else { return };
    // Busy until it waits for its first byte: what a client sent along is heard in any case.
    let slot = Rc::new(Slot::default());
    let guard = ConnectionGuard {
        number,
        connections: Rc::clone(connections),
        meter: Arc::clone(&worker.meter),
        _place: arrived.place,
    };
    worker.meter.connection_opened();
    let task = {
        let (worker, slot, mut stream) = (Rc::clone(worker), Rc::clone(&slot), stream);
        // Lent, not given, and the guard used where it is: what moves on has room twice in a task.
        tokio::task::spawn_local(async move {
            connection::serve(&worker, &mut stream, &slot).await;
            drop((stream, guard));
        })
    };
    connections.borrow_mut().insert(number, (slot, task.abort_handle()));
}

fn register(stream: ArrivedStream) -> std::io::Result<Stream> {
    match stream {
        ArrivedStream::Tcp(tcp) => tokio::net::TcpStream::from_std(tcp).map(Stream::Tcp),
        ArrivedStream::Unix(unix) => tokio::net::UnixStream::from_std(unix).map(Stream::Unix),
        #[cfg(any(test, feature = "in-memory"))]
        ArrivedStream::Memory(socket) => Ok(Stream::Memory(socket)),
    }
}

fn sweep_idle(worker: &Worker, connections: &Connections, patience: Duration) {
    let now = Instant::now();
    // Collected first: an aborted task may remove itself from the map at once.
    let mut overdue: Vec<AbortHandle> = Vec::new();
    for (slot, task) in connections.borrow().values() {
        match slot.idle_since(now).map(|since| now.duration_since(since)) {
            Some(span) if span >= patience => overdue.push(task.clone()),
            Some(span) if span >= SWEEP => slot.tell_to_rest(),
            Some(_) | None => {}
        }
    }
    for task in overdue {
        task.abort();
    }
    worker.pool.sweep(now);
    worker.buffers.sweep();
    worker.connector.rooms.sweep();
    worker.pipes.sweep();
}

/// Closes some of what idles, so that clients which wait for a place get in.
fn make_room(worker: &Worker, connections: &Connections) {
    let now = Instant::now();
    let idle = connections
        .borrow()
        .values()
        .filter_map(|(slot, task)| Some((slot.idle_since(now)?, task.clone())))
        .filter(|(since, _)| now.duration_since(*since) >= ROOM_PATIENCE)
        .collect();
    for task in places::longest_idle(idle) {
        worker.meter.client_limited(ClientLimit::IdleClosed);
        task.abort();
    }
}

struct ConnectionGuard {
    number: u64,
    connections: Connections,
    meter: Arc<Meter>,
    _place: Place,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.meter.connection_closed();
        self.connections.borrow_mut().remove(&self.number);
    }
}
