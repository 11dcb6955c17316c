//! The families of mutated requests.

#[path = "requests/bodies.rs"]
mod bodies;
#[path = "requests/encodings.rs"]
mod encodings;
#[path = "requests/fields.rs"]
mod fields;
#[path = "requests/hosts.rs"]
mod hosts;
#[path = "requests/lengths.rs"]
mod lengths;
#[path = "requests/lines.rs"]
mod lines;
#[path = "requests/names.rs"]
mod names;
#[path = "requests/others.rs"]
mod others;

pub(crate) use bodies::BROKEN as BROKEN_CHUNKS;

use super::case::Case;

/// Every case, with the name of its family.
pub(crate) fn all() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("Transfer-Encoding, alone and beside Content-Length", encodings::cases()),
        ("Content-Length", lengths::cases()),
        ("request line, method, target, version", lines::cases()),
        ("line ends, folds, control bytes", fields::cases()),
        ("names of headers, what Connection lists", names::cases()),
        ("Host and absolute targets", hosts::cases()),
        ("chunks and trailers", bodies::cases()),
        ("bodies where none belong, expectations, upgrades", others::cases()),
    ]
}
