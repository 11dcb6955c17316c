//! Tells how it goes: `/metrics`, `/livez`, `/readyz`, `/startup`. Numbers and states only, never
//! a setting or a secret; never depends on COS.

use crate::server::ListenAddress;

/// Checked settings of telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// Where to listen; empty: nowhere. `telemetry.address`
    pub address: Vec<ListenAddress>,
}
