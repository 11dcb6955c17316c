//! An explanation for people: the strings one above the other, a mark under the first byte that
//! differs, cause and fix.

use std::fmt::Write as _;

use super::{
    Difference, Explanation, Finding, Part,
    difference::Compared,
    judge_time::instant,
    screen::{cell, escaped, window},
};

/// Narrower screens get lines that are too long.
const NARROWEST: usize = 40;
/// Room for the name of a line and whose it is.
const MARGIN: usize = 20;

/// Lays out an explanation in lines of at most `columns`.
#[must_use]
pub fn show(explanation: &Explanation, columns: usize) -> String {
    let columns = columns.max(NARROWEST);
    let mut text = String::new();
    heading(explanation, columns, &mut text);
    strings(explanation, columns, &mut text);
    if let Some(difference) = &explanation.difference {
        put(&mut text, columns, "first difference: ", &place(difference));
    }
    let finding = &explanation.finding;
    put(&mut text, columns, "cause: ", &said(finding));
    put(&mut text, columns, "fix:   ", &finding.fix);
    for other in &explanation.also {
        put(&mut text, columns, "also:  ", &said(other));
    }
    for note in &explanation.notes {
        put(&mut text, columns, "note:  ", note);
    }
    text
}

fn said(finding: &Finding) -> String {
    format!("{}: {}", finding.cause.name(), finding.what)
}

fn heading(explanation: &Explanation, columns: usize, text: &mut String) {
    let (signed, refusal) = (&explanation.evidence.signed, &explanation.evidence.refusal);
    let mut line = String::new();
    if let Some(operation) = &explanation.evidence.operation {
        let _ = write!(line, "{}: ", escaped(operation));
    }
    if refusal.status != 0 {
        let _ = write!(line, "{} ", refusal.status);
    }
    let _ = write!(line, "{}", escaped(&refusal.code));
    if !refusal.message.is_empty() {
        let _ = write!(line, ", {}", escaped(&refusal.message));
    }
    put(text, columns, "", &line);
    let mut line = format!("key {}…", escaped(&signed.secret_id));
    if !refusal.request_id.is_empty() {
        let _ = write!(line, ", request id {}", escaped(&refusal.request_id));
    }
    if let Some(at) = explanation.evidence.failed_at {
        let _ = write!(line, ", {}", instant(at));
    }
    put(text, columns, "", &line);
    text.push('\n');
}

fn strings(explanation: &Explanation, columns: usize, text: &mut String) {
    let evidence = &explanation.evidence;
    let compared = evidence.compared();
    let room = columns - MARGIN;
    let alone = super::lines::Lines::of(&evidence.signed.http_string, false);
    for part in Part::ALL {
        let ours = compared.as_ref().map_or_else(|| alone.line(part), |c| c.signed.line(part));
        let theirs = compared.as_ref().map(|c| c.received.line(part));
        match theirs {
            Some(theirs) if theirs != ours => {
                let focus = focus(explanation, compared.as_ref(), part);
                both(part.name(), (ours, theirs), focus, room, text);
            }
            same => {
                let whose = if same.is_some() { "both" } else { "signed" };
                row(part.name(), whose, &window(ours, None, room).0, text);
            }
        }
    }
    let ours = evidence.signed.string_to_sign.as_str();
    match evidence.refusal.string_to_sign.as_deref() {
        Some(theirs) if theirs == ours => {
            row("to sign", "both", &window(ours, None, room).0, text);
        }
        Some(theirs) => {
            row("to sign", "signed", &window(ours, None, room).0, text);
            row("", "COS", &window(theirs, None, room).0, text);
        }
        None => row("to sign", "signed", &window(ours, None, room).0, text),
    }
    if compared.is_none() {
        row("", "COS", "(told neither FormatString nor StringToSign)", text);
    }
    text.push('\n');
}

/// Where in its line a part differs first.
fn focus(explanation: &Explanation, compared: Option<&Compared<'_>>, part: Part) -> Focus {
    let Some(compared) = compared else { return Focus { at: 0, marked: false } };
    match &explanation.difference {
        Some(first) if first.part == part => Focus { at: first.column, marked: true },
        _ => {
            let (ours, theirs) = (compared.signed.line(part), compared.received.line(part));
            let equal = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
            Focus { at: equal, marked: false }
        }
    }
}

#[derive(Clone, Copy)]
struct Focus {
    at: usize,
    marked: bool,
}

/// Two lines one above the other, cut at the same place.
fn both(name: &str, (ours, theirs): (&str, &str), focus: Focus, room: usize, text: &mut String) {
    let (shown, column) = window(ours, Some(focus.at), room);
    row(name, "signed", &shown, text);
    row("", "COS", &window(theirs, Some(focus.at), room).0, text);
    if focus.marked {
        row("", "", &format!("{}^", " ".repeat(column)), text);
    }
}

fn row(name: &str, whose: &str, line: &str, text: &mut String) {
    let written = format!("{name:<11} {whose:<7} {line}");
    let _ = writeln!(text, "{}", written.trim_end());
}

fn place(difference: &Difference) -> String {
    let byte = |byte: Option<u8>| match byte {
        None => "nothing".to_owned(),
        Some(b' ') => "a space (0x20)".to_owned(),
        Some(byte) if byte.is_ascii_graphic() => format!("{} (0x{byte:02X})", char::from(byte)),
        Some(byte) => format!("0x{byte:02X}"),
    };
    let name = match &difference.name {
        Some(name) => format!(" of {} {}", difference.part.member(), escaped(name)),
        None => String::new(),
    };
    format!(
        "byte {} (line {}, {}, byte {}){name}: {} was signed, {} arrived",
        difference.offset,
        difference.line,
        difference.part.name(),
        difference.column,
        byte(difference.signed),
        byte(difference.received),
    )
}

/// A sentence in lines of `columns`, indented as wide as its label.
fn put(text: &mut String, columns: usize, label: &str, sentence: &str) {
    let indent = " ".repeat(label.len());
    let mut line = label.to_owned();
    let mut used = label.len();
    for word in sentence.split(' ') {
        let width: usize = word.chars().map(|c| cell(c).1).sum();
        if used > label.len() && used + 1 + width > columns {
            let _ = writeln!(text, "{}", line.trim_end());
            line.clone_from(&indent);
            used = label.len();
        } else if used > label.len() {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += width;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}
