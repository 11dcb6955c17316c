//! What the operator may set about sockets, buffers and deadlines.

use std::{path::PathBuf, time::Duration};

use crate::{http1::Limits, server::ListenAddress};

/// Checked settings of the transport.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Where clients connect. `listen.address`
    pub listen: Vec<ListenAddress>,
    /// Data threads; 0 means one per core the process may use. `listen.threads`
    pub threads: usize,
    /// Most client connections at once; further ones wait. `limits.connections`
    pub connections: usize,
    /// Bounds on request heads. `limits.head_bytes`, `limits.fields`, `limits.target_bytes`
    pub request_limits: Limits,
    /// Time a client may take from a head's first byte to its last. `limits.head_timeout`
    pub head_timeout: Duration,
    /// Bytes per second that a client must move during a body, averaged over `stall_timeout`; 0
    /// asks for none. `limits.body_min_rate`
    pub body_min_rate: u64,
    /// Requests after which a client's connection is closed; 0 never closes it.
    /// `limits.requests_per_connection`
    pub requests_per_connection: u64,
    /// How long a client connection may idle between requests. `listen.idle_timeout`
    pub client_idle_timeout: Duration,
    /// `upstream.connect_timeout`: TCP and, apart from it, TLS handshake.
    pub connect_timeout: Duration,
    /// `upstream.first_byte_timeout`: from the end of the upload to the first answer byte.
    pub first_byte_timeout: Duration,
    /// `upstream.stall_timeout`: no byte in either direction during a body.
    pub stall_timeout: Duration,
    /// `upstream.pool_idle_timeout`: life of an idle upstream connection.
    pub pool_idle_timeout: Duration,
    /// `upstream.pool_idle_per_thread`: idle upstream connections kept per thread.
    pub pool_idle_per_thread: usize,
    /// `upstream.splice`: large bodies between plain sockets pass inside the kernel, where it can.
    pub splice: bool,
    /// `upstream.ca_file`: trusted besides the system's roots.
    pub ca_file: Option<PathBuf>,
    /// `keys.wait`: how long a request waits for a key before 503.
    pub key_patience: Duration,
    /// `log.access`: one line per request.
    pub access_log: bool,
    /// `limits.held_body_bytes`: largest body that is held to be digested.
    pub held_body_bytes: usize,
    /// `limits.replay_body_bytes`: uploads of a known length up to this are held, so that they can
    /// be sent again with another key; 0 holds none.
    pub replay_body_bytes: usize,
    /// `keys.on_expired`: no key but an expired one, and none came in time: sign with it all the
    /// same.
    pub try_expired_keys: bool,
}
