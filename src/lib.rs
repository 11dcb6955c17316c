//! `cos-auth-proxy`: an authenticating reverse proxy for Tencent Cloud COS.
//!
//! Local programs send plain, unsigned (or dummy-signed) requests; the proxy obtains temporary
//! keys, keeps them fresh, signs each request and streams it to COS. `ARCHITECTURE.md` is the map.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod credential;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "demo")]
pub mod emulator;
pub mod explain;
pub mod http1;
pub mod key_endpoint;
pub mod log;
pub mod metrics;
pub mod proxy;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod sign;
pub mod telemetry;
pub mod transport;
