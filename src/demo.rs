//! The demo: an embedded COS and STS with the proxy in front of them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::app::ExitReason;

/// What the demo is told.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// A folder whose files are served.
    pub seed: Option<PathBuf>,
    /// Where clients connect.
    pub listen: Option<SocketAddr>,
    /// Life of each key.
    pub key_life: Duration,
}

/// Runs the demo until Ctrl-C.
#[must_use]
pub fn run(_options: DemoOptions) -> ExitReason {
    ExitReason::Bug
}
