//! Numbers of the process and their text form. Knows no other room: whoever counts something
//! brings its own names and label values.

mod histogram;
mod meter;
mod meters;
mod process;
mod registry;

pub use meter::{
    ClientLimit, Ended, Labels, Meter, Origin, RetryReason, TlsHandshake, UpstreamErrorKind,
};
pub use meters::Meters;
pub use registry::{CONTENT_TYPE, Registry};
