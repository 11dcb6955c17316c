//! Texts on a screen: nothing in them moves the cursor, and they fit.

/// A text in which everything that a terminal would act upon is escaped.
pub(super) fn escaped(text: &str) -> String {
    text.chars().map(|c| cell(c).0).collect()
}

/// As [`escaped`], between quotes and not longer than a sentence bears.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown = escaped(text);
    if shown.chars().count() <= LONGEST {
        return format!("\"{shown}\"");
    }
    let start: String = shown.chars().take(LONGEST).collect();
    format!("\"{start}…\"")
}

/// How a character is shown, and how many columns that takes.
pub(super) fn cell(c: char) -> (String, usize) {
    if c == '\\' {
        return ("\\\\".to_owned(), 2);
    }
    if c.is_control() || is_invisible(c) {
        let shown: String = c.escape_default().collect();
        let width = shown.len();
        return (shown, width);
    }
    (c.to_string(), width(c))
}

/// Marks that turn the direction of writing, and characters of no width.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xAD | 0x61C
            | 0x200B..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE0FFF
    )
}

/// Columns of a printable character: East Asian wide ones and emoji take two, combining marks none.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36F | 0x1AB0..=0x1AFF | 0x20D0..=0x20FF => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// A line cut to `columns`, with `…` where something is left out, so that the byte at `focus` is
/// seen; and the column of that byte.
pub(super) fn window(line: &str, focus: Option<usize>, columns: usize) -> (String, usize) {
    let mut cells: Vec<(usize, String, usize)> = Vec::new();
    for (at, c) in line.char_indices() {
        let (shown, width) = cell(c);
        cells.push((at, shown, width));
    }
    let total: usize = cells.iter().map(|(_, _, width)| width).sum();
    let focused = focus.map_or(0, |focus| {
        cells.iter().rposition(|(at, _, _)| *at <= focus).map_or(0, |at| {
            // Behind the last character when the line ends before the byte.
            if focus >= line.len() { cells.len() } else { at }
        })
    });
    if total <= columns {
        return (
            cells.iter().map(|(_, shown, _)| shown.as_str()).collect(),
            columns_of(&cells, 0, focused),
        );
    }
    let room = columns.saturating_sub(2).max(1);
    // Two thirds of the room stand before the byte: it is what was equal that tells the place.
    let mut start = focused;
    let mut before = 0;
    while let Some((_, _, width)) = start.checked_sub(1).and_then(|at| cells.get(at)) {
        if before + width > room * 2 / 3 {
            break;
        }
        before += width;
        start -= 1;
    }
    let mut end = start;
    let mut used = 0;
    while let Some((_, _, width)) = cells.get(end) {
        if used + width > room {
            break;
        }
        used += width;
        end += 1;
    }
    let middle: String =
        cells.iter().take(end).skip(start).map(|(_, shown, _)| shown.as_str()).collect();
    let (left, right) =
        (if start > 0 { "…" } else { "" }, if end < cells.len() { "…" } else { "" });
    let column = columns_of(&cells, start, focused) + usize::from(start > 0);
    (format!("{left}{middle}{right}"), column)
}

fn columns_of(cells: &[(usize, String, usize)], start: usize, end: usize) -> usize {
    cells.iter().take(end).skip(start).map(|(_, _, width)| width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(
            escaped("a\u{1b}[2J\r\n\t\\\u{202e}é腾"),
            "a\\u{1b}[2J\\r\\n\\t\\\\\\u{202e}é腾"
        );
        let long = quoted(&"x".repeat(100));
        assert_eq!(long.chars().count(), 63);
    }

    #[test]
    fn a_window_shows_the_byte_in_question_and_fits() {
        for (line, focus, columns, shown, column) in [
            ("abcdef", Some(2), 10, "abcdef", 2),
            ("abcdef", Some(6), 10, "abcdef", 6),
            ("abcdef", None, 4, "ab…", 0),
            ("0123456789abcdefghij", Some(15), 11, "…9abcdefgh…", 7),
            ("腾讯云x", Some(9), 20, "腾讯云x", 6),
            ("a\nb", Some(2), 20, "a\\nb", 3),
        ] {
            assert_eq!(window(line, focus, columns), (shown.to_owned(), column), "{line}");
        }
    }
}
