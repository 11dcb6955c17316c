//! Where two strings differ: the first byte, and every part, parameter and header.

use serde::Serialize;

use super::{
    lines::{Lines, Pair},
    redact::OPENING,
};

/// One of the four lines of an `HttpString`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The method, in lower case.
    Method,
    /// The decoded path.
    Path,
    /// `HttpParameters`.
    Parameters,
    /// `HttpHeaders`.
    Headers,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Method, Self::Path, Self::Parameters, Self::Headers];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Path => "path",
            Self::Parameters => "parameters",
            Self::Headers => "headers",
        }
    }

    /// What one member of the line is called.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Parameters => "parameter",
            Self::Headers => "header",
            Self::Method | Self::Path => self.name(),
        }
    }
}

/// The first byte at which what was signed and what COS received differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Bytes before it that are equal.
    pub offset: usize,
    /// Which of the four lines, counted from 1.
    pub line: usize,
    /// Bytes before it in the line.
    pub column: usize,
    /// The same line by name.
    pub part: Part,
    /// The parameter or header there, encoded and in lower case as it is signed.
    pub name: Option<String>,
    /// The byte that was signed; `None` at the end.
    pub signed: Option<u8>,
    /// The byte that COS received; `None` at the end.
    pub received: Option<u8>,
}

/// What was signed and what COS received, as texts that can be shown.
#[derive(Debug)]
pub(super) struct Compared<'t> {
    pub(super) signed: Lines<'t>,
    pub(super) received: Lines<'t>,
    /// The received text was cut off.
    pub(super) cut: bool,
}

/// The first difference. A text that was cut off does not differ at its end.
pub(super) fn first(compared: &Compared<'_>) -> Option<Difference> {
    let (ours, theirs) = (compared.signed.text, compared.received.text);
    let mut offset = first_difference(ours, theirs)?;
    if compared.cut && offset == theirs.len() {
        return None;
    }
    let part = compared.signed.part_at(offset);
    let start = compared.signed.range(part).start;
    offset = before_redacted(ours, start, offset).min(before_redacted(theirs, start, offset));
    let name = match part {
        Part::Method | Part::Path => None,
        Part::Parameters | Part::Headers => changes(compared)
            .into_iter()
            .find_map(|change| (change.part == part).then_some(change.name).flatten())
            .map(str::to_owned),
    };
    Some(Difference {
        offset,
        line: Part::ALL.iter().position(|known| *known == part).map_or(0, |at| at + 1),
        column: offset.saturating_sub(start),
        part,
        name,
        signed: ours.as_bytes().get(offset).copied(),
        received: theirs.as_bytes().get(offset).copied(),
    })
}

fn first_difference(ours: &str, theirs: &str) -> Option<usize> {
    let equal = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
    (equal < ours.len().max(theirs.len())).then_some(equal)
}

/// A difference inside a redacted value is one at its beginning.
fn before_redacted(text: &str, line_start: usize, offset: usize) -> usize {
    let line = text.as_bytes().get(line_start..offset).unwrap_or_default();
    let opening = format!("={OPENING}");
    match memchr::memmem::rfind(line, opening.as_bytes()) {
        Some(at) if !line[at..].contains(&b'}') => line_start + at + 1,
        _ => offset,
    }
}

/// One member that differs; encoded texts, `None` where it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change<'t> {
    pub(super) part: Part,
    /// `None` for method and path, and where only the order differs.
    pub(super) name: Option<&'t str>,
    pub(super) signed: Option<&'t str>,
    pub(super) received: Option<&'t str>,
}

/// Everything that differs, in the order of the text.
pub(super) fn changes<'t>(compared: &Compared<'t>) -> Vec<Change<'t>> {
    let mut changes = Vec::new();
    for part in Part::ALL {
        let (ours, theirs) = (compared.signed.line(part), compared.received.line(part));
        let at_the_end = compared.cut && ours.starts_with(theirs);
        if ours == theirs || at_the_end {
            continue;
        }
        match part {
            Part::Method | Part::Path => {
                let (signed, received) = (Some(ours), Some(theirs));
                changes.push(Change { part, name: None, signed, received });
            }
            Part::Parameters | Part::Headers => {
                let (ours, theirs) = (compared.signed.pairs(part), compared.received.pairs(part));
                let before = changes.len();
                changes.extend(pair_changes(part, &ours, &theirs));
                if changes.len() == before {
                    changes.push(Change { part, name: None, signed: None, received: None });
                }
            }
        }
    }
    changes
}

