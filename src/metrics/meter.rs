//! The counters of one data thread: plain relaxed atomics, no lock, nothing looked up by name.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::histogram::Histogram;

/// Label values given by those who know them; indices into these tables are what is counted.
#[derive(Debug, Clone, Copy)]
pub struct Labels {
    /// Names of operations.
    pub operations: &'static [&'static str],
    /// Names of methods.
    pub methods: &'static [&'static str],
    /// Names of the reasons for refusals.
    pub reasons: &'static [&'static str],
}

/// Who made the end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// COS answered.
    Upstream,
    /// The proxy answered by itself.
    Proxy,
    /// The client left before the answer was complete.
    ClientGone,
}

impl Origin {
    pub(super) const NAMES: [&'static str; 3] = ["upstream", "proxy", "client_gone"];
}

/// What went wrong towards COS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamErrorKind {
    /// The name has no address.
    Dns,
    /// No connection.
    Connect,
    /// No connection, or no TLS session, in time.
    ConnectTimeout,
    /// TLS failed.
    Tls,
    /// The connection was reset.
    Reset,
    /// Closed before an answer.
    Closed,
    /// The answer is not acceptable HTTP.
    Malformed,
    /// No first byte in time.
    FirstByteTimeout,
    /// No byte in either direction during a body.
    Stalled,
    /// The answer's body ended early.
    Truncated,
}

impl UpstreamErrorKind {
    pub(super) const NAMES: [&'static str; 10] = [
        "dns",
        "connect",
        "connect_timeout",
        "tls",
        "reset",
        "closed",
        "malformed",
        "first_byte_timeout",
        "stalled",
        "truncated",
    ];
}

/// How a TLS session with COS began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsHandshake {
    /// With certificates and new keys.
    Full,
    /// With the keys of an earlier session.
    Resumed,
}

impl TlsHandshake {
    pub(super) const NAMES: [&'static str; 2] = ["full", "resumed"];
}

/// Why a request was sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryReason {
    /// A reused connection turned out to be dead.
    StaleConnection,
    /// COS refused the key; sent again with another one.
    KeyRejected,
    /// COS refused the key; sent again with the one before it.
    PreviousKey,
    /// COS refused our time; signed again for its time.
    Clock,
}

impl RetryReason {
    pub(super) const NAMES: [&'static str; 4] =
        ["stale_connection", "key_rejected", "previous_key", "clock"];
}

/// What a limit on clients did, where no answer of ours tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientLimit {
    /// All places were taken: a connection had to wait.
    Waited,
    /// A connection that idled was closed, to make room for one that waits.
    IdleClosed,
    /// A connection was closed after its last request.
    Retired,
    /// A client read its answer too slowly and was cut off.
    SlowReader,
}

impl ClientLimit {
    pub(super) const NAMES: [&'static str; 4] = ["waited", "idle_closed", "retired", "slow_reader"];
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Index into [`Labels::operations`].
    pub operation: usize,
    /// Index into [`Labels::methods`].
    pub method: usize,
    /// Status sent to the client; 0 when none was.
    pub status: u16,
    /// Who made the end.
    pub origin: Origin,
    /// From the head's last byte to the answer's last byte.
    pub duration: Duration,
    /// From the end of the upload to upstream's first answer byte, when one came.
    pub first_byte: Option<Duration>,
}

/// `none` counts requests whose client never saw a status.
pub(super) const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

const fn status_class(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => class as usize,
        _ => 0,
    }
}

const ORIGINS: usize = Origin::NAMES.len();

/// Requests of one operation: method × status class × origin.
type OperationCounts = Box<[AtomicU64]>;

/// The counters of one data thread. Any thread may call it; meant for one, so that the counters
/// stay in that core's cache. Every call costs a few nanoseconds and allocates nothing, but for
/// the first request of each operation.
#[derive(Debug)]
#[repr(align(128))]
pub struct Meter {
    methods: usize,
    requests: Box<[OnceLock<OperationCounts>]>,
    pub(super) refused: Box<[AtomicU64]>,
    pub(super) upstream_errors: [AtomicU64; UpstreamErrorKind::NAMES.len()],
    pub(super) retries: [AtomicU64; RetryReason::NAMES.len()],
    pub(super) tls_handshakes: [AtomicU64; TlsHandshake::NAMES.len()],
    pub(super) duration: Histogram,
    pub(super) first_byte: Histogram,
    pub(super) request_bytes: AtomicU64,
    pub(super) response_bytes: AtomicU64,
    pub(super) clients_gone: AtomicU64,
    pub(super) in_flight: AtomicI64,
    pub(super) client_connections: AtomicI64,
    pub(super) client_connections_waiting: AtomicI64,
    pub(super) client_limits: [AtomicU64; ClientLimit::NAMES.len()],
    pub(super) client_connections_opened: AtomicU64,
    pub(super) upstream_open: AtomicI64,
    pub(super) upstream_idle: AtomicI64,
    pub(super) upstream_opened: AtomicU64,
}

