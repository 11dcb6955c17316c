//! `keys once`: one key from the configured source, without a house around it.

use std::io;

use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    config::Settings,
    credential::{self, KeySetSettings, KeyShape, RefreshError, write_key},
};

/// How the key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Lines for a shell.
    Env,
    /// JSON of the COS STS SDKs.
    Sts,
    /// JSON of an AWS credential process.
    CredentialProcess,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoSingleKey {
    /// Several key sets, and none was named.
    #[error("there are several key sets, so name one: {}", known.join(", "))]
    WhichKeys {
        /// The names there are.
        known: Vec<String>,
    },
    /// No key set has this name.
    #[error("no key set is named {name:?}; there are: {}", known.join(", "))]
    UnknownKeys {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The source gave none.
    #[error("no key from {keys}: {error}")]
    NoKey {
        /// The key set.
        keys: String,
        /// Why.
        error: RefreshError,
    },
    /// The operating system gave no event queue.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Asks the source of the key set `name`, or of the only one, for one key. Disturbs no running proxy.
///
/// # Errors
/// [`NoSingleKey`].
pub fn one_key(
    settings: &Settings,
    name: Option<&str>,
    form: KeyForm,
) -> Result<Zeroizing<String>, NoSingleKey> {
    let set = chosen(&settings.keys, name)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fetched =
        runtime.block_on(credential::once_of(&settings.keys, &set.name, &Clock::system()));
    // A name that is still being resolved must not hold up the end.
    runtime.shutdown_background();
    let key = fetched.map_err(|error| NoSingleKey::NoKey { keys: set.name.clone(), error })?;
    let shape = match form {
        KeyForm::Env => KeyShape::Env,
        KeyForm::Sts => KeyShape::Sts,
        KeyForm::CredentialProcess => KeyShape::CredentialProcess,
    };
    Ok(write_key(&key, shape, None, "-"))
}

fn chosen<'a>(
    sets: &'a [KeySetSettings],
    name: Option<&str>,
) -> Result<&'a KeySetSettings, NoSingleKey> {
    let known = || sets.iter().map(|set| set.name.clone()).collect();
    // A key that only makes calls for another key set is nobody's by default.
    let only_calls = |set: &&KeySetSettings| sets.iter().any(|s| s.via() == Some(&set.name));
    let usual: Vec<_> = sets.iter().filter(|set| !only_calls(set)).collect();
    match (name, usual.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(NoSingleKey::WhichKeys { known: known() }),
        (Some(name), _) => {
            let found = sets.iter().find(|set| set.name == name);
            let unknown = || NoSingleKey::UnknownKeys { name: name.to_owned(), known: known() };
            found.ok_or_else(unknown)
        }
    }
}
