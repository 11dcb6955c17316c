//! `keys once`: one key, printed for a program that signs itself.

use super::{CLEAN, Terminal, UNAVAILABLE, USAGE, arguments::KeyFormat, refuse};
use crate::{
    app::{self, KeyForm, NoSingleKey},
    config::{self, Inputs},
};

/// Prints one key of the key set `name`, or of the only one. Complaints go to standard error, so that
/// what reads the key reads nothing else.
pub(super) fn once(
    inputs: &Inputs<'_>,
    name: Option<&str>,
    format: KeyFormat,
    force: bool,
    terminal: &mut Terminal,
) -> u8 {
    if terminal.out_is_terminal && !force {
        terminal.complain(
            "keys once: standard output is a terminal, where the key would stay readable: pass it \
             on, as in eval \"$(cos-auth-proxy keys once --format env)\", or say --force",
        );
        return USAGE;
    }
    let settings = match config::load(inputs) {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems, terminal),
    };
    let form = match format {
        KeyFormat::Env => KeyForm::Env,
        KeyFormat::Json => KeyForm::Sts,
        KeyFormat::CredentialProcess => KeyForm::CredentialProcess,
    };
    match app::one_key(&settings, name, form) {
        Ok(text) => {
            terminal.say(&text);
            CLEAN
        }
        Err(fault) => {
            terminal.complain(&format!("keys once: {fault}"));
            match fault {
                NoSingleKey::WhichKeys { .. } | NoSingleKey::UnknownKeys { .. } => USAGE,
                NoSingleKey::NoKey { .. } | NoSingleKey::Start(_) => UNAVAILABLE,
            }
        }
    }
}
