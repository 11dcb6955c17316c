//! What must hold whatever the bytes are: one `check` for each fuzz target. A failure is a panic.
//!
//! Every input is plain text or plain bytes, without a structure of its own: what libFuzzer keeps
//! can be read, and written by hand. Where an input is to be cut into pieces, its own bytes decide
//! where (`cuts`). The targets feed the checks from libFuzzer; `tests/fuzz_corpora.rs` of the
//! product replays what was kept.

#[path = "../../tests/codec/beside_hyper.rs"]
#[allow(dead_code, reason = "shared with the tests of the product, which use more of it")]
mod beside_hyper;
pub mod chunked_body;
mod cuts;
pub mod differential;
mod gates;
mod plain;
#[path = "../../tests/codec/reading.rs"]
#[allow(dead_code, reason = "shared with the tests of the product, which use more of it")]
mod reading;
#[path = "../../tests/steps/reference.rs"]
#[allow(dead_code, reason = "shared with the tests of the product, which use more of it")]
mod reference;
pub mod request_head;
pub mod response_head;
pub mod signer_differential;
pub mod target_and_query;
#[cfg(feature = "in-memory")]
pub mod whole_connection;

/// The name of a target and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, but for those that need connections in memory when they are left out.
pub const TARGETS: &[Target] = &[
    ("request_head", request_head::check),
    ("response_head", response_head::check),
    ("chunked_body", chunked_body::check),
    ("target_and_query", target_and_query::check),
    ("differential_request", differential::request),
    ("differential_response", differential::response),
    ("differential_chunked", differential::chunked),
    ("signer_differential", signer_differential::check),
    #[cfg(feature = "in-memory")]
    ("whole_connection", whole_connection::check),
];
