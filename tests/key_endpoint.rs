//! Keys for programs that sign themselves, and a broker whose keys others live on: whole proxies
//! against the embedded COS and STS.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "key_endpoint/broker.rs"]
mod broker;
#[path = "key_endpoint/configuration.rs"]
mod configuration;
#[path = "key_endpoint/hand_out.rs"]
mod hand_out;
#[path = "key_endpoint/house.rs"]
mod house;
#[path = "key_endpoint/log.rs"]
mod log;
#[path = "key_endpoint/narrowed.rs"]
mod narrowed;
#[path = "key_endpoint/once.rs"]
mod once;
#[path = "key_endpoint/orders.rs"]
mod orders;
