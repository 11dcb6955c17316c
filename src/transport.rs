//! The only room with data sockets: drives the codec and carries bytes both ways.
//!
//! One acceptor hands each connection to the least loaded data thread; a thread owns its
//! connections, its upstream pool and its buffers, so that nothing on the way is locked.

mod answer;
mod buffers;
mod connection;
mod deadline;
mod exchange;
mod framing;
mod heal;
mod hear;
mod hold;
#[cfg(any(test, feature = "in-memory"))]
pub mod in_memory;
mod leased;
mod listen;
mod loopback;
mod pace;
mod places;
mod pool;
mod prepare;
mod rare;
mod record;
mod refuse;
mod server_time;
mod settings;
mod shelf;
mod signature;
#[cfg(test)]
mod simulation_tests;
#[cfg_attr(not(target_os = "linux"), path = "transport/splice/absent.rs")]
mod splice;
mod stream;
mod threads;
mod tls;
mod turn;
mod upload;
mod upstream;
mod worker;

pub use crate::server::ListenAddress;
pub use listen::BindError;
pub use settings::TransportSettings;
pub use signature::SignatureErrors;
pub use threads::{Parts, Running, StartError, Transport};
pub use tls::{TlsError, client_config};
