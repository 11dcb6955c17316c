//! What becomes of requests while keys and clocks change under them: the product's transport and
//! refresher against an emulated COS and STS that verify from the documentation.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "healing/house.rs"]
mod house;

#[path = "healing/clocks.rs"]
mod clocks;
#[path = "healing/keys.rs"]
mod keys;
