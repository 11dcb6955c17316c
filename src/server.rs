//! Serves small HTTP/1.1 services (telemetry, control, the embedded COS) until told to end.
//!
//! Not for the data port: bodies may be streamed in but are small, and every answer is a whole.

mod listen;

pub use listen::{ListenAddress, Listener};