impl Meter {
    pub(super) fn new(labels: &Labels) -> Self {
        Self {
            methods: labels.methods.len(),
            requests: labels.operations.iter().map(|_| OnceLock::new()).collect(),
            refused: labels.reasons.iter().map(|_| AtomicU64::new(0)).collect(),
            upstream_errors: Default::default(),
            retries: Default::default(),
            tls_handshakes: Default::default(),
            duration: Histogram::default(),
            first_byte: Histogram::default(),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            clients_gone: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            client_connections: AtomicI64::new(0),
            client_connections_waiting: AtomicI64::new(0),
            client_limits: Default::default(),
            client_connections_opened: AtomicU64::new(0),
            upstream_open: AtomicI64::new(0),
            upstream_idle: AtomicI64::new(0),
            upstream_opened: AtomicU64::new(0),
        }
    }

    /// A client connected.
    pub fn connection_opened(&self) {
        self.client_connections.fetch_add(1, Relaxed);
        self.client_connections_opened.fetch_add(1, Relaxed);
    }

    /// A client's connection is closed.
    pub fn connection_closed(&self) {
        self.client_connections.fetch_sub(1, Relaxed);
    }

    /// `delta` connections wait for a place (negative: no longer).
    pub fn connection_waits(&self, delta: i64) {
        self.client_connections_waiting.fetch_add(delta, Relaxed);
    }

    /// A limit on clients had an effect.
    pub fn client_limited(&self, how: ClientLimit) {
        self.client_limits[how as usize].fetch_add(1, Relaxed);
    }

    /// A request's head is complete. [`Meter::request_ended`] must follow.
    pub fn request_started(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A started request ended, however it did.
    pub fn request_ended(&self, ended: &Ended) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.duration.observe(ended.duration);
        if let Some(first_byte) = ended.first_byte {
            self.first_byte.observe(first_byte);
        }
        let Some(operation) = self.requests.get(ended.operation) else { return };
        let counts = operation.get_or_init(|| {
            let cells = self.methods * STATUS_CLASSES.len() * ORIGINS;
            (0..cells).map(|_| AtomicU64::new(0)).collect()
        });
        let cell = cell(ended.method, status_class(ended.status), ended.origin as usize);
        if let Some(counter) = counts.get(cell) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Bytes of request bodies that came from clients.
    pub fn request_bytes(&self, n: u64) {
        self.request_bytes.fetch_add(n, Relaxed);
    }

    /// Bytes of answer bodies that went to clients.
    pub fn response_bytes(&self, n: u64) {
        self.response_bytes.fetch_add(n, Relaxed);
    }

    /// A request was refused; `reason` is an index into [`Labels::reasons`].
    pub fn refused(&self, reason: usize) {
        if let Some(counter) = self.refused.get(reason) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Something went wrong towards COS.
    pub fn upstream_error(&self, kind: UpstreamErrorKind) {
        self.upstream_errors[kind as usize].fetch_add(1, Relaxed);
    }

    /// A request was sent a second time.
    pub fn retried(&self, why: RetryReason) {
        self.retries[why as usize].fetch_add(1, Relaxed);
    }

    /// A TLS session with COS began.
    pub fn tls_handshake(&self, how: TlsHandshake) {
        self.tls_handshakes[how as usize].fetch_add(1, Relaxed);
    }

    /// A connection to COS was opened; it counts as active until [`Meter::upstream_idle`].
    pub fn upstream_opened(&self) {
        self.upstream_open.fetch_add(1, Relaxed);
        self.upstream_opened.fetch_add(1, Relaxed);
    }

    /// A connection to COS was closed. One that was idle is first taken out with
    /// `upstream_idle(-1)`.
    pub fn upstream_closed(&self) {
        self.upstream_open.fetch_sub(1, Relaxed);
    }

    /// `delta` open connections became idle (negative: were taken from the idle ones).
    pub fn upstream_idle(&self, delta: i64) {
        self.upstream_idle.fetch_add(delta, Relaxed);
    }

    /// The client left before its answer was complete.
    pub fn client_gone(&self) {
        self.clients_gone.fetch_add(1, Relaxed);
    }

    /// Requests of one label combination.
    pub(super) fn requests(
        &self,
        operation: usize,
        method: usize,
        class: usize,
        origin: usize,
    ) -> u64 {
        let counts = self.requests.get(operation).and_then(OnceLock::get);
        let counter = counts.and_then(|counts| counts.get(cell(method, class, origin)));
        counter.map_or(0, |counter| counter.load(Relaxed))
    }
}

const fn cell(method: usize, class: usize, origin: usize) -> usize {
    (method * STATUS_CLASSES.len() + class) * ORIGINS + origin
}
