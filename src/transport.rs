//! The only room with data sockets: drives the codec and carries bytes both ways.

mod settings;

pub use settings::{ListenAddress, TransportSettings};
