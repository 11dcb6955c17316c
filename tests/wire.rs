//! The data path on real sockets, byte by byte: a client and an upstream played by the test, the
//! product's transport between them.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "wire/house.rs"]
mod house;

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/connections.rs"]
mod connections;
#[path = "wire/deadlines.rs"]
mod deadlines;
#[path = "wire/healing.rs"]
mod healing;
#[path = "wire/large_bodies.rs"]
mod large_bodies;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/refusals.rs"]
mod refusals;
#[path = "wire/routes.rs"]
mod routes;
#[path = "wire/slow.rs"]
mod slow;
#[path = "wire/tls.rs"]
mod tls;
#[path = "wire/truncation.rs"]
mod truncation;
#[path = "wire/uploads.rs"]
mod uploads;
