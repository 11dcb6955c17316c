//! Says at the start where keys come from, and why not from elsewhere.

use crate::config::KeyNote;

/// One line for each key set, and one for each thing that is hardly meant.
pub(super) fn log(notes: &[KeyNote]) {
    for note in notes {
        let listed = |texts: &[String]| (!texts.is_empty()).then(|| texts.join("; "));
        tracing::info!(
            target: "cos_auth_proxy::keys",
            keys = note.set, source = note.source, chosen_by_auto = note.chosen_by_auto,
            found_in = listed(&note.found_in), asked_at = note.endpoint,
            passed_over = listed(&note.passed_over), cache_file = note.cache_file,
            "keys come from here"
        );
        for warning in &note.warnings {
            tracing::warn!(target: "cos_auth_proxy::keys", keys = note.set, warning, "is this meant?");
        }
    }
}
