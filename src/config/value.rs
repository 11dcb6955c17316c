//! What a setting's value is, and how it is read from a file or from text.

use std::time::Duration;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text; checked further where it is used.
    Text,
    /// The name of an environment variable that holds a part of a key.
    Variable,
    /// An absolute path.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// `"50s"`
    Span,
    /// `"64KiB"`, between these numbers of bytes.
    Size(u64, u64),
    /// A whole number between these.
    Count(u64, u64),
    /// A fraction from 0 to 1.
    Share,
    /// Texts; in the file only.
    List,
    /// Addresses to listen on: a list in the file, comma separated elsewhere.
    Addresses,
}

/// A value of the kind its setting asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `Text`, `Variable`, `Path`, `Choice`; empty means not set.
    Text(String),
    /// `Flag`
    Flag(bool),
    /// `Span`
    Span(Duration),
    /// `Size` and `Count`
    Number(u64),
    /// `Share`
    Share(f64),
    /// `List` and `Addresses`
    List(Vec<String>),
}

/// A value as a file may hold it, before it is known what the setting wants.
#[derive(Debug, Clone)]
pub enum Written {
    /// In quotes; or anything from the environment or a flag.
    Text(String),
    /// A bare whole number.
    Integer(String),
    /// A bare number with a point.
    Float(String),
    /// `true` or `false`
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
    /// A table, a date, a list with something else inside.
    Other,
}

impl Kind {
    /// Reads text of the environment or of a flag. `None` if it is not such a value.
    #[must_use]
    pub fn read_text(self, text: &str) -> Option<Value> {
        match self {
            Self::Flag => match text {
                "true" | "1" | "yes" | "on" => Some(Value::Flag(true)),
                "false" | "0" | "no" | "off" => Some(Value::Flag(false)),
                _ => None,
            },
            Self::Count(..) => self.number(text.parse().ok()?),
            Self::Share => share(text),
            Self::List | Self::Addresses => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Value::List(parts.map(str::to_owned).collect()))
            }
            Self::Text
            | Self::Variable
            | Self::Path
            | Self::Choice(_)
            | Self::Span
            | Self::Size(..) => self.quoted(text),
        }
    }

    /// Reads what stands in a file. `None` if it is not such a value.
    #[must_use]
    pub fn read_written(self, written: &Written) -> Option<Value> {
        match (self, written) {
            (Self::Flag, Written::Flag(flag)) => Some(Value::Flag(*flag)),
            (Self::Count(..), Written::Integer(digits)) => self.number(digits.parse().ok()?),
            (Self::Share, Written::Integer(text) | Written::Float(text)) => share(text),
            (Self::List | Self::Addresses, Written::List(items)) => {
                Some(Value::List(items.clone()))
            }
            (Self::Addresses, Written::Text(text)) => Some(Value::List(vec![text.clone()])),
            (_, Written::Text(text)) => self.quoted(text),
            _ => None,
        }
    }

    /// What is allowed, to end the sentence "KEY must be …".
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Text => "text in quotes".to_owned(),
            Self::Variable => "the name of an environment variable: capital letters, digits and \
                               `_`, such as \"TENCENTCLOUD_SECRET_KEY\""
                .to_owned(),
            Self::Path => "an absolute path".to_owned(),
            Self::Choice(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Flag => "true or false".to_owned(),
            Self::Span => {
                "a time with its unit, such as \"300ms\", \"50s\", \"5m\" or \"2h\"".to_owned()
            }
            Self::Size(least, most) => format!(
                "a size such as \"64KiB\", from \"{}\" to \"{}\"",
                size_text(least),
                size_text(most)
            ),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Share => "a fraction from 0 to 1, such as 0.5".to_owned(),
            Self::List => "a list of texts, such as [\"one\", \"two\"]".to_owned(),
            Self::Addresses => {
                "a list of addresses, such as [\"127.0.0.1:9000\", \"unix:/run/proxy.sock\"]"
                    .to_owned()
            }
        }
    }

    /// What `--help-all` shows in place of the value.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Variable => "NAME",
            Self::Path => "PATH",
            Self::Choice(_) => "WORD",
            Self::Flag => "BOOL",
            Self::Span => "TIME",
            Self::Size(..) => "SIZE",
            Self::Count(..) => "NUMBER",
            Self::Share => "SHARE",
            Self::List => "LIST",
            Self::Addresses => "ADDRESS,…",
        }
    }

    fn quoted(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Self::Variable if !is_variable_name(text) => None,
            Self::Path if !(text.is_empty() || text.starts_with('/')) => None,
            Self::Choice(words) if !(text.is_empty() || words.contains(&text)) => None,
            Self::Text | Self::Variable | Self::Path | Self::Choice(_) => {
                (!text.contains(char::is_control)).then(|| Value::Text(text.to_owned()))
            }
            Self::Span => humantime::parse_duration(text).ok().map(Value::Span),
            Self::Size(..) => self.number(size(text)?),
            Self::Flag | Self::Count(..) | Self::Share | Self::List | Self::Addresses => None,
        }
    }

    fn number(self, number: u64) -> Option<Value> {
        let (Self::Size(least, most) | Self::Count(least, most)) = self else { return None };
        (least..=most).contains(&number).then_some(Value::Number(number))
    }
}

