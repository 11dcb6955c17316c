//! Counts hand-outs. Label values come from enums.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::asked::Shape;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    shape: &'static str,
    outcome: &'static str,
}

/// The series of the key endpoint. Clones count into the same; `default()` counts for nobody.
#[derive(Debug, Clone, Default)]
pub struct KeyEndpointMetrics {
    requests: Family<RequestLabels, Counter>,
}

impl KeyEndpointMetrics {
    /// Every value of the label `outcome`.
    pub const OUTCOMES: [&str; 11] = [
        "handed_out",
        "narrowed",
        "listed",
        "no_key",
        "scope_not_allowed",
        "too_many_scopes",
        "unauthorized",
        "browser",
        "wrong_host",
        "not_found",
        "bad_request",
    ];

    /// Registers the series. `registry` carries the prefix of the process.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "key_endpoint_requests",
            "Requests for keys by local programs, by what became of them",
            metrics.requests.clone(),
        );
        metrics
    }

    pub(super) fn count(&self, shape: Option<Shape>, outcome: &'static str) {
        debug_assert!(Self::OUTCOMES.contains(&outcome), "{outcome} is not documented");
        let labels = RequestLabels { shape: shape.map_or("none", Shape::name), outcome };
        self.requests.get_or_create(&labels).inc();
    }
}
