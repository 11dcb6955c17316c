//! Bytes and a key in, an authorisation out. Pure: no I/O, no clock.

pub mod canonical;
pub mod cos;
mod hex;
#[cfg(test)]
mod properties;
pub mod strict;
pub mod tc3;
