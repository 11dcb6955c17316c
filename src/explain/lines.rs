//! The four lines of an `HttpString` or `FormatString`: method, path, parameters, headers.

use std::ops::Range;

use super::Part;

/// A text with its lines found. A line feed inside the path (it is decoded) does no harm.
#[derive(Debug, Clone)]
pub(super) struct Lines<'t> {
    pub(super) text: &'t str,
    method: Range<usize>,
    path: Range<usize>,
    parameters: Range<usize>,
    headers: Range<usize>,
}

impl<'t> Lines<'t> {
    /// Finds the lines. A text that was `cut` off ends inside one of them, and the rest is empty.
    pub(super) fn of(text: &'t str, cut: bool) -> Self {
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let end = |number: usize| ends.get(number).copied();
        let len = text.len();
        let method_end = end(0).unwrap_or(len);
        let path_start = (method_end + 1).min(len);
        // Told from the end, unless the end is missing.
        let count = ends.len();
        let (path_end, parameters_end, headers_end) = match count {
            4.. if !cut => (end(count - 3), end(count - 2), end(count - 1)),
            _ => (end(1), end(2), end(3)),
        };
        let path_end = path_end.unwrap_or(len);
        let parameters_start = (path_end + 1).min(len);
        let parameters_end = parameters_end.unwrap_or(len);
        let headers_start = (parameters_end + 1).min(len);
        let headers_end = headers_end.unwrap_or(len);
        Self {
            text,
            method: 0..method_end,
            path: path_start..path_end,
            parameters: parameters_start..parameters_end,
            headers: headers_start..headers_end,
        }
    }

    /// Where a line stands, without its line feed.
    pub(super) fn range(&self, part: Part) -> Range<usize> {
        match part {
            Part::Method => self.method.clone(),
            Part::Path => self.path.clone(),
            Part::Parameters => self.parameters.clone(),
            Part::Headers => self.headers.clone(),
        }
    }

    /// A line without its line feed.
    pub(super) fn line(&self, part: Part) -> &'t str {
        self.text.get(self.range(part)).unwrap_or_default()
    }

    /// The pairs of a line, in order, and where they stand in the text.
    pub(super) fn pairs(&self, part: Part) -> Vec<Pair<'t>> {
        let mut at = self.range(part).start;
        let pieces = self.line(part).split('&').filter_map(|piece| {
            let range = at..at + piece.len();
            at = range.end + 1;
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (!piece.is_empty()).then_some(Pair { name, value, range })
        });
        pieces.collect()
    }

    /// The line that holds the byte at `offset`, its line feed included.
    pub(super) fn part_at(&self, offset: usize) -> Part {
        let ends = [Part::Method, Part::Path, Part::Parameters];
        ends.into_iter().find(|part| offset <= self.range(*part).end).unwrap_or(Part::Headers)
    }
}

/// `name=value`, both encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair<'t> {
    pub(super) name: &'t str,
    pub(super) value: &'t str,
    pub(super) range: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_whatever_the_path_holds_and_however_short_the_text_is() {
        for (text, cut, expected) in [
            ("get\n/k\na=1\nhost=h\n", false, ["get", "/k", "a=1", "host=h"]),
            (
                "put\n/38905642349559468_1.jpg\n\n\n",
                false,
                ["put", "/38905642349559468_1.jpg", "", ""],
            ),
            ("get\n/a\nb\n\n\nhost=h\n", false, ["get", "/a\nb\n", "", "host=h"]),
            ("get\n/a\n\nhost=h", false, ["get", "/a", "", "host=h"]),
            ("get\n/a\nb\nhost=h&x=\n", true, ["get", "/a", "b", "host=h&x="]),
            ("get\n/a", true, ["get", "/a", "", ""]),
            ("get", false, ["get", "", "", ""]),
            ("", false, ["", "", "", ""]),
        ] {
            let lines = Lines::of(text, cut);
            assert_eq!(Part::ALL.map(|part| lines.line(part)), expected, "{text:?}");
        }
    }

    #[test]
    fn a_byte_belongs_to_one_line() {
        let lines = Lines::of("get\n/k\na=1&b=2\nhost=h\n", false);
        for (offset, part) in [
            (0, Part::Method),
            (3, Part::Method),
            (4, Part::Path),
            (6, Part::Path),
            (7, Part::Parameters),
            (14, Part::Parameters),
            (15, Part::Headers),
            (99, Part::Headers),
        ] {
            assert_eq!(lines.part_at(offset), part, "{offset}");
        }
        let pairs = lines.pairs(Part::Parameters);
        assert_eq!((pairs[1].name, pairs[1].value, pairs[1].range.clone()), ("b", "2", 11..14));
    }
}
