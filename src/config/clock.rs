//! The numbers of `[clock]`.

use super::{layers::Layers, problem::Problems};
use crate::clock::ClockSettings;

/// Reads them and checks how they fit together.
pub(super) fn clock(layers: &Layers, problems: &mut Problems) -> ClockSettings {
    let settings = ClockSettings {
        samples: layers.number("clock.samples"),
        ignore_below: layers.span("clock.ignore_below"),
        longest: layers.span("clock.longest"),
    };
    if settings.longest <= settings.ignore_below {
        problems.add_value(
            "clock.longest",
            &layers.origin("clock.longest"),
            "must be more than clock.ignore_below, or no offset would ever count",
        );
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_room() {
        assert_eq!(clock(&Layers::default(), &mut Problems::default()), ClockSettings::default());
    }
}
