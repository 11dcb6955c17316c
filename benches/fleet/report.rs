//! What a simulation measured.

use std::ops::Range;

use crate::sts::Millis;

/// Calls per second, waits for a first key, and times without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Calls in each second.
    pub calls: Vec<u32>,
    /// Calls that got a key.
    pub accepted: u64,
    /// By sidecar, the last one's if it was replaced: when it began and when its first key came.
    first_keys: Vec<Option<(Millis, Millis)>>,
    /// By sidecar: the longest time without a usable key after the first one.
    gaps: Vec<Millis>,
    /// From the first failure to the next key, of each sidecar that failed.
    recoveries: Vec<(Millis, Millis)>,
    /// The instants of all calls, of fleets of one.
    pub call_instants: Vec<Millis>,
}

impl Report {
    pub fn new(sidecars: usize) -> Self {
        Self {
            calls: Vec::new(),
            accepted: 0,
            first_keys: vec![None; sidecars],
            gaps: vec![0; sidecars],
            recoveries: Vec::new(),
            call_instants: Vec::new(),
        }
    }

    pub fn called(&mut self, at: Millis, accepted: bool) {
        let second = (at / 1000) as usize;
        if self.calls.len() <= second {
            self.calls.resize(second + 1, 0);
        }
        self.calls[second] += 1;
        self.accepted += u64::from(accepted);
        if self.gaps.len() == 1 {
            self.call_instants.push(at);
        }
    }

    pub fn first_key(&mut self, who: usize, began_at: Millis, at: Millis) {
        self.first_keys[who] = Some((began_at, at));
    }

    pub fn recovered(&mut self, failing_since: Millis, at: Millis) {
        self.recoveries.push((failing_since, at));
    }

    /// When the last of the sidecars that had failed before `second` got a key.
    pub fn recovered_from(&self, second: u64) -> Millis {
        let failed_before = self.recoveries.iter().filter(|(since, _)| *since < second * 1000);
        failed_before.map(|(_, at)| *at).max().unwrap_or(0)
    }

    pub fn without_key(&mut self, who: usize, span: Millis) {
        self.gaps[who] = self.gaps[who].max(span);
    }

    /// All calls.
    pub fn total(&self) -> u64 {
        self.calls.iter().copied().map(u64::from).sum()
    }

    /// Calls in the busiest of these seconds.
    pub fn worst(&self, seconds: Range<u64>) -> u32 {
        self.within(seconds).max().unwrap_or(0)
    }

    /// Calls per second over these seconds.
    pub fn mean(&self, seconds: Range<u64>) -> f64 {
        let length = seconds.end - seconds.start;
        self.within(seconds).map(f64::from).sum::<f64>() / length as f64
    }

    fn within(&self, seconds: Range<u64>) -> impl Iterator<Item = u32> {
        let length = (seconds.end - seconds.start) as usize;
        self.calls.iter().copied().skip(seconds.start as usize).take(length)
    }

    /// Sidecars that got a key.
    pub fn served(&self) -> usize {
        self.first_keys.iter().flatten().count()
    }

    /// The wait for a first key that this share of the sidecars did not exceed, in seconds; `None`
    /// if they had not all got one.
    pub fn waited(&self, share: f64) -> Option<f64> {
        let waits = self.first_keys.iter();
        let waits = waits.map(|key| key.map_or(Millis::MAX, |(began_at, at)| at - began_at));
        nearest_rank(waits.collect(), share)
    }

    /// When this share of the sidecars had their first keys, in seconds; `None` if they had not.
    pub fn served_at(&self, share: f64) -> Option<f64> {
        let keys = self.first_keys.iter().map(|key| key.map_or(Millis::MAX, |(_, at)| at));
        nearest_rank(keys.collect(), share)
    }

    /// Sidecars that had a key and later none that worked.
    pub fn ever_without(&self) -> usize {
        self.gaps.iter().filter(|gap| **gap > 0).count()
    }

    /// The time without a key that this share of all sidecars did not exceed, in seconds.
    pub fn without(&self, share: f64) -> f64 {
        nearest_rank(self.gaps.clone(), share).unwrap_or(0.0)
    }
}

fn nearest_rank(mut values: Vec<Millis>, share: f64) -> Option<f64> {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    let value = *values.get(rank.saturating_sub(1))?;
    (value != Millis::MAX).then(|| value as f64 / 1000.0)
}
