//! All shards of the request metrics; added up when scraped.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    histogram::{Histogram, HistogramTotal},
    meter::{Labels, Meter, Origin, RetryReason, STATUS_CLASSES, UpstreamErrorKind},
};

/// The request metrics of the process: one [`Meter`] per data thread.
#[derive(Debug)]
pub struct Meters {
    labels: Labels,
    shards: Vec<Arc<Meter>>,
}

impl Meters {
    /// Meters for `threads` data threads (at least one).
    #[must_use]
    pub fn new(labels: Labels, threads: usize) -> Arc<Self> {
        let shards = (0..threads.max(1)).map(|_| Arc::new(Meter::new(&labels))).collect();
        Arc::new(Self { labels, shards })
    }

    /// The meter of data thread `thread`; numbers past the last thread share meters.
    #[must_use]
    pub fn meter(&self, thread: usize) -> Arc<Meter> {
        Arc::clone(&self.shards[thread % self.shards.len()])
    }

    /// Requests whose answer is not complete.
    #[must_use]
    pub fn requests_in_flight(&self) -> u64 {
        self.level(|meter| &meter.in_flight)
    }

    /// Open client connections.
    #[must_use]
    pub fn client_connections(&self) -> u64 {
        self.level(|meter| &meter.client_connections)
    }

    /// Requests that ended.
    #[must_use]
    pub fn requests_total(&self) -> u64 {
        HistogramTotal::of(self.shards.iter().map(|meter| &meter.duration)).count
    }

    fn total(&self, counter: impl Fn(&Meter) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|meter| counter(meter).load(Relaxed)).sum()
    }

    /// A gauge's sum; one shard alone may be negative, since a connection may be opened on one
    /// thread and closed on another.
    fn level(&self, gauge: impl Fn(&Meter) -> &AtomicI64) -> u64 {
        let sum: i64 = self.shards.iter().map(|meter| gauge(meter).load(Relaxed)).sum();
        u64::try_from(sum).unwrap_or(0)
    }

    fn requests(&self, print: &mut Print<'_>) -> fmt::Result {
        let mut family = print.family("requests", "Requests that ended", MetricType::Counter)?;
        for (operation, operation_name) in self.labels.operations.iter().enumerate() {
            for (method, method_name) in self.labels.methods.iter().enumerate() {
                for (class, class_name) in STATUS_CLASSES.iter().enumerate() {
                    for (origin, origin_name) in Origin::NAMES.iter().enumerate() {
                        let count = self.shards.iter();
                        let count = count.map(|m| m.requests(operation, method, class, origin));
                        let count: u64 = count.sum();
                        if count == 0 {
                            continue;
                        }
                        let labels = [
                            ("operation", *operation_name),
                            ("method", *method_name),
                            ("status_class", *class_name),
                            ("origin", *origin_name),
                        ];
                        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn histogram(
        &self,
        print: &mut Print<'_>,
        name: &'static str,
        help: &str,
        shard: impl Fn(&Meter) -> &Histogram,
    ) -> fmt::Result {
        let total = HistogramTotal::of(self.shards.iter().map(|meter| shard(meter)));
        let mut encoder = print.family(name, help, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(total.sum_seconds, total.count, &total.buckets, None)
    }
}

impl Collector for Meters {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let print = &mut Print(encoder);
        self.requests(print)?;
        self.histogram(
            print,
            "request_duration_seconds",
            "From the request's head to the last byte of its answer",
            |meter| &meter.duration,
        )?;
        self.histogram(
            print,
            "upstream_first_byte_seconds",
            "From the end of the upload to the first byte of COS's answer",
            |meter| &meter.first_byte,
        )?;
        print.counter(
            "request_body_bytes",
            "Bytes of request bodies taken from clients",
            self.total(|m| &m.request_bytes),
        )?;
        print.counter(
            "response_body_bytes",
            "Bytes of answer bodies given to clients",
            self.total(|m| &m.response_bytes),
        )?;
        print.gauge(
            "requests_in_flight",
            "Requests whose answer is not complete",
            self.requests_in_flight(),
        )?;
        print.counters(
            "refused",
            "Requests the proxy answered by itself, by reason",
            "reason",
            self.labels.reasons,
            |i| self.total(|m| &m.refused[i]),
        )?;
        print.counters(
            "upstream_errors",
            "What went wrong towards COS",
            "kind",
            &UpstreamErrorKind::NAMES,
            |i| self.total(|m| &m.upstream_errors[i]),
        )?;
        self.connections(print)?;
        print.counters(
            "upstream_retries",
            "Requests sent a second time",
            "reason",
            &RetryReason::NAMES,
            |i| self.total(|m| &m.retries[i]),
        )?;
        print.gauge("data_threads", "Threads that carry requests", self.shards.len() as u64)
    }
}

impl Meters {
    fn connections(&self, print: &mut Print<'_>) -> fmt::Result {
        let idle = self.level(|m| &m.upstream_idle);
        let active = self.level(|m| &m.upstream_open).saturating_sub(idle);
        let mut family =
            print.family("upstream_connections", "Open connections to COS", MetricType::Gauge)?;
        for (state, count) in [("active", active), ("idle", idle)] {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&[("state", state)])?)?;
        }
        print.counter(
            "upstream_connections_opened",
            "Connections opened to COS",
            self.total(|m| &m.upstream_opened),
        )?;
        // OpenMetrics takes `client_connections` and the counter `client_connections_total` for
        // one family, so the counter says what it counts.
        print.gauge("client_connections", "Open client connections", self.client_connections())?;
        print.counter(
            "client_connections_accepted",
            "Client connections taken",
            self.total(|m| &m.client_connections_opened),
        )?;
        print.counter(
            "clients_gone",
            "Clients that left before their answer was complete",
            self.total(|m| &m.clients_gone),
        )
    }
}

/// Writes families; counters get their `_total` from the encoder.
struct Print<'a>(DescriptorEncoder<'a>);

impl Print<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'static str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &'static str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.family(name, help, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: u64) -> fmt::Result {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        ConstGauge::new(value).encode(self.family(name, help, MetricType::Gauge)?)
    }

    /// A small family: every member is printed, zero or not, so that rates exist from the start.
    fn counters(
        &mut self,
        name: &'static str,
        help: &str,
        label: &'static str,
        values: &[&'static str],
        count: impl Fn(usize) -> u64,
    ) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Counter)?;
        for (index, value) in values.iter().enumerate() {
            ConstCounter::new(count(index)).encode(family.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }
}
