//! What is wrong with a configuration: all of it at once, each with its place.
//!
//! No text here repeats a value: a misplaced secret must not end up in a log.

use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// `FILE:LINE:COLUMN`, counted from 1.
    File {
        /// As the user named it.
        file: String,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// This environment variable.
    Environment(String),
    /// This flag, with its dashes.
    Flag(String),
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    rank: (u8, usize, usize),
    place: String,
    text: String,
}

/// Everything to mend: what concerns no layer, then the file by line, environment, flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Origin {
    /// What the user wrote for `path` in this place.
    fn spelling(&self, path: &str) -> String {
        match self {
            Self::Environment(name) | Self::Flag(name) => name.clone(),
            Self::Default | Self::File { .. } => path.to_owned(),
        }
    }

    const fn rank(&self) -> (u8, usize, usize) {
        match self {
            Self::Default => (0, 0, 0),
            Self::File { line, column, .. } => (1, *line, *column),
            Self::Environment(_) => (2, 0, 0),
            Self::Flag(_) => (3, 0, 0),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Default => "configuration".to_owned(),
            Self::File { .. } => self.to_string(),
            Self::Environment(_) => "environment".to_owned(),
            Self::Flag(_) => "command line".to_owned(),
        }
    }
}

impl Problems {
    /// Something that has a place but no setting. `text` begins with what is meant.
    pub fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.push(Problem { rank: (0, 0, 0), place: place.into(), text: text.into() });
    }

    /// A setting whose value will not do; `text` continues the sentence after its name.
    pub fn add_value(&mut self, path: &str, origin: &Origin, text: impl AsRef<str>) {
        self.add_at(origin, format!("{} {}", origin.spelling(path), text.as_ref()));
    }

    /// Something at `origin`, such as a name that is none of ours.
    pub fn add_at(&mut self, origin: &Origin, text: impl Into<String>) {
        self.push(Problem { rank: origin.rank(), place: origin.place(), text: text.into() });
    }

    fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            let after = self.0.partition_point(|other| other.rank <= problem.rank);
            self.0.insert(after, problem);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// One line each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end = if index + 1 == self.0.len() { "" } else { "\n" };
            write!(f, "{}: {}{end}", problem.place, problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
