//! An embedded COS and STS on loopback: for the demo and for tests.
//!
//! Shares no code with the signer: it verifies from the documentation, with plain types of its own.

pub mod errors;
mod xml;

pub use errors::CosError;

pub mod accounts;
pub mod faults;
pub mod key_server;
pub mod policy;
pub mod seen;
mod serve;
pub mod sts;
pub mod tc3_check;
pub mod verify;
