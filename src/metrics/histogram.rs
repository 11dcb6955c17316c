//! A histogram of durations over fixed buckets: two relaxed additions per observation.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of the buckets in microseconds; one more bucket takes the rest.
///
/// From half a millisecond (a small object near by) to ten minutes (a large upload).
const BOUNDS_MICROS: [u64; 18] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
];

const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// One shard of a histogram.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound * 1000 < nanos);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Shards added up.
#[derive(Debug)]
pub(super) struct HistogramTotal {
    /// Upper bound in seconds (the last is infinite) and observations in this bucket alone.
    pub(super) buckets: [(f64, u64); BUCKETS],
    pub(super) sum_seconds: f64,
    pub(super) count: u64,
}

impl HistogramTotal {
    pub(super) fn of<'a>(shards: impl Iterator<Item = &'a Histogram>) -> Self {
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let mut buckets = [(0.0, 0); BUCKETS];
        for (bucket, bound) in buckets.iter_mut().zip(bounds) {
            bucket.0 = bound;
        }
        let mut sum_seconds = 0.0;
        for shard in shards {
            for (bucket, counter) in buckets.iter_mut().zip(&shard.buckets) {
                bucket.1 += counter.load(Ordering::Relaxed);
            }
            sum_seconds += shard.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9;
        }
        // The count is the sum of the buckets that were read, so that a scrape agrees with itself
        // even while requests end.
        let count = buckets.iter().map(|bucket| bucket.1).sum();
        Self { buckets, sum_seconds, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_falls_into_the_first_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::default();
        for span in [
            Duration::ZERO,
            Duration::from_micros(500),
            Duration::from_micros(500) + Duration::from_nanos(1),
            Duration::from_secs(600),
            Duration::from_secs(601),
            Duration::MAX,
        ] {
            histogram.observe(span);
        }
        let total = HistogramTotal::of([&histogram].into_iter());
        let filled: Vec<_> = total.buckets.iter().filter(|bucket| bucket.1 > 0).collect();
        assert_eq!(filled, [&(0.0005, 2), &(0.001, 1), &(600.0, 1), &(f64::INFINITY, 2)]);
        assert_eq!(total.count, 6);
    }

    #[test]
    fn shards_add_up() {
        let one = Histogram::default();
        let two = Histogram::default();
        one.observe(Duration::from_millis(250));
        two.observe(Duration::from_millis(750));
        let total = HistogramTotal::of([&one, &two].into_iter());
        assert_eq!(total.count, 2);
        assert!((total.sum_seconds - 1.0).abs() < 1e-9);
    }
}