/// Pairs that differ, by name; the n-th pair of a name is compared with the n-th.
fn pair_changes<'t>(part: Part, ours: &[Pair<'t>], theirs: &[Pair<'t>]) -> Vec<Change<'t>> {
    let mut names: Vec<&str> = ours.iter().chain(theirs).map(|pair| pair.name).collect();
    names.sort_unstable();
    names.dedup();
    let of = |pairs: &[Pair<'t>], name: &str| -> Vec<&'t str> {
        pairs.iter().filter(|pair| pair.name == name).map(|pair| pair.value).collect()
    };
    let mut changes = Vec::new();
    for name in names {
        let (ours, theirs) = (of(ours, name), of(theirs, name));
        for at in 0..ours.len().max(theirs.len()) {
            let (signed, received) = (ours.get(at).copied(), theirs.get(at).copied());
            if signed != received {
                changes.push(Change { part, name: Some(name), signed, received });
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared<'t>(ours: &'t str, theirs: &'t str) -> Compared<'t> {
        Compared { signed: Lines::of(ours, false), received: Lines::of(theirs, false), cut: false }
    }

    #[test]
    fn the_first_byte_is_told_with_its_line_and_name() {
        let ours = "get\n/a+b\na=1&c=3\nhost=h&x=1\n";
        for (theirs, offset, line, column, name) in [
            ("head\n/a+b\na=1&c=3\nhost=h&x=1\n", 0, 1, 0, None),
            ("get\n/a b\na=1&c=3\nhost=h&x=1\n", 6, 2, 2, None),
            ("get\n/a+b\na=1&b=2&c=3\nhost=h&x=1\n", 13, 3, 4, Some("b")),
            ("get\n/a+b\nc=3\nhost=h&x=1\n", 9, 3, 0, Some("a")),
            ("get\n/a+b\na=1&c=3\nhost=hh&x=1\n", 23, 4, 6, Some("host")),
            ("get\n/a+b\na=1&c=3\nhost=h\n", 23, 4, 6, Some("x")),
            ("get\n/a+b\na=1&c=3&d=4\nhost=h&x=1\n", 16, 3, 7, Some("d")),
        ] {
            let found = first(&compared(ours, theirs)).unwrap();
            assert_eq!(
                (found.offset, found.line, found.column, found.name.as_deref()),
                (offset, line, column, name),
                "{theirs:?}"
            );
        }
        assert_eq!(first(&compared(ours, ours)), None);
    }

    #[test]
    fn a_redacted_value_differs_at_its_beginning() {
        let ours = "get\n/\n\nhost=h&x-cos-security-token={9 bytes, sha256 0011}\n";
        let theirs = "get\n/\n\nhost=h&x-cos-security-token={9 bytes, sha256 0022}\n";
        let found = first(&compared(ours, theirs)).unwrap();
        assert_eq!(ours.get(..found.offset), Some("get\n/\n\nhost=h&x-cos-security-token="));
        assert_eq!(found.name.as_deref(), Some("x-cos-security-token"));
    }

    #[test]
    fn a_text_that_was_cut_off_differs_nowhere_at_its_end() {
        let ours = "get\n/a\n\nhost=h&x=1\n";
        for len in 0..ours.len() {
            let theirs = ours.get(..len).unwrap();
            let cut = Compared {
                signed: Lines::of(ours, false),
                received: Lines::of(theirs, true),
                cut: true,
            };
            assert_eq!(first(&cut), None, "{theirs:?}");
        }
    }

    #[test]
    fn only_the_order_can_differ() {
        let swapped = compared("get\n/\na=1&b=2\n\n", "get\n/\nb=2&a=1\n\n");
        let expected = Change { part: Part::Parameters, name: None, signed: None, received: None };
        assert_eq!(changes(&swapped), [expected]);
    }
}
