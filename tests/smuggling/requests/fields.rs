//! Line ends, folds and control bytes in the header section, and its size.

use super::super::case::{Case, get, shown};

/// Lines of a GET, and why they are refused.
const LINES: &[(&str, &str)] = &[
    ("A: b\nC: d", "bare-lf"),
    ("A: b\n", "bare-lf"),
    ("A:\nb", "bare-lf"),
    ("A\n: b", "bare-lf"),
    ("\nA: b", "bare-lf"),
    ("A: b\n\nGET /inner HTTP/1.1\nHost: localhost", "bare-lf"),
    ("A: b\n\r", "bare-lf"),
    ("A: b\r\n\nC: d", "bare-lf"),
    ("A: b\rC: d", "bare-cr"),
    ("A: b\r", "bare-cr"),
    ("A:\rb", "bare-cr"),
    ("A\r: b", "bare-cr"),
    ("\rA: b", "bare-cr"),
    ("A: b\r\rC: d", "bare-cr"),
    ("A: b\r\r\nGET /inner HTTP/1.1", "bare-cr"),
    ("A: b\r\n c", "folded-line"),
    ("A: b\r\n\tc", "folded-line"),
    ("A: b\r\n  \t c", "folded-line"),
    ("A: b\r\n ", "folded-line"),
    ("A:\r\n b", "folded-line"),
    (" A: b", "folded-line"),
    ("\tA: b", "folded-line"),
    (" ", "folded-line"),
    ("A: b\r\n Host: example.com", "folded-line"),
    ("A: b\r\n Content-Length: 5", "folded-line"),
    ("A: b\r\n GET /inner HTTP/1.1", "folded-line"),
    ("x-cos-meta-a: b\r\n c", "folded-line"),
    ("Authorization: b\r\n c", "folded-line"),
    ("A : b", "blank-before-colon"),
    ("A\t: b", "blank-before-colon"),
    ("A  : b", "blank-before-colon"),
    ("A b: c", "bad-field-name"),
    ("A", "missing-colon"),
    ("A b", "missing-colon"),
    ("GET /inner HTTP/1.1", "missing-colon"),
    (": b", "bad-field-name"),
    ("::", "bad-field-name"),
    (":authority: localhost", "bad-field-name"),
    ("A,B: c", "bad-field-name"),
    ("A;B: c", "bad-field-name"),
    ("A=B: c", "bad-field-name"),
    ("A@B: c", "bad-field-name"),
    ("A[0]: c", "bad-field-name"),
    ("A{0}: c", "bad-field-name"),
    ("A<b>: c", "bad-field-name"),
    ("A/B: c", "bad-field-name"),
    ("A\\B: c", "bad-field-name"),
    ("A?B: c", "bad-field-name"),
    ("\u{e9}: c", "bad-field-name"),
    ("A\u{2028}: c", "bad-field-name"),
    ("\u{feff}A: b", "bad-field-name"),
];

/// Values that are legal and go on as they are.
const VALUES: &[&str] = &[
    "A: ",
    "A:",
    "A: b:c: d",
    "A: b\tc",
    "A: , , ,",
    "A: \u{4e2d}\u{2028}\u{85}",
    "A: GET /inner HTTP/1.1",
    "A: \\r\\n\\r\\nGET /inner",
    "A: %0d%0aHost: example.com",
    "A: \"b",
    "A: (((((",
    "x-cos-meta-a: b%0d%0ax-cos-acl: public-read",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(line, why) in LINES {
        cases.push(Case::refused(shown(line), get(&[line, "X-Last: 1"]), why));
        cases.push(Case::refused(
            format!("last: {}", shown(line)),
            get(&["X-First: 1", line]),
            why,
        ));
    }
    for line in VALUES {
        cases.push(Case::passes(shown(line), get(&[line])));
    }
    for byte in (0..0x20).chain([0x7f]).filter(|b| !b"\t\n\r".contains(b)) {
        let odd = char::from(byte);
        for (place, line) in [
            ("in a name", format!("A{odd}: b")),
            ("before a name", format!("{odd}A: b")),
            ("in a value", format!("A: b{odd}c")),
            ("at the end of a value", format!("x-cos-meta-a: b{odd}")),
        ] {
            cases.push(Case::refused(
                format!("byte {byte:#04x} {place}"),
                get(&[&line]),
                "control-byte",
            ));
        }
    }
    let many = |n: usize| vec!["X: y"; n];
    let long = |n: usize| format!("X: {}", "a".repeat(n));
    let lf_only = "GET /{id} HTTP/1.1\nHost: localhost:9000\n\n";
    let lf_end = "GET /{id} HTTP/1.1\r\nHost: localhost:9000\r\n\n";
    let cr_only = "GET /{id} HTTP/1.1\rHost: localhost:9000\r\r";
    let cr_end = "GET /{id} HTTP/1.1\r\nHost: localhost:9000\r\n\r\r\n";
    let blank_first = "GET /{id} HTTP/1.1\r\n Host: localhost:9000\r\n\r\n";
    let fold_first = "GET /{id} HTTP/1.1\r\n \r\nHost: localhost:9000\r\n\r\n";
    cases.extend([
        Case::refused("LF only", lf_only, "bare-lf"),
        Case::refused("an LF for the empty line", lf_end, "bare-lf"),
        Case::refused("CR only", cr_only, "bare-cr"),
        Case::refused("CR CR LF for the empty line", cr_end, "bare-cr"),
        Case::refused("a blank before the first header", blank_first, "folded-line"),
        Case::refused("a blank line that is not empty", fold_first, "folded-line"),
        Case::passes("as many headers as allowed", get(&many(99))),
        Case::refused("one header more", get(&many(100)), "too-many-fields"),
        Case::refused("a thousand headers", get(&many(1000)), "too-many-fields"),
        Case::passes("a long value", get(&[&long(60_000)])),
        Case::refused("a value over the limit", get(&[&long(66_000)]), "head-too-large"),
        Case::refused("a name over the limit", get(&[&"N".repeat(66_000)]), "head-too-large"),
        Case::refused("an endless header section", get(&vec!["A: b"; 12_000]), "head-too-large"),
    ]);
    cases
}
