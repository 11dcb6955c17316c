//! `explain-signature`: every cause is named where it is, told from strings that the embedded COS
//! computed; and the way there from a running proxy, a curl trace and a log.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "explain/signed.rs"]
mod signed;

#[path = "explain/anywhere.rs"]
mod anywhere;
#[path = "explain/causes.rs"]
mod causes;
#[path = "explain/key.rs"]
mod key;
#[path = "explain/live.rs"]
mod live;
#[path = "explain/traces.rs"]
mod traces;
