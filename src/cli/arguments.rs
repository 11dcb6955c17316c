//! Commands and flags. Every scalar setting is a flag; the table of settings makes them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    ValueEnum,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use clap_complete::Shell;

use super::help;
use crate::config::{
    FlagText, Kind, did_you_mean,
    keys::{ALIASES, SETTINGS, Setting},
    nearest, part_of_a_key,
};

/// What was typed.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) command: Command,
    pub(super) file: Option<PathBuf>,
    pub(super) flags: Vec<FlagText>,
}

/// Why there is nothing to carry out.
#[derive(Debug)]
pub(super) enum NoCall {
    /// Help was asked for, and this is it.
    Shown(String),
    /// This is wrong.
    Wrong(String),
}

/// Local programs talk plain HTTP to it; it signs with temporary keys and forwards to Tencent
/// Cloud COS.
#[derive(Debug, Parser)]
#[command(name = "cos-auth-proxy", version, max_term_width = 100)]
#[command(override_usage = "cos-auth-proxy [COMMAND] [OPTIONS]", after_help = help::AFTER)]
#[command(disable_help_subcommand = true, next_line_help = false)]
struct Arguments {
    /// Read settings from this file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// List the flags of all settings
    #[arg(long)]
    help_all: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Debug, Default, Subcommand)]
pub(super) enum Command {
    /// Serve; the default
    #[default]
    Run,
    /// Try it with an embedded COS and keys that live a minute
    Demo {
        /// Serve the files of this folder
        #[arg(long, value_name = "DIR")]
        seed: Option<PathBuf>,
        /// Life of each key
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
        key_life: Duration,
        /// Only the embedded COS and STS; print where they are as JSON
        #[arg(long)]
        stand_in: bool,
    },
    /// Say how the configuration is understood
    Check {
        /// And get one key, and send one HEAD to the bucket
        #[arg(long)]
        online: bool,
    },
    /// Show how a running proxy and its keys are
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Wait until a running proxy is ready
    Wait {
        /// But not longer than this
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
        timeout: Duration,
    },
    /// Get a new key now
    Refresh {
        /// For this key set only
        keys: Option<String>,
    },
    /// Keys for programs that sign themselves
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// End a running proxy once its requests are done
    Quit,
    /// Show why COS refused the signature of a request
    #[command(after_help = help::AFTER_EXPLAIN)]
    ExplainSignature(Explain),
    /// Succeed if a running proxy is ready, for container health checks
    Healthcheck,
    /// Print the configuration in force
    PrintConfig {
        /// And where each value comes from
        #[arg(long)]
        sources: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which
        shell: Shell,
    },
    /// Print the version
    Version,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Get one key from the configured source and print it; no running proxy is needed
    Once {
        /// Of this key set; needed when there are several
        name: Option<String>,
        /// As shell lines, as the COS STS SDKs' JSON, or as an AWS credential process
        #[arg(long, value_name = "FORMAT", default_value = "json")]
        format: KeyFormat,
        /// Even onto a terminal, where it stays readable
        #[arg(long)]
        force: bool,
    },
}

/// How `keys once` prints a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyFormat {
    /// `export NAME='value';` for `eval`
    Env,
    /// The reply of the COS STS SDKs
    Json,
    /// AWS credential process, version 1
    CredentialProcess,
}

/// Which failed request to explain, and how.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The last one that the running proxy met
    #[arg(long)]
    pub(super) last: bool,
    /// The one in a curl trace or in the proxy's log; - is standard input
    #[arg(value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Its request line and headers
    #[arg(long, value_name = "FILE")]
    pub(super) request: Option<PathBuf>,
    /// COS's XML error to it
    #[arg(long, value_name = "FILE")]
    pub(super) error: Option<PathBuf>,
    /// Test whether the configured key signed it
    #[arg(long)]
    pub(super) check_key: bool,
    /// As JSON, with both strings whole
    #[arg(long)]
    pub(super) json: bool,
}

/// The command with the everyday flags only, for help and completions.
pub(super) fn shown() -> clap::Command {
    Arguments::command().args(SETTINGS.iter().filter_map(everyday))
}

/// Understands a command line, the program's name first.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Call, NoCall> {
    let hidden = SETTINGS.iter().filter(|s| s.is_scalar() && alias(s).is_none());
    let command = shown().args(hidden.map(|s| flag(s, s.flag()).hide(true)));
    let matches = command.try_get_matches_from(arguments).map_err(|error| explain(&error))?;
    let parsed = Arguments::from_arg_matches(&matches).map_err(|error| explain(&error))?;
    if parsed.help_all {
        return Err(NoCall::Shown(help::all()));
    }
    let mut innermost = &matches;
    while let Some((_, deeper)) = innermost.subcommand() {
        innermost = deeper;
    }
    let flags = SETTINGS.iter().filter_map(|setting| given(setting, innermost)).collect();
    Ok(Call { command: parsed.command.unwrap_or_default(), file: parsed.config, flags })
}

