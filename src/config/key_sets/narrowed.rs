//! The policy of a key set: made of the routes, or written by hand.

use super::{Problems, Set, found_key};
use crate::{
    config::policy_lint,
    proxy::{ListForm, route_policy},
};

impl Set<'_> {
    /// Whether there are routes, even wrong ones.
    pub(super) fn is_routed(&self) -> bool {
        !self.layers.routes().is_empty()
    }

    /// What a federation token is narrowed to when nothing is said.
    pub(super) fn usual_scope(&self) -> &'static str {
        if self.is_routed() { "routes" } else { "bucket" }
    }

    /// What the routes say that this key set signs.
    pub(super) fn routes_policy(&self, problems: &mut Problems) -> Option<String> {
        let form = match self.text("list_form").as_deref() {
            Some("condition") => ListForm::Condition,
            _ => ListForm::Prefix,
        };
        let nothing = || {
            format!(
                "\"routes\" needs a [[route]] with keys = \"{}\" that allows something: without \
                 one its keys may do nothing",
                self.name
            )
        };
        let fault = match route_policy(self.routes, self.index, form) {
            Ok(Some(policy)) => return Some(policy),
            Ok(None) => nothing(),
            Err(fault) => format!("\"routes\": {fault}"),
        };
        // Routes with problems of their own are not among these, so nothing can be said yet.
        if self.routes.len() == self.layers.routes().len() {
            self.refuse("scope", fault, problems);
        }
        None
    }

    /// The text of a file, if STS would take it as it is meant.
    pub(super) fn written_policy(&self, file: &str, problems: &mut Problems) -> Option<String> {
        let refuse = |fault, problems: &mut Problems| self.refuse("policy_file", fault, problems);
        let text = match found_key::read(file) {
            Ok(text) => text,
            Err(fault) => {
                refuse(format!("names a file that {fault}"), problems);
                return None;
            }
        };
        let mistakes = policy_lint::mistakes(&text);
        for mistake in &mistakes {
            refuse(format!("is wrong: {mistake}"), problems);
        }
        mistakes.is_empty().then(|| text.to_string())
    }
}
