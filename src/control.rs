//! Orders of the operator: a new key now, quit, log level, status. Loopback or a unix socket only.

use crate::server::ListenAddress;

/// Checked settings of control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where to listen, loopback or a unix socket; empty: nowhere. `control.address`
    pub address: Vec<ListenAddress>,
}
