//! `exec`: a command that prints a key, as AWS's `credential_process` does or in any other shape.
//!
//! No shell. The command is the head of a process group of its own, which is killed as a whole when
//! the time is over, when the attempt is given up, or when the command has ended and left others
//! behind. Its output is a key: read up to a bound, wiped, never logged.

use std::{io, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    credential::{error::SourceError, settings_local::ExecSettings},
};

use super::{Fetched, Fetching, KeySource, last_words::last_words, reply};

/// A key and its surroundings fit many times.
const LONGEST_OUTPUT: usize = 64 * 1024;
/// What is kept of the errors it prints.
const LONGEST_COMPLAINT: usize = 4 * 1024;
/// How long output may stay open after the command has ended: somebody it started holds it.
const LINGERING: Duration = Duration::from_millis(500);

pub(super) struct Exec {
    settings: ExecSettings,
    clock: Clock,
}

impl Exec {
    pub(super) fn new(settings: ExecSettings, clock: Clock) -> Self {
        Self { settings, clock }
    }

    async fn ask(&self) -> Result<Fetched, SourceError> {
        let waited = self.settings.timeout;
        let output = match timeout(waited, self.run()).await {
            Ok(output) => output?,
            Err(_elapsed) => return Err(SourceError::TimedOut { endpoint: self.name(), waited }),
        };
        let now = self.clock.now();
        reply::parse_local(&output, now, now).map_err(|fault| fault.of(self.name()))
    }

    /// Runs the command to its end; what it printed, if it succeeded.
    async fn run(&self) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let mut child = self.start()?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut printed = Printed::new(LONGEST_OUTPUT);
        let mut complained = Printed::new(LONGEST_COMPLAINT);
        let too_much = || self.failed("it printed more than 64 KiB".to_owned());
        let status = {
            let reading = async {
                tokio::try_join!(
                    printed.read_from(stdout, TooMuch::IsAnError),
                    complained.read_from(stderr, TooMuch::LosesTheBeginning),
                )
            };
            let mut reading = std::pin::pin!(reading);
            tokio::select! {
                read = &mut reading => {
                    read.map_err(|Overflow| too_much())?;
                    child.wait().await
                }
                status = child.wait() => {
                    drop(group);
                    // Whatever it left in the pipes. They end here, unless somebody escaped.
                    if let Ok(Err(Overflow)) = timeout(LINGERING, reading).await {
                        return Err(too_much());
                    }
                    status
                }
            }
        };
        let status = status.map_err(|fault| self.failed(fault.kind().to_string()))?;
        if status.success() {
            return Ok(printed.bytes);
        }
        let words = last_words(&complained.bytes);
        let colon = if words.is_empty() { "" } else { ": " };
        // "exit status: 3", "signal: 9 (SIGKILL)"
        Err(self.failed(format!("it ended with {status}{colon}{words}")))
    }

    fn start(&self) -> Result<Child, SourceError> {
        let ExecSettings { program, arguments, environment, timeout: _ } = &self.settings;
        let started = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        started.map_err(|fault: io::Error| SourceError::Command {
            program: self.name(),
            fault: format!("it cannot be started ({})", fault.kind()),
            started: false,
        })
    }

    fn failed(&self, fault: String) -> SourceError {
        SourceError::Command { program: self.name(), fault, started: true }
    }

    fn name(&self) -> String {
        self.settings.program.display().to_string()
    }
}

/// A process group that ends with this value.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody may be left in it, which is as good.
        let (Ok(()) | Err(_)) =
            self.0.map_or(Ok(()), |group| kill_process_group(group, Signal::KILL));
    }
}

/// What came out of a pipe, within a bound.
struct Printed {
    bytes: Zeroizing<Vec<u8>>,
    bound: usize,
}

#[derive(Clone, Copy)]
enum TooMuch {
    IsAnError,
    LosesTheBeginning,
}

/// More came than fits.
struct Overflow;

impl Printed {
    fn new(bound: usize) -> Self {
        // Its full size from the start: a growing buffer would leave copies of keys behind.
        Self { bytes: Zeroizing::new(Vec::with_capacity(bound)), bound }
    }

    async fn read_from(
        &mut self,
        pipe: Option<impl AsyncRead + Unpin>,
        too_much: TooMuch,
    ) -> Result<(), Overflow> {
        let Some(mut pipe) = pipe else { return Ok(()) };
        let mut buffer = Zeroizing::new([0; 4096]);
        // A pipe that breaks has ended.
        while let Ok(length @ 1..) = pipe.read(&mut *buffer).await {
            let piece = buffer.get(..length).unwrap_or_default();
            let held = self.bytes.len();
            let surplus = (held + length).saturating_sub(self.bound);
            match too_much {
                TooMuch::IsAnError if surplus > 0 => return Err(Overflow),
                TooMuch::IsAnError => {}
                TooMuch::LosesTheBeginning => {
                    self.bytes.drain(..surplus.min(held));
                }
            }
            self.bytes.extend_from_slice(piece);
        }
        Ok(())
    }
}

impl KeySource for Exec {
    fn kind(&self) -> &'static str {
        "exec"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.ask())
    }

    fn deadline(&self) -> Duration {
        self.settings.timeout + Duration::from_secs(1)
    }
}
