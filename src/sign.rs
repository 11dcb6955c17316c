//! Bytes and a key in, an authorisation out. Pure: no I/O, no clock.

pub mod canonical;
pub mod cos;
pub mod strict;
pub mod tc3;
