//! Settings of the sources that live on this machine.

use std::{fmt, path::PathBuf, time::Duration};

use super::settings_check::SettingProblem;

/// An `exec` source: a command that prints a key.
#[derive(Clone)]
pub struct ExecSettings {
    /// Absolute path; started without a shell.
    pub program: PathBuf,
    /// Its arguments. Never shown: they may hold what is nobody's business.
    pub arguments: Vec<String>,
    /// All that it finds in its environment.
    pub environment: Vec<(String, String)>,
    /// It is killed when it runs longer, with all it started.
    pub timeout: Duration,
}

impl ExecSettings {
    /// How long a command may run unless told otherwise.
    pub const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

    pub(super) fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        if !self.program.is_absolute() {
            let problem = "must begin with the absolute path of a program: no shell looks for it";
            problems.push(SettingProblem { field: "command", problem: problem.to_owned() });
        }
        if self.timeout.is_zero() {
            let problem = "must not be zero";
            problems.push(SettingProblem { field: "timeout", problem: problem.to_owned() });
        }
        problems
    }
}

impl fmt::Debug for ExecSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("ExecSettings")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("environment", &names)
            .field("timeout", &self.timeout)
            .finish()
    }
}
