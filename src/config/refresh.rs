//! The numbers of `[refresh]`.

use super::layers::Layers;
use crate::credential::RefreshSettings;

/// Reads them; the credential room checks how they fit together.
pub(super) fn refresh(layers: &Layers) -> RefreshSettings {
    let span = |key: &str| layers.span(&format!("refresh.{key}"));
    let share = |key: &str| layers.share(&format!("refresh.{key}"));
    RefreshSettings {
        refresh_from: share("from"),
        refresh_to: share("to"),
        refresh_floor: span("floor"),
        least_remaining_life: span("least_remaining_life"),
        longest_life: span("longest_life"),
        previous_key_retention: span("previous_key_retention"),
        connect_timeout: span("connect_timeout"),
        attempt_timeout: span("attempt_timeout"),
        transient_base: span("transient_base"),
        transient_cap_least: span("transient_cap_least"),
        transient_cap_most: span("transient_cap_most"),
        transient_cap_without_key: span("transient_cap_without_key"),
        throttled_base: span("throttled_base"),
        throttled_cap: span("throttled_cap"),
        throttled_cap_without_key: span("throttled_cap_without_key"),
        operator_pause: span("operator_pause"),
        operator_spread: share("operator_spread"),
        operator_pause_without_key: span("operator_pause_without_key"),
        parent_pause_least: span("parent_pause_least"),
        parent_pause_most: span("parent_pause_most"),
        unchanged_poll: span("unchanged_poll"),
        unchanged_poll_near_end: span("unchanged_poll_near_end"),
        longest_poll: span("longest_poll"),
        forced_interval: span("forced_interval"),
        forced_burst: u32::try_from(layers.number("refresh.forced_burst")).unwrap_or(u32::MAX),
        wall_clock_tick: span("wall_clock_tick"),
        startup_jitter: span("startup_jitter"),
        warn_share: share("warn_share"),
        critical_share: share("critical_share"),
        critical_life: span("critical_life"),
        near_expiry: span("near_expiry"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_room() {
        assert_eq!(refresh(&Layers::default()), RefreshSettings::default());
    }
}
