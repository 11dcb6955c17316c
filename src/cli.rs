//! What a user types: commands and flags in, an exit code out.

mod arguments;
mod check;
mod explain;
mod help;
mod keys;
mod operator;
mod refresh;
mod status;

use std::{
    ffi::OsString,
    io,
    io::{IsTerminal, Write},
};

use arguments::{Call, Command, KeysCommand};

use crate::{
    app,
    config::{self, Environment, Inputs, Problems},
};

/// All went well.
pub const CLEAN: u8 = 0;
/// Usage or configuration is wrong (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// Something that is needed is not there: an address to bind, a proxy to talk to
/// (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// A mistake in this program (`EX_SOFTWARE`).
pub const BUG: u8 = 70;
/// Not done in time (`EX_TEMPFAIL`).
pub const OUT_OF_TIME: u8 = 75;

/// Where answers and complaints go. A reader that went away is not an error of ours.
pub struct Terminal {
    /// Answers.
    pub out: Box<dyn Write>,
    /// Answers are shown to a person, and stay on the screen.
    pub out_is_terminal: bool,
    /// Complaints.
    pub err: Box<dyn Write>,
}

impl Terminal {
    /// Standard output and standard error.
    #[must_use]
    pub fn standard() -> Self {
        let out_is_terminal = io::stdout().is_terminal();
        Self { out: Box::new(io::stdout()), out_is_terminal, err: Box::new(io::stderr()) }
    }

    fn say(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", text.trim_end());
        let _ = self.out.flush();
    }

    fn complain(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", text.trim_end());
    }
}

/// Carries out one command line. Returns the exit code.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &dyn Environment,
    terminal: &mut Terminal,
) -> u8 {
    let call = match arguments::parse(arguments) {
        Ok(call) => call,
        Err(arguments::NoCall::Shown(text)) => {
            terminal.say(&text);
            return CLEAN;
        }
        Err(arguments::NoCall::Wrong(text)) => {
            terminal.complain(&text);
            terminal.complain("`cos-auth-proxy --help` lists commands and flags");
            return USAGE;
        }
    };
    let Call { command, file, flags } = call;
    let inputs = Inputs { file, flags, environment };
    match command {
        Command::Run => run(&inputs, terminal),
        Command::Demo { seed, key_life, stand_in } => {
            demo(seed, key_life, stand_in, &inputs, terminal)
        }
        Command::Check { online } => match config::load(&inputs) {
            Ok(settings) => check::check(&settings, online, terminal),
            Err(problems) => refuse(&problems, terminal),
        },
        Command::PrintConfig { sources } => print_config(&inputs, sources, terminal),
        Command::Status { json } => ask(&inputs, &operator::Order::Status { json }, terminal),
        Command::Wait { timeout } => ask(&inputs, &operator::Order::Wait { timeout }, terminal),
        Command::Refresh { keys } => ask(&inputs, &operator::Order::Refresh { keys }, terminal),
        Command::Keys { command: KeysCommand::Once { name, format, force } } => {
            keys::once(&inputs, name.as_deref(), format, force, terminal)
        }
        Command::Quit => ask(&inputs, &operator::Order::Quit, terminal),
        Command::ExplainSignature(asked) => explain::explain(&asked, &inputs, terminal),
        Command::Healthcheck => ask(&inputs, &operator::Order::Healthcheck, terminal),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut arguments::shown(), "cos-auth-proxy", &mut script);
            terminal.say(&String::from_utf8_lossy(&script));
            CLEAN
        }
        Command::Version => {
            terminal.say(concat!("cos-auth-proxy ", env!("CARGO_PKG_VERSION")));
            CLEAN
        }
    }
}

fn run(inputs: &Inputs<'_>, terminal: &mut Terminal) -> u8 {
    match config::load(inputs) {
        Ok(settings) => app::run(settings).code(),
        Err(problems) => refuse(&problems, terminal),
    }
}

fn print_config(inputs: &Inputs<'_>, sources: bool, terminal: &mut Terminal) -> u8 {
    let (layers, problems) = config::read(inputs);
    terminal.say(&config::show(&layers, sources));
    if problems.is_empty() { CLEAN } else { refuse(&problems, terminal) }
}

fn ask(inputs: &Inputs<'_>, order: &operator::Order, terminal: &mut Terminal) -> u8 {
    match config::load_addresses(inputs) {
        Ok(addresses) => operator::carry_out(order, &addresses, terminal),
        Err(problems) => refuse(&problems, terminal),
    }
}

fn refuse(problems: &Problems, terminal: &mut Terminal) -> u8 {
    terminal.complain(&problems.to_string());
    USAGE
}

#[cfg(feature = "demo")]
fn demo(
    seed: Option<std::path::PathBuf>,
    key_life: std::time::Duration,
    stand_in: bool,
    inputs: &Inputs<'_>,
    terminal: &mut Terminal,
) -> u8 {
    let text = inputs.flags.first().map(|flag| (flag.path.as_str(), flag.text.as_str()));
    let listen = match (text, inputs.flags.len()) {
        (None, _) => None,
        (Some(("listen.address", text)), 1) => match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                terminal.complain("command line: --listen must be ADDRESS:PORT for demo");
                return USAGE;
            }
        },
        (Some(_), _) => {
            terminal.complain("command line: demo takes --seed, --listen and --key-life only");
            return USAGE;
        }
    };
    crate::demo::run(crate::demo::DemoOptions { seed, listen, key_life, stand_in }).code()
}

#[cfg(not(feature = "demo"))]
fn demo(
    _seed: Option<std::path::PathBuf>,
    _key_life: std::time::Duration,
    _stand_in: bool,
    _inputs: &Inputs<'_>,
    terminal: &mut Terminal,
) -> u8 {
    terminal.complain("demo is not part of this build: build with the feature `demo`");
    USAGE
}
