//! `Content-Length` in every spelling, once and twice.

use super::super::case::{Case, Then, put, request, shown};

const BAD: &[&str] = &[
    "+5",
    "-5",
    "-0",
    "+0",
    "--5",
    "0x5",
    "0X5",
    "5h",
    "0b101",
    "0o5",
    "5.0",
    "5.",
    ".5",
    "5e0",
    "1e1",
    "1_0",
    "5,5",
    "5, 5",
    "5,",
    ",5",
    "5,6",
    "5;5",
    "5;",
    "5 5",
    "5\t5",
    "\"5\"",
    "'5'",
    "",
    "five",
    "NaN",
    "null",
    "undefined",
    "(5)",
    "5/5",
    "5 bytes",
    "5L",
    "%35",
    "$5",
    "5:",
    "5=5",
    "\u{ff15}",
    "\u{665}",
    "5\u{a0}",
    "\u{a0}5",
    "5\u{200b}",
    "00000000000000000005",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551621",
    "340282366920938463463374607431768211461",
    "-9223372036854775808",
    "99999999999999999999999999999999999999999999",
];

const CONTROLS: &[&str] = &["5\0", "\0 5", "5\x0b", "\x0c5", "5\x1f", "5\x7f", "\x085"];

const GOOD: &[&str] = &["5", "05", "005", "0000000000000000005", "   5", "5   ", "\t5\t", " \t 5"];

/// Lines that are not a Content-Length, or not one that can be relied on.
const LINES: &[(&str, &str)] = &[
    ("Content-Length : 5", "blank-before-colon"),
    ("Content-Length\t: 5", "blank-before-colon"),
    ("Content Length: 5", "bad-field-name"),
    ("Content_Length: 5", "lookalike-header"),
    ("CONTENT_LENGTH: 5", "lookalike-header"),
    ("Content-Length\0: 5", "control-byte"),
    (" Content-Length: 5", "folded-line"),
    ("\tContent-Length: 5", "folded-line"),
    ("Content-Length:\r\n 5", "folded-line"),
    ("Content-Length: 5\r\n 5", "folded-line"),
    ("Content-Length: 1\r\n\t5", "folded-line"),
    ("Content-Length: 5\nX: y", "bare-lf"),
    ("X: y\nContent-Length: 5", "bare-lf"),
    ("Content-Length: 5\rX: y", "bare-cr"),
    ("X: y\rContent-Length: 5", "bare-cr"),
    ("Content-Length: 5\r", "bare-cr"),
    ("Content-Length 5", "missing-colon"),
    ("Content-Length", "missing-colon"),
    ("Content-Length= 5", "missing-colon"),
    ("\"Content-Length\": 5", "bad-field-name"),
    ("C\u{1d0f}ntent-Length: 5", "bad-field-name"),
    ("Content\u{2011}Length: 5", "bad-field-name"),
];

const TWICE: &[(&str, &str, &str)] = &[
    ("5", "5", "duplicate-content-length"),
    ("5", "6", "duplicate-content-length"),
    ("6", "5", "duplicate-content-length"),
    ("5", "05", "duplicate-content-length"),
    ("0", "5", "duplicate-content-length"),
    ("5", "0", "duplicate-content-length"),
    ("0", "0", "duplicate-content-length"),
    ("5", "", "bad-content-length"),
    ("", "5", "bad-content-length"),
    ("5", "+5", "bad-content-length"),
    ("-1", "5", "bad-content-length"),
    ("5", "5, 5", "bad-content-length"),
];

pub(crate) fn cases() -> Vec<Case> {
    let with = |value: &str| put(&[&format!("Content-Length: {value}")], "hello");
    let mut cases = Vec::new();
    for value in BAD {
        cases.push(Case::refused(
            format!("length {}", shown(value)),
            with(value),
            "bad-content-length",
        ));
    }
    for value in CONTROLS {
        cases.push(Case::refused(format!("length {}", shown(value)), with(value), "control-byte"));
    }
    for value in GOOD {
        cases.push(Case::passes(format!("length {}", shown(value)), with(value)).body("hello"));
    }
    for &(line, why) in LINES {
        cases.push(Case::refused(shown(line), put(&[line], "hello"), why));
        let beside = put(&["content-length: 3", line], "hello");
        cases.push(Case::refused(format!("beside a length, {}", shown(line)), beside, why));
    }
    for &(first, second, why) in TWICE {
        for name in ["Content-Length", "content-length"] {
            let lines = [format!("Content-Length: {first}"), format!("{name}: {second}")];
            let next_to = put(&[&lines[0], &lines[1]], "hello");
            let apart =
                put(&[&lines[0], "X-Between: 1", "Connection: keep-alive", &lines[1]], "hello");
            let shown = format!("{name} {first:?} and {second:?}");
            cases.push(Case::refused(format!("{shown} in a row"), next_to, why));
            cases.push(Case::refused(format!("{shown} apart"), apart, why));
        }
    }
    cases.extend([
        Case::passes("length 0", put(&["Content-Length: 0"], "")),
        Case::passes("no length is a length of 0", put(&[], "")),
        Case::passes("POST without a length", request("POST", &[], "")),
        Case::passes("length 0 before bytes", put(&["Content-Length: 0"], "hello"))
            .then(Then::Refused("method-not-allowed")),
        Case::passes("no length before bytes", put(&[], "hello"))
            .then(Then::Refused("method-not-allowed")),
        Case::passes("shorter than what follows", put(&["Content-Length: 3"], "hello"))
            .body("hel")
            .then(Then::Refused("method-not-allowed")),
        Case::passes("short by a CR LF", put(&["Content-Length: 5"], "hello\r\n"))
            .body("hello")
            .then(Then::Refused("leading-empty-line")),
        Case::passes(
            "a request as a body",
            put(&["Content-Length: 36"], "GET /inner HTTP/1.1\r\nHost: localhost\r\n"),
        )
        .body("GET /inner HTTP/1.1\r\nHost: localhost")
        .then(Then::Refused("leading-empty-line")),
        Case::passes("the end of chunks as a body", put(&["Content-Length: 5"], "0\r\n\r\n"))
            .body("0\r\n\r\n"),
        Case::swallows("longer than what follows", put(&["Content-Length: 5000"], "hello")),
        Case::swallows(
            "the longest there is",
            put(&["Content-Length: 9223372036854775807"], "hello"),
        ),
    ]);
    cases
}
