//! Reads what the operator wants: default, then file, then environment, then flags; checks it as
//! a whole and tells every problem at once.
//!
//! A file is read only when it is named. No message and no output repeats a value that could be
//! a secret.

mod clock;
mod environment;
mod file;
mod found_key;
mod key_endpoint;
mod key_sets;
pub mod keys;
mod layers;
mod listen;
mod nearest;
mod policy_lint;
mod problem;
mod refresh;
mod route_table;
mod routes;
mod scope;
mod settings;
mod show;
mod summary;
mod tool_files;
mod upstream;
mod value;

use std::path::{Path, PathBuf};

pub use environment::{CONFIG_VARIABLE, Environment, ProcessEnvironment};
pub use file::part_of_a_key;
pub use key_sets::KeyNote;
pub use layers::{FlagText, Held, Layers};
pub use listen::Door;
pub use nearest::{did_you_mean, nearest};
pub use problem::{Origin, Problem, Problems};
pub use scope::{signs, warnings};
pub use settings::{Addresses, Settings};
pub use show::show;
pub use summary::summary;
pub use value::{Kind, Value, span_text};

/// Where settings are looked for.
pub struct Inputs<'a> {
    /// `--config`; stronger than [`CONFIG_VARIABLE`].
    pub file: Option<PathBuf>,
    /// Settings given as flags.
    pub flags: Vec<FlagText>,
    /// The environment.
    pub environment: &'a dyn Environment,
}

/// Reads all layers and checks them.
///
/// # Errors
/// All [`Problems`] of all layers.
pub fn load(inputs: &Inputs<'_>) -> Result<Settings, Problems> {
    let (layers, mut problems) = read(inputs);
    let settings = settings::settings(&layers, inputs.environment, &mut problems);
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

/// Only where a running proxy listens for its operator; needs neither bucket nor key.
///
/// # Errors
/// All [`Problems`] of all layers and of the addresses.
pub fn load_addresses(inputs: &Inputs<'_>) -> Result<Addresses, Problems> {
    let (layers, mut problems) = read(inputs);
    let addresses = settings::addresses(&layers, &mut problems);
    if problems.is_empty() { Ok(addresses) } else { Err(problems) }
}

/// All layers over each other, each value of its kind, with what could not be understood.
#[must_use]
pub fn read(inputs: &Inputs<'_>) -> (Layers, Problems) {
    let mut layers = Layers::default();
    let mut problems = Problems::default();
    let file = inputs.file.clone();
    let named = file.or_else(|| inputs.environment.get(CONFIG_VARIABLE).map(PathBuf::from));
    if let Some(path) = named {
        read_file(&path, &mut layers, &mut problems);
    }
    environment::lay(inputs.environment, &mut layers, &mut problems);
    for flag in &inputs.flags {
        let origin = Origin::Flag(flag.spelling.clone());
        match keys::setting(&flag.path) {
            Some(setting) => layers.put_text(setting, &flag.text, origin, &mut problems),
            None => problems.add_at(&origin, format!("{} is not a setting", flag.spelling)),
        }
    }
    (layers, problems)
}

// Far more than any configuration; a wrong path must not fill the memory.
const LARGEST_FILE: u64 = 1 << 20;

fn read_file(path: &Path, layers: &mut Layers, problems: &mut Problems) {
    let name = path.display().to_string();
    let text = std::fs::metadata(path).and_then(|about| {
        if about.len() > LARGEST_FILE {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        std::fs::read_to_string(path)
    });
    match text {
        Ok(text) => file::lay(&name, &text, layers, problems),
        Err(error) => {
            problems.add(name, format!("the configuration file cannot be read ({})", error.kind()));
        }
    }
}
