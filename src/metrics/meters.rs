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
    meter::{
        ClientLimit, Labels, Meter, Origin, RetryReason, STATUS_CLASSES, TlsHandshake,
        UpstreamErrorKind,
    },
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
            "Requests sent again behind the client's back",
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
        print.counters(
            "upstream_tls_handshakes",
            "TLS sessions with COS, by how they began",
            "kind",
            &TlsHandshake::NAMES,
            |i| self.total(|m| &m.tls_handshakes[i]),
        )?;
        // OpenMetrics takes `client_connections` and the counter `client_connections_total` for
        // one family, so the counter says what it counts.
        print.gauge("client_connections", "Open client connections", self.client_connections())?;
        print.counter(
            "client_connections_accepted",
            "Client connections taken",
            self.total(|m| &m.client_connections_opened),
        )?;
        print.gauge(
            "client_connections_waiting",
            "Accepted client connections that wait for a place",
            self.level(|m| &m.client_connections_waiting),
        )?;
        print.counters(
            "client_limits",
            "What limits on clients did, where no answer tells",
            "effect",
            &ClientLimit::NAMES,
            |i| self.total(|m| &m.client_limits[i]),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{Ended, Registry},
        *,
    };

    const LABELS: Labels = Labels {
        operations: &["GetObject", "PutObject"],
        methods: &["GET", "PUT"],
        reasons: &["no-key", "draining"],
    };

    fn ended(operation: usize, method: usize, status: u16, origin: Origin) -> Ended {
        let duration = Duration::from_millis(3);
        Ended { operation, method, status, origin, duration, first_byte: None }
    }

    fn text(meters: &Arc<Meters>) -> String {
        let mut registry = Registry::default();
        registry.room().register_collector(Box::new(Arc::clone(meters)));
        registry.encode()
    }

    fn value(text: &str, series: &str) -> Option<f64> {
        let prefix = format!("cos_auth_proxy_{series} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).map(|v| v.parse().unwrap())
    }

    #[test]
    fn a_scrape_is_the_sum_of_what_all_threads_counted() {
        let meters = Meters::new(LABELS, 2);
        for thread in 0..2 {
            let meter = meters.meter(thread);
            meter.request_started();
            meter.request_ended(&ended(1, 1, 201, Origin::Upstream));
            meter.request_bytes(1 << 40);
            meter.response_bytes(7);
            meter.refused(1);
            meter.upstream_error(UpstreamErrorKind::Truncated);
            meter.retried(RetryReason::StaleConnection);
            meter.client_gone();
        }
        let text = text(&meters);
        let requests = r#"requests_total{operation="PutObject",method="PUT",status_class="2xx",origin="upstream"}"#;
        for (series, expected) in [
            (requests, 2.0),
            ("request_body_bytes_total", 2.0 * (1_u64 << 40) as f64),
            ("response_body_bytes_total", 14.0),
            (r#"refused_total{reason="draining"}"#, 2.0),
            (r#"refused_total{reason="no-key"}"#, 0.0),
            (r#"upstream_errors_total{kind="truncated"}"#, 2.0),
            (r#"upstream_errors_total{kind="dns"}"#, 0.0),
            (r#"upstream_retries_total{reason="stale_connection"}"#, 2.0),
            ("clients_gone_total", 2.0),
            ("requests_in_flight", 0.0),
            ("request_duration_seconds_count", 2.0),
            (r#"request_duration_seconds_bucket{le="0.0025"}"#, 0.0),
            (r#"request_duration_seconds_bucket{le="0.005"}"#, 2.0),
            (r#"request_duration_seconds_bucket{le="+Inf"}"#, 2.0),
            ("upstream_first_byte_seconds_count", 0.0),
            ("data_threads", 2.0),
        ] {
            assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
        }
        assert_eq!(text.matches("cos_auth_proxy_requests_total{").count(), 1, "{text}");
    }

    #[test]
    fn every_label_combination_has_a_count_of_its_own() {
        let meters = Meters::new(LABELS, 1);
        let meter = meters.meter(0);
        let mut expected = Vec::new();
        let origins = [Origin::Upstream, Origin::Proxy, Origin::ClientGone];
        for (o, operation) in LABELS.operations.iter().enumerate() {
            for (m, method) in LABELS.methods.iter().enumerate() {
                for (c, class) in STATUS_CLASSES.iter().enumerate() {
                    for (origin, name) in origins.into_iter().zip(Origin::NAMES) {
                        let times = expected.len() + 1;
                        for _ in 0..times {
                            meter.request_ended(&ended(o, m, 100 * c as u16, origin));
                        }
                        expected.push((
                            format!(
                                r#"requests_total{{operation="{operation}",method="{method}",status_class="{class}",origin="{name}"}}"#
                            ),
                            times,
                        ));
                    }
                }
            }
        }
        let text = text(&meters);
        for (series, times) in expected {
            assert_eq!(value(&text, &series), Some(times as f64), "{series}");
        }
    }

    #[test]
    fn a_connection_may_be_closed_on_another_thread_than_it_was_opened_on() {
        let meters = Meters::new(LABELS, 2);
        meters.meter(0).connection_opened();
        meters.meter(0).connection_opened();
        meters.meter(1).connection_closed();
        for _ in 0..3 {
            meters.meter(0).upstream_opened();
        }
        meters.meter(0).upstream_idle(2);
        meters.meter(1).upstream_idle(-1);
        meters.meter(1).upstream_closed();
        let text = text(&meters);
        for (series, expected) in [
            ("client_connections", 1.0),
            ("client_connections_accepted_total", 2.0),
            (r#"upstream_connections{state="active"}"#, 1.0),
            (r#"upstream_connections{state="idle"}"#, 1.0),
            ("upstream_connections_opened_total", 3.0),
        ] {
            assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
        }
    }

    #[test]
    fn a_status_or_label_nobody_knows_is_counted_without_a_new_series() {
        let meters = Meters::new(LABELS, 1);
        let meter = meters.meter(7);
        meter.request_ended(&ended(0, 0, 999, Origin::Upstream));
        meter.request_ended(&ended(99, 0, 200, Origin::Upstream));
        meter.request_ended(&ended(0, 99, 200, Origin::Upstream));
        meter.refused(99);
        let text = text(&meters);
        assert_eq!(text.matches("cos_auth_proxy_requests_total{").count(), 1, "{text}");
        assert!(text.contains(r#"status_class="none""#), "{text}");
        assert_eq!(value(&text, "request_duration_seconds_count"), Some(3.0));
    }
}
