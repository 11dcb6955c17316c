//! `check`: how the configuration is understood, and, online, whether it works.

use super::{CLEAN, Terminal, UNAVAILABLE};
use crate::{
    app,
    config::{self, Settings},
};

/// Prints the summary; `online` also tries a key and the bucket.
pub(super) fn check(settings: &Settings, online: bool, terminal: &mut Terminal) -> u8 {
    terminal.say(&config::summary(settings));
    if !online {
        terminal.say("the configuration is good; --online tries a key and the bucket");
        return CLEAN;
    }
    match app::check_online(settings) {
        Ok(found) => {
            terminal.say(&found);
            CLEAN
        }
        Err(fault) => {
            terminal.complain(&format!("check --online: {fault}"));
            UNAVAILABLE
        }
    }
}
