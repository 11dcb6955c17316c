//! Keeps one good key in reach. Does not know that requests are proxied.

mod key;
mod store;

pub use key::Credential;
pub use store::{KeyHealth, KeyReader, KeyWriter, NoKey, channel};
