//! Heads towards the client: COS's own with clean hop-by-hop fields, and the proxy's refusals.

use crate::{
    clock::Timestamp,
    http1::{Body, ResponseHead, Version},
};

use super::Refused;

/// How an answer towards the client is framed and whether its connection stays.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The client's version.
    pub version: Version,
    /// Keep the client's connection after this answer.
    pub keep_alive: bool,
    /// The request was HEAD.
    pub to_head: bool,
}

/// Appends the client-side form of an upstream head to `out` and says how its body is framed
/// towards the client (`UntilClose` forces `keep_alive` off; the effective value is returned).
pub fn forward_head(_upstream: &ResponseHead<'_, '_>, _how: Answered, _out: &mut Vec<u8>) -> (Body, bool) {
    unimplemented!()
}

/// Appends a whole answer of our own (head and COS-shaped XML body; no body for HEAD).
pub fn own_answer(_refused: &Refused, _how: Answered, _resource: &[u8], _now: Timestamp, _out: &mut Vec<u8>) {
    unimplemented!()
}
