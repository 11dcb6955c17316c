//! Connections in memory, for tests and fuzzers: the real driver runs over them on paused time, and
//! whoever plays the other side decides every piece, stall and reset.
//!
//! Compiled only for tests and with the feature `in-memory`.

mod dial;
mod socket;
mod whims;

pub(super) use dial::{Call, Dialer};
pub(super) use socket::{Socket, pair};
pub(super) use whims::Whims;
