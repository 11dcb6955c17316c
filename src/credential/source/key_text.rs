//! Reads a key out of the text of a file: JSON, `NAME=value` lines, INI, and coscli's YAML. Pure.
//!
//! A file may be read while somebody writes it. Cut-off JSON is no JSON; of lines, only those that
//! have ended count until the text is known to be `finished`.

use crate::{clock::Timestamp, credential::Credential};

use super::reply::{self, ReplyError};

/// The form of a file that holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyFormat {
    /// JSON if it begins with `{`, otherwise lines, with or without sections.
    #[default]
    Auto,
    /// Any shape of answer that a key server gives.
    Json,
    /// `NAME=value` lines, as a shell reads them or cosfs.
    Env,
    /// The same in sections.
    Ini,
    /// `~/.cos.yaml` of coscli.
    CoscliYaml,
}

/// Why a text gives no key. Names positions and fields, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TextFault {
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error("it holds no key")]
    NoKey,
    #[error("it is not text (UTF-8)")]
    NotText,
    #[error("line {line} is neither NAME=value nor a comment")]
    Line { line: usize },
    #[error("line {line} begins a section, and the form \"env\" has none")]
    Section { line: usize },
    #[error("it has no section [{name}]")]
    NoSection { name: String },
    #[error("line {line} gives the {what} a second time, and another one")]
    Twice { line: usize, what: &'static str },
    /// Not an error once the text is known to be whole.
    #[error("its last line has no end: it may be half written")]
    Unfinished,
    #[error(
        "coscli hides its values in it; say disableencryption: \"true\" there and enter the key again, or name another source"
    )]
    Hidden,
    #[error("coscli takes keys from the instance's role: use the source instance-role")]
    InstanceRole,
}

impl TextFault {
    /// Whether the text has no key, rather than a broken one.
    pub(super) fn is_no_key(&self) -> bool {
        match self {
            Self::NoKey | Self::NoSection { .. } | Self::Hidden | Self::InstanceRole => true,
            Self::Reply(_)
            | Self::NotText
            | Self::Line { .. }
            | Self::Section { .. }
            | Self::Twice { .. }
            | Self::Unfinished => false,
        }
    }
}

/// What is known about the text besides itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) format: KeyFormat,
    /// The section to look into; not set: lines before any section, `[default]`, `[common]`.
    pub(super) profile: Option<&'a str>,
    /// Nobody is writing it.
    pub(super) finished: bool,
    pub(super) now: Timestamp,
    /// When it was written: a lease counts from there.
    pub(super) written_at: Timestamp,
}

/// Reads the key.
pub(super) fn parse(bytes: &[u8], about: About<'_>) -> Result<Credential, TextFault> {
    let text = std::str::from_utf8(bytes).map_err(|_position| TextFault::NotText)?;
    let text = text.trim_start_matches('\u{feff}');
    let is_json = match about.format {
        KeyFormat::Json => true,
        KeyFormat::Auto => text.trim_start().starts_with('{'),
        KeyFormat::Env | KeyFormat::Ini | KeyFormat::CoscliYaml => false,
    };
    if is_json {
        let read = reply::parse_local(text.as_bytes(), about.now, about.written_at);
        return match read {
            Ok(read) => Ok(read.credential),
            Err(ReplyError::Missing { what: "secret id" }) => Err(TextFault::NoKey),
            Err(fault) => Err(fault.into()),
        };
    }
    // An empty file is one that somebody begins to write, or nobody ever did.
    if !about.finished && !text.ends_with('\n') {
        return Err(TextFault::Unfinished);
    }
    match about.format {
        KeyFormat::CoscliYaml => coscli(text, about.now),
        KeyFormat::Env | KeyFormat::Ini | KeyFormat::Auto | KeyFormat::Json => lines(text, about),
    }
}

/// The parts of a key as they are met.
#[derive(Default)]
struct Parts<'a> {
    id: Option<&'a str>,
    secret: Option<&'a str>,
    token: Option<&'a str>,
    expiry: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn take(&mut self, name: &str, value: &'a str, line: usize) -> Result<(), TextFault> {
        let (place, what) = match Part::of(name) {
            None => return Ok(()),
            Some(_) if value.is_empty() => return Ok(()),
            Some(Part::Id) => (&mut self.id, "secret id"),
            Some(Part::Secret) => (&mut self.secret, "secret key"),
            Some(Part::Token) => (&mut self.token, "session token"),
            Some(Part::Expiry) => (&mut self.expiry, "expiry"),
        };
        if place.is_some_and(|held| held != value) {
            return Err(TextFault::Twice { line, what });
        }
        *place = Some(value);
        Ok(())
    }

    fn has_any(&self) -> bool {
        self.id.is_some() || self.secret.is_some() || self.token.is_some()
    }

    fn key(&self, now: Timestamp) -> Result<Credential, TextFault> {
        if !self.has_any() {
            return Err(TextFault::NoKey);
        }
        let id = self.id.ok_or(ReplyError::Missing { what: "secret id" })?;
        let secret = self.secret.ok_or(ReplyError::Missing { what: "secret key" })?;
        let unread = ReplyError::Missing { what: "expiry that can be read" };
        let expires_at = match self.expiry {
            Some("0") | None => None,
            Some(text) => Some(reply::instant(text).ok_or(unread)?),
        };
        Ok(reply::checked(id, secret, self.token, expires_at, now)?)
    }
}

