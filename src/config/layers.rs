//! Lays default, file, environment and flags over each other; remembers where each value came from.

use std::{collections::BTreeMap, time::Duration};

use super::{
    keys::{SETTINGS, Setting, setting},
    problem::{Origin, Problems},
    value::Value,
};

/// A value and its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Of the kind its setting asks for.
    pub value: Value,
    /// The strongest place that said it.
    pub origin: Origin,
}

/// What a flag said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagText {
    /// The setting's own path, such as `upstream.region`.
    pub path: String,
    /// As typed, with dashes: `--region`.
    pub spelling: String,
    /// Its value.
    pub text: String,
}

/// All values by path, each of the right kind.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<String, Held>,
    key_sets: Vec<String>,
    routes: Vec<Origin>,
}

impl Default for Layers {
    /// The defaults alone.
    fn default() -> Self {
        let plain = SETTINGS.iter().filter(|s| !s.path.contains(['*', '[']));
        let values = plain.map(|s| (s.path.to_owned(), default_of(s))).collect();
        Self { values, key_sets: Vec::new(), routes: Vec::new() }
    }
}

impl Layers {
    /// Lays a value over what is there.
    pub fn put(&mut self, path: &str, value: Value, origin: Origin) {
        if let Some(name) = path.strip_prefix("keys.").and_then(|rest| rest.split_once('.')) {
            self.add_key_set(name.0);
        }
        self.values.insert(path.to_owned(), Held { value, origin });
    }

    /// Remembers that a key set of this name is wanted.
    pub fn add_key_set(&mut self, name: &str) {
        if !self.key_sets.iter().any(|known| known == name) {
            self.key_sets.push(name.to_owned());
        }
    }

    /// Names of the key sets, in the order they were first named.
    #[must_use]
    pub fn key_sets(&self) -> &[String] {
        &self.key_sets
    }

    /// Counts one more route, whose values are at `route[N].…`.
    pub fn add_route(&mut self, origin: Origin) {
        self.routes.push(origin);
    }

    /// Where each route begins.
    #[must_use]
    pub fn routes(&self) -> &[Origin] {
        &self.routes
    }

    /// Lays text of the environment or of a flag over what is there.
    pub fn put_text(
        &mut self,
        setting: &Setting,
        text: &str,
        origin: Origin,
        problems: &mut Problems,
    ) {
        let path = setting.own_path();
        match setting.kind.read_text(text) {
            Some(value) => self.put(&path, value, origin),
            None => {
                let allowed = setting.kind.allowed().replace("text in quotes", "text");
                problems.add_value(&path, &origin, format!("must be {allowed}"));
            }
        }
    }

    /// The value of `path`, the default included.
    ///
    /// # Panics
    /// If `path` is not in the table: a mistake in this program, which the test that loads
    /// `config.toml` meets.
    #[must_use]
    pub fn held(&self, path: &str) -> Held {
        self.values.get(path).cloned().unwrap_or_else(|| {
            default_of(setting(path).expect("only settings of the table are asked for"))
        })
    }

    /// Where the value of `path` came from.
    #[must_use]
    pub fn origin(&self, path: &str) -> Origin {
        self.held(path).origin
    }

    /// Whether anything but the default speaks for `path`.
    #[must_use]
    pub fn is_set(&self, path: &str) -> bool {
        self.text_like_is_present(path) && self.origin(path) != Origin::Default
    }

    /// The text at `path`; `None` if it is empty.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        match self.held(path).value {
            Value::Text(text) if !text.is_empty() => Some(text),
            Value::Text(_)
            | Value::Flag(_)
            | Value::Span(_)
            | Value::Number(_)
            | Value::Share(_)
            | Value::List(_) => None,
        }
    }

    /// The list at `path`.
    #[must_use]
    pub fn list(&self, path: &str) -> Vec<String> {
        if let Value::List(items) = self.held(path).value { items } else { Vec::new() }
    }

    /// The flag at `path`.
    #[must_use]
    pub fn flag(&self, path: &str) -> bool {
        self.held(path).value == Value::Flag(true)
    }

    /// The time at `path`.
    #[must_use]
    pub fn span(&self, path: &str) -> Duration {
        if let Value::Span(span) = self.held(path).value { span } else { Duration::ZERO }
    }

    /// The time at `path` if anything speaks for it.
    #[must_use]
    pub fn span_if_set(&self, path: &str) -> Option<Duration> {
        self.is_set(path).then(|| self.span(path))
    }

    /// The size or count at `path`; the table's bounds keep it in `usize`.
    #[must_use]
    pub fn number(&self, path: &str) -> usize {
        if let Value::Number(number) = self.held(path).value {
            usize::try_from(number).unwrap_or(usize::MAX)
        } else {
            0
        }
    }

    /// The fraction at `path`.
    #[must_use]
    pub fn share(&self, path: &str) -> f64 {
        if let Value::Share(share) = self.held(path).value { share } else { 0.0 }
    }

    /// All values that are set or have a default, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.values.iter().map(|(path, held)| (path.as_str(), held))
    }

    fn text_like_is_present(&self, path: &str) -> bool {
        !matches!(self.held(path).value, Value::Text(text) if text.is_empty())
    }
}

fn default_of(setting: &Setting) -> Held {
    let empty = || Value::Text(String::new());
    let value = setting.kind.read_text(setting.default).unwrap_or_else(empty);
    Held { value, origin: Origin::Default }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for setting in SETTINGS {
            let value = setting.kind.read_text(setting.default);
            assert!(
                setting.default.is_empty() || value.is_some(),
                "{} has a default that its kind refuses",
                setting.path
            );
        }
    }
}
