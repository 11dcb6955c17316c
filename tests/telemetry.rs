//! Telemetry and control over real sockets.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic too")]

#[path = "telemetry/control.rs"]
mod control;
#[path = "telemetry/key_series.rs"]
mod key_series;
#[path = "telemetry/keys.rs"]
mod keys;
#[path = "telemetry/metrics_page.rs"]
mod metrics_page;
#[path = "telemetry/probes.rs"]
mod probes;
#[path = "telemetry/running.rs"]
mod running;
#[path = "telemetry/server.rs"]
mod server;