/// The short name of an everyday setting.
pub(super) fn alias(setting: &Setting) -> Option<&'static str> {
    ALIASES.iter().find(|(_, path)| *path == setting.path).map(|(alias, _)| *alias)
}

fn everyday(setting: &Setting) -> Option<Arg> {
    let alias = alias(setting)?;
    Some(flag(setting, alias.to_owned()).alias(setting.flag()))
}

fn flag(setting: &Setting, long: String) -> Arg {
    let arg = Arg::new(setting.path).long(long).help(setting.help).global(true);
    let arg = arg.value_name(setting.kind.placeholder()).allow_hyphen_values(false);
    match setting.kind {
        Kind::Flag => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::Addresses => arg.action(ArgAction::Append),
        Kind::Text
        | Kind::Variable
        | Kind::Path
        | Kind::Choice(_)
        | Kind::Span
        | Kind::Size(..)
        | Kind::Count(..)
        | Kind::Share
        | Kind::List => arg,
    }
}

fn given(setting: &Setting, matches: &ArgMatches) -> Option<FlagText> {
    let source = matches.try_contains_id(setting.path).ok().filter(|given| *given)?;
    debug_assert!(source);
    if matches.value_source(setting.path) != Some(ValueSource::CommandLine) {
        return None;
    }
    let texts: Vec<_> = matches.get_many::<String>(setting.path)?.map(String::as_str).collect();
    let long = alias(setting).map_or_else(|| setting.flag(), str::to_owned);
    Some(FlagText {
        path: setting.own_path(),
        spelling: format!("--{long}"),
        text: texts.join(","),
    })
}

fn time(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).or(Err("must be a time such as 60s"))
}

/// clap's own texts repeat what was typed, and somebody may have typed a secret.
#[expect(clippy::wildcard_enum_match_arm, reason = "clap may add kinds")]
fn explain(error: &clap::Error) -> NoCall {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return NoCall::Shown(error.render().to_string());
    }
    let culprit = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.as_str(),
        Some(ContextValue::Strings(texts)) => texts.first().map_or("", String::as_str),
        _ => "",
    };
    let culprit = culprit.split(['=', ' ']).next().unwrap_or_default();
    let text = match error.kind() {
        ErrorKind::UnknownArgument if culprit.starts_with('-') => unknown_flag(culprit),
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument => unknown_word(error),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => value(error, culprit),
        ErrorKind::ArgumentConflict => format!("{culprit} is given more than once"),
        ErrorKind::MissingRequiredArgument => format!("{culprit} is missing"),
        ErrorKind::TooManyValues | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{culprit} has the wrong number of values")
        }
        ErrorKind::NoEquals => format!("{culprit} takes its value after `=`"),
        _ => "these arguments do not fit together".to_owned(),
    };
    NoCall::Wrong(format!("command line: {text}"))
}

fn unknown_flag(typed: &str) -> String {
    let name = typed.trim_start_matches('-');
    let words: Vec<_> = name.split('-').collect();
    let mut tails = (0..words.len()).filter_map(|from| words.get(from..)).map(<[_]>::concat);
    if let Some(part) = tails.find_map(|tail| part_of_a_key(&tail)) {
        let flag = part.replace('_', "-");
        return format!(
            "{typed} does not exist: every user of this host can read a command line; name the \
             environment variable or the file that holds the secret: --keys-default-{flag}-env \
             or --keys-default-{flag}-file"
        );
    }
    let others = ["config", "help", "help-all", "version", "seed", "key-life", "online", "json"];
    let settings = SETTINGS.iter().filter(|s| s.is_scalar()).map(Setting::flag);
    let known: Vec<String> = ALIASES
        .iter()
        .map(|(alias, _)| (*alias).to_owned())
        .chain(others.map(str::to_owned))
        .chain(["sources", "timeout", "format", "force", "last", "check-key"].map(str::to_owned))
        .chain(["request", "error"].map(str::to_owned))
        .chain(settings)
        .collect();
    let near = nearest(name, known.iter().map(String::as_str)).map(|name| format!("--{name}"));
    format!("{typed} does not exist{}", did_you_mean(near.as_deref()))
}

fn unknown_word(error: &clap::Error) -> String {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let commands: Vec<_> =
        Arguments::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let near = nearest(typed, commands.iter().map(String::as_str));
    format!("there is no such command or argument{}", did_you_mean(near))
}

fn value(error: &clap::Error, culprit: &str) -> String {
    if let Some(ContextValue::Strings(allowed)) = error.get(ContextKind::ValidValue)
        && !allowed.is_empty()
    {
        return format!("{culprit} must be one of {}", allowed.join(", "));
    }
    if error.kind() == ErrorKind::ValueValidation {
        format!("{culprit} must be a time such as 60s")
    } else {
        format!("{culprit} needs a value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        let hidden = SETTINGS.iter().filter(|s| s.is_scalar() && alias(s).is_none());
        shown().args(hidden.map(|s| flag(s, s.flag()).hide(true))).debug_assert();
    }
}
