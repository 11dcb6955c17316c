//! Connections in memory, for tests and fuzzers: the real driver runs over them on paused time, and
//! whoever plays the other side decides every piece, stall and reset.
//!
//! Compiled only for tests and with the feature `in-memory`.

mod checker;
mod dial;
mod feed;
#[cfg(test)]
mod feed_tests;
mod house;
mod line;
mod report;
mod socket;
mod whims;
mod wire;

pub use feed::{Upstream, feed};
pub use report::Report;

pub(super) use checker::check_sent;
pub(super) use dial::{Call, Dialer};
pub(super) use house::{House, HouseSettings};
pub(super) use line::Line;
pub(super) use socket::{Socket, pair};
pub(super) use whims::Whims;
pub(super) use wire::{BodyReader, Ends, Flaw, Head};
