//! Reads the environment: the second spelling of each scalar setting.

use std::collections::BTreeMap;

use super::{
    keys::SETTINGS,
    layers::Layers,
    nearest::{did_you_mean, nearest},
    problem::{Origin, Problems},
};

/// Where variables come from; a map in tests.
pub trait Environment {
    /// The value of `name`; an empty one counts as none.
    fn get(&self, name: &str) -> Option<String>;
    /// All names there are.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        let value = std::env::var_os(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some(value)
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// Names the file to read, like `--config`.
pub const CONFIG_VARIABLE: &str = "COS_AUTH_PROXY_CONFIG";

const PREFIX: &str = "COS_AUTH_PROXY_";

/// Lays the variables' values over `layers`; unknown names with our prefix are problems.
pub(super) fn lay(environment: &dyn Environment, layers: &mut Layers, problems: &mut Problems) {
    for setting in SETTINGS.iter().filter(|setting| setting.is_scalar()) {
        let variable = setting.variable();
        if let Some(text) = environment.get(&variable) {
            layers.put_text(setting, &text, Origin::Environment(variable), problems);
        }
    }
    let known: Vec<_> = SETTINGS.iter().map(|s| (s.variable(), s.is_scalar())).collect();
    let mut names = environment.names();
    names.sort();
    for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
        if name == CONFIG_VARIABLE || environment.get(name).is_none() || is_of_a_service(name) {
            continue;
        }
        match known.iter().find(|(variable, _)| variable == name) {
            Some((_, true)) => {}
            Some((_, false)) => {
                let origin = Origin::Environment(name.clone());
                problems.add_at(&origin, format!("{name} is a list: write it in the file"));
            }
            None => {
                let near = nearest(name, known.iter().map(|(variable, _)| variable.as_str()));
                problems
                    .add("environment", format!("{name} is not a setting{}", did_you_mean(near)));
            }
        }
    }
}

/// Kubernetes puts `NAME_SERVICE_HOST`, `NAME_PORT_9000_TCP` and their like into every pod beside
/// a Service; one called `cos-auth-proxy` must not stop us.
fn is_of_a_service(name: &str) -> bool {
    let after_port = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name.split_once("_PORT_").is_some_and(after_port)
}
