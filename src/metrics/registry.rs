//! The one registry: what `/metrics` prints.

use prometheus_client::registry::Registry as Series;

use super::process::{BuildInfo, Process};

/// Media type of [`Registry::encode`] (OpenMetrics 1.0 text).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every series of the process. Built once at start, then only read.
#[derive(Debug, Default)]
pub struct Registry {
    series: Series,
}

impl Registry {
    /// A registry with `build_info` and the process metrics.
    ///
    /// `started_at` is the start of the process in seconds since the Unix epoch.
    #[must_use]
    pub fn new(version: &'static str, started_at: u64) -> Self {
        let mut registry = Self::default();
        registry.room().register_collector(Box::new(BuildInfo { version }));
        registry.series.register_collector(Box::new(Process { started_at }));
        registry
    }

    /// Where a room registers its series: `cos_auth_proxy_` is put before their names.
    pub fn room(&mut self) -> &mut Series {
        self.series.sub_registry_with_prefix("cos_auth_proxy")
    }

    /// All series in the text format, to be sent as [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.series)
            .expect("writing to a String cannot fail");
        text
    }
}