impl Value {
    /// As `config.toml` writes it for a setting of this kind.
    #[must_use]
    pub fn toml(&self, kind: Kind) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Flag(flag) => flag.to_string(),
            Self::Span(span) => quoted(&span_text(*span)),
            Self::Number(number) if matches!(kind, Kind::Size(..)) => quoted(&size_text(*number)),
            Self::Number(number) => number.to_string(),
            Self::Share(share) => format!("{share:?}"),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

/// A time in its largest whole unit: `"90s"`, `"2h"`.
#[must_use]
pub fn span_text(span: Duration) -> String {
    humantime::format_duration(span).to_string().replace(' ', "")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn share(text: &str) -> Option<Value> {
    let share: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&share).then_some(Value::Share(share))
}

// Capital letters only: a secret pasted here by mistake has small ones, so it is refused before
// any message could repeat it.
fn is_variable_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

const UNITS: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn size(text: &str) -> Option<u64> {
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| text.strip_suffix(unit).map(|digits| (digits, *bytes)))
        .unwrap_or((text, 1));
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

fn size_text(bytes: u64) -> String {
    let fits = |unit: &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(unit.1);
    let (unit, scale) = UNITS.iter().find(fits).copied().unwrap_or(("B", 1));
    format!("{}{unit}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_size_reads_back_what_it_wrote(bytes in 0..u64::from(u32::MAX)) {
            prop_assert_eq!(size(&size_text(bytes)), Some(bytes));
        }

        #[test]
        fn a_time_reads_back_what_it_wrote(millis in 0..1_000_000_000_u64) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(Kind::Span.read_text(&span_text(span)), Some(Value::Span(span)));
        }

        #[test]
        fn no_kind_panics_on_any_text(text in ".{0,40}") {
            for setting in super::super::keys::SETTINGS {
                let _ = setting.kind.read_text(&text);
                let _ = setting.kind.read_written(&Written::Text(text.clone()));
            }
        }
    }

    #[test]
    fn units_are_demanded_of_times_and_understood_in_sizes() {
        assert_eq!(Kind::Span.read_text("50"), None);
        assert_eq!(Kind::Size(0, 1 << 20).read_text("64KiB"), Some(Value::Number(65_536)));
        assert_eq!(Kind::Size(0, 1 << 20).read_text("2MiB"), None);
        assert_eq!(Kind::Size(0, 1 << 20).read_text("64KB"), None);
    }

    #[test]
    fn a_secret_is_not_taken_for_the_name_of_a_variable() {
        assert_eq!(Kind::Variable.read_text("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"), None);
        assert!(Kind::Variable.read_text("MY_SECRET_KEY").is_some());
    }
}
