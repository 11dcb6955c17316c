//! Whole connections: any bytes in any pieces through the real driver, over sockets in memory.
//!
//! The input is what a client sends. Behind a line `=====` stands what the upstream says to whatever
//! it is asked; without one it answers well. The bytes decide about the pieces.

use cos_auth_proxy::transport::in_memory::{Upstream, feed};

use super::cuts::Draw;

const BETWEEN: &[u8] = b"\n=====\n";

/// What went upstream is exactly requests of the client, each once and signed; what the client got is
/// answers to them.
pub fn check(bytes: &[u8]) {
    let between = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (client, upstream) = match between {
        Some(at) => (&bytes[..at], Upstream::Says(&bytes[at + BETWEEN.len()..])),
        None => (bytes, Upstream::Answers),
    };
    let mut draw = Draw::from(bytes);
    // None: all at once. Few different sizes: some inputs come byte by byte, some with pauses.
    let pieces: Vec<u8> = match draw.below(4) {
        0 => Vec::new(),
        1 => vec![1],
        count => (0..count).map(|_| u8::try_from(draw.below(256)).expect("a byte")).collect(),
    };
    let report = feed(client, &pieces, upstream).expect("a runtime");
    if let Some(flaw) = report.flaw() {
        let upstream: Vec<_> =
            report.upstream.iter().map(|b| b.escape_ascii().to_string()).collect();
        panic!("{flaw}\nupstream: {upstream:#?}\nclient got: {}", report.got.escape_ascii());
    }
}
