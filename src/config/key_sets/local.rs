//! `file`, `exec` and `cache_file`: what lives on this machine.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{super::file::part_of_a_key, Problems, Set};
use crate::{
    clock::Clock,
    credential::{ExecSettings, KeyFile, KeyFormat, SourceSettings},
};

impl Set<'_> {
    pub(super) fn file(&self, problems: &mut Problems) -> Option<SourceSettings> {
        let Some(path) = self.text("path") else {
            self.need("path", "file needs the file to read and watch", problems);
            return None;
        };
        let format = match self.text("format").as_deref() {
            Some("json") => KeyFormat::Json,
            Some("env") => KeyFormat::Env,
            Some("ini") => KeyFormat::Ini,
            _ => KeyFormat::Auto,
        };
        // It may not be there yet: whoever renders it may start after us.
        Some(SourceSettings::File(KeyFile { path: path.into(), format, profile: None }))
    }

    pub(super) fn exec(&self, problems: &mut Problems) -> Option<SourceSettings> {
        let mut words = self.layers.list(&self.path("command")).into_iter();
        let Some(program) = words.next() else {
            self.need("command", "exec needs [\"/absolute/path\", \"argument\", …]", problems);
            return None;
        };
        let arguments: Vec<_> = words.collect();
        let names_a_secret = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| part_of_a_key(name).is_some())
        };
        if arguments.iter().any(names_a_secret) {
            let text = "would put a secret into this file, and into the list of processes: let \
                        the command read it from a file";
            self.refuse("command", text.to_owned(), problems);
        }
        let program = PathBuf::from(program);
        if let Some(fault) = not_to_be_run(&program) {
            self.refuse("command", format!("names a program that {fault}"), problems);
        }
        // Enough to find other programs and a home; `/usr/bin/env NAME=value` adds what it needs.
        let usual_path = || "/usr/local/bin:/usr/bin:/bin".to_owned();
        let mut environment =
            vec![("PATH".to_owned(), self.environment.get("PATH").unwrap_or_else(usual_path))];
        environment.extend(self.environment.get("HOME").map(|home| ("HOME".to_owned(), home)));
        let timeout = self.layers.span_if_set(&self.path("timeout"));
        Some(SourceSettings::Exec(ExecSettings {
            program,
            arguments,
            environment,
            timeout: timeout.unwrap_or(ExecSettings::USUAL_TIMEOUT),
        }))
    }

    fn need(&self, key: &str, what: &str, problems: &mut Problems) {
        let origin = self.layers.origin(&self.path("source"));
        problems.add_value(&self.path(key), &origin, format!("is not set: {what}"));
    }

    pub(super) fn cache_file(&self, problems: &mut Problems) -> Option<PathBuf> {
        let path = PathBuf::from(self.text("cache_file")?);
        let folder = path.parent().unwrap_or(Path::new("/"));
        if !folder.is_dir() {
            let text = "is in a folder that does not exist; make it, on a tmpfs such as /run";
            self.refuse("cache_file", text.to_owned(), problems);
        }
        let others = self.layers.key_sets().iter().filter(|other| *other != self.name);
        let theirs = |other: &String| self.layers.text(&format!("keys.{other}.cache_file"));
        if let Some(other) = others
            .into_iter()
            .find(|other| theirs(other).is_some_and(|file| path == Path::new(&file)))
        {
            let text = format!("is that of [keys.{other}] too: each key set needs its own");
            self.refuse("cache_file", text, problems);
        }
        Some(path)
    }
}

/// A file that gives no key now may give one later.
pub(super) fn warning(source: &SourceSettings) -> Option<String> {
    let SourceSettings::File(file) = source else { return None };
    let fault = file.read_now(Clock::system().now()).err()?;
    Some(format!("{} {fault}; it is watched", file.path.display()))
}

/// The end of the sentence "names a program that …". A path that is not absolute is told elsewhere.
fn not_to_be_run(program: &Path) -> Option<&'static str> {
    if !program.is_absolute() {
        None
    } else if !program.exists() {
        Some("is not there")
    } else if !program.is_file() || access(program, Access::EXEC_OK).is_err() {
        Some("may not be run")
    } else {
        None
    }
}
