//! The numbers of a key's refresh. Each default is right for keys that live an hour or more.

use std::time::Duration;

/// When keys are renewed, what is accepted, and how failures are retried.
///
/// Shares are fractions of a key's life, measured from its arrival to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct RefreshSettings {
    /// Earliest scheduled refresh, as a share of the life.
    pub refresh_from: f64,
    /// Latest scheduled refresh, as a share of the life.
    pub refresh_to: f64,
    /// No scheduled refresh sooner than this after a key's arrival.
    pub refresh_floor: Duration,
    /// A new key must live at least this long.
    pub least_remaining_life: Duration,
    /// An end further away than this is nonsense, and the key is refused.
    pub longest_life: Duration,
    /// How long the key before the current one is kept as a fallback.
    pub previous_key_retention: Duration,
    /// Deadline of a TCP and TLS connection to a key source.
    pub connect_timeout: Duration,
    /// Deadline of one attempt to get a key.
    pub attempt_timeout: Duration,
    /// Network and server faults: bound of the first wait, doubled by each failure.
    pub transient_base: Duration,
    /// The bound grows to a tenth of the remaining life, but this much at least …
    pub transient_cap_least: Duration,
    /// … and this much at most.
    pub transient_cap_most: Duration,
    /// The same bound while there is no usable key.
    pub transient_cap_without_key: Duration,
    /// Throttled: bound of the first wait, doubled by each failure.
    pub throttled_base: Duration,
    /// Throttled: longest bound. It does not shrink as the end nears.
    pub throttled_cap: Duration,
    /// Throttled: longest bound while there is no usable key.
    pub throttled_cap_without_key: Duration,
    /// Faults that an operator must mend: the wait.
    pub operator_pause: Duration,
    /// Share by which that wait is spread to both sides.
    pub operator_spread: f64,
    /// The same wait while there is no usable key.
    pub operator_pause_without_key: Duration,
    /// The parent's key or token was refused: shortest wait.
    pub parent_pause_least: Duration,
    /// The parent's key or token was refused: longest wait.
    pub parent_pause_most: Duration,
    /// The source gave the key we hold already: ask again after this, spread by a fifth.
    pub unchanged_poll: Duration,
    /// The same within the last two `unchanged_poll` of the key's life.
    pub unchanged_poll_near_end: Duration,
    /// A source that changes its key when it likes is asked at least this often.
    pub longest_poll: Duration,
    /// Forced refreshes: one per this span …
    pub forced_interval: Duration,
    /// … of which this many may be saved up.
    pub forced_burst: u32,
    /// How often the wall clock is compared with the plan, so that a suspended machine or a
    /// stepped clock is noticed.
    pub wall_clock_tick: Duration,
    /// The first attempt waits a random part of this, so that a fleet does not ask at once.
    pub startup_jitter: Duration,
    /// With less than this share of its life left, a key is warned about.
    pub warn_share: f64,
    /// With less than this share of its life left, a key is critical …
    pub critical_share: f64,
    /// … or with less than this, unless that is more than the share to warn at.
    pub critical_life: Duration,
    /// With less than this left, requests wait for the key that is being asked for.
    pub near_expiry: Duration,
}

impl Default for RefreshSettings {
    fn default() -> Self {
        const fn seconds(count: u64) -> Duration {
            Duration::from_secs(count)
        }
        Self {
            refresh_from: 0.50,
            refresh_to: 0.70,
            refresh_floor: seconds(30),
            least_remaining_life: seconds(60),
            longest_life: seconds(48 * 3600),
            previous_key_retention: seconds(300),
            connect_timeout: seconds(2),
            attempt_timeout: seconds(5),
            transient_base: seconds(1),
            transient_cap_least: seconds(15),
            transient_cap_most: seconds(60),
            transient_cap_without_key: seconds(30),
            throttled_base: seconds(4),
            throttled_cap: seconds(120),
            throttled_cap_without_key: seconds(60),
            operator_pause: seconds(300),
            operator_spread: 0.2,
            operator_pause_without_key: seconds(30),
            parent_pause_least: seconds(15),
            parent_pause_most: seconds(60),
            unchanged_poll: seconds(60),
            unchanged_poll_near_end: seconds(10),
            longest_poll: seconds(600),
            forced_interval: seconds(30),
            forced_burst: 2,
            wall_clock_tick: seconds(5),
            startup_jitter: Duration::ZERO,
            warn_share: 0.3,
            critical_share: 0.1,
            critical_life: seconds(300),
            near_expiry: seconds(5),
        }
    }
}

impl RefreshSettings {
    /// Numbers for keys that live only `life`, seconds to minutes: demonstrations and tests.
    /// A life of two hours or more gives the defaults.
    #[must_use]
    pub fn for_keys_living(life: Duration) -> Self {
        let usual = Self::default();
        let share = |divisor: u32, least: Duration, most: Duration| {
            (life / divisor).max(least.min(most)).min(most)
        };
        let moment = Duration::from_millis(50);
        Self {
            refresh_floor: share(20, moment, usual.refresh_floor),
            least_remaining_life: share(10, moment, usual.least_remaining_life),
            previous_key_retention: share(4, moment, usual.previous_key_retention),
            transient_base: share(60, moment, usual.transient_base),
            transient_cap_least: share(30, moment, usual.transient_cap_least),
            transient_cap_most: share(10, moment, usual.transient_cap_most),
            transient_cap_without_key: share(10, moment, usual.transient_cap_without_key),
            throttled_base: share(60, moment, usual.throttled_base),
            throttled_cap: share(10, moment, usual.throttled_cap),
            throttled_cap_without_key: share(10, moment, usual.throttled_cap_without_key),
            operator_pause: share(6, moment, usual.operator_pause),
            operator_pause_without_key: share(20, moment, usual.operator_pause_without_key),
            parent_pause_least: share(20, moment, usual.parent_pause_least),
            parent_pause_most: share(10, moment, usual.parent_pause_most),
            unchanged_poll: share(20, moment, usual.unchanged_poll),
            unchanged_poll_near_end: share(60, moment, usual.unchanged_poll_near_end),
            longest_poll: share(12, moment, usual.longest_poll),
            forced_interval: share(10, moment, usual.forced_interval),
            wall_clock_tick: share(6, moment, usual.wall_clock_tick),
            critical_life: share(10, moment, usual.critical_life),
            near_expiry: share(60, moment, usual.near_expiry),
            ..usual
        }
    }
}