enum Part {
    Id,
    Secret,
    Token,
    Expiry,
}

impl Part {
    /// The part that a line of this name gives: what tools call it, with or without the vendor's
    /// name in front (`TENCENTCLOUD_SECURITY_TOKEN`, `COSAccessKeyId`, `secret_id`).
    fn of(name: &str) -> Option<Self> {
        const VENDORS: [&str; 7] =
            ["tencentcloud", "tencent", "qcloud", "cosn", "cos", "tke", "aws"];
        let plain = reply::plain(name);
        let short = VENDORS.iter().find_map(|vendor| plain.strip_prefix(vendor)).unwrap_or(&plain);
        let is = |names: &[&str], more: &[&str]| names.contains(&short) || more.contains(&short);
        if is(&reply::ID, &["accessid"]) {
            Some(Self::Id)
        } else if is(&reply::SECRET, &[]) {
            Some(Self::Secret)
        } else if is(&reply::TOKEN, &["secrettoken", "accesstoken"]) {
            Some(Self::Token)
        } else if is(&reply::EXPIRY, &["accesstokenexpire", "credentialexpiration"]) {
            Some(Self::Expiry)
        } else {
            None
        }
    }
}

/// `NAME=value` lines. The section that counts is the one that was asked for; otherwise the lines
/// before any section, if they hold part of a key; otherwise the first `[default]` or `[common]`.
fn lines(text: &str, about: About<'_>) -> Result<Credential, TextFault> {
    let mut parts = Parts::default();
    // Whether the lines that are read now count.
    let mut counts = about.profile.is_none();
    let mut found_section = false;
    for (index, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), index + 1);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if about.format == KeyFormat::Env {
                return Err(TextFault::Section { line: number });
            }
            let section = section.trim();
            counts = match about.profile {
                Some(profile) => section == profile,
                None => !parts.has_any() && matches!(section, "default" | "common"),
            };
            found_section |= counts;
            continue;
        }
        if counts {
            let (name, value) = assignment(line).ok_or(TextFault::Line { line: number })?;
            parts.take(name, value, number)?;
        }
    }
    match about.profile {
        Some(profile) if !found_section => Err(TextFault::NoSection { name: profile.to_owned() }),
        Some(_) | None => parts.key(about.now),
    }
}

/// `export NAME="value"  # comment`, also with `:` as YAML and Python's INI write it.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once(['=', ':'])?;
    let name = name.trim();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let value = value.trim();
    let (inside, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value.get(1..)?.split_once(quote)?,
        Some(_) | None => {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            value.split_at_checked(end)?
        }
    };
    let rest = rest.trim();
    // Something behind the value that is no comment belongs to another tool's idea of the line;
    // no part of a key has a blank in it.
    let is_whole = rest.is_empty() || rest.starts_with(['#', ';']);
    Some((name, if is_whole { inside } else { value }))
}

/// `cos.base` of `~/.cos.yaml`, without the rest of YAML.
fn coscli(text: &str, now: Timestamp) -> Result<Credential, TextFault> {
    let (mut parts, mut open, mut by_role) = (Parts::default(), false, false);
    let mut base_indent = None;
    for (index, line) in text.lines().enumerate() {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        match base_indent {
            Some(base) if indent <= base => base_indent = None,
            Some(_) => {
                let Some((name, value)) = content.split_once(':') else {
                    return Err(TextFault::Line { line: index + 1 });
                };
                let value = value.trim().trim_matches(['"', '\'']);
                match name {
                    "disableencryption" => open = value.eq_ignore_ascii_case("true"),
                    "mode" => by_role = value.eq_ignore_ascii_case("CvmRole"),
                    _ => parts.take(name, value, index + 1)?,
                }
            }
            None => {}
        }
        if base_indent.is_none() && content == "base:" {
            base_indent = Some(indent);
        }
    }
    if by_role {
        return Err(TextFault::InstanceRole);
    }
    if parts.has_any() && !open {
        return Err(TextFault::Hidden);
    }
    parts.key(now)
}

#[cfg(test)]
#[path = "key_text_tests.rs"]
mod tests;
