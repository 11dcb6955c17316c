//! Lengths and codings that answers must not have.

use super::{Lie, To, ok};
use crate::case::shown;

const LENGTHS: &[&str] = &[
    "+5",
    "-5",
    "-0",
    "0x5",
    "5h",
    "5.0",
    "5e0",
    "5,5",
    "5, 5",
    "5,6",
    "5;5",
    "5 5",
    "\"5\"",
    "",
    "five",
    "null",
    "1_0",
    "\u{ff15}",
    "5\u{a0}",
    "00000000000000000005",
    "9223372036854775808",
    "18446744073709551616",
    "18446744073709551621",
    "99999999999999999999999999",
];

const CODINGS: &[&str] = &[
    "chunked,",
    ",chunked",
    "chunked, chunked",
    "chunked, identity",
    "identity, chunked",
    "identity",
    "gzip, chunked",
    "gzip",
    "xchunked",
    "chunkedx",
    "chunked;q=1",
    "\"chunked\"",
    "chun ked",
    "",
    "0",
    "chunked\u{a0}",
    "\u{a0}chunked",
];

const TWICE: &[(&str, &str)] =
    &[("5", "5"), ("5", "6"), ("6", "5"), ("5", "05"), ("0", "5"), ("5", ""), ("5", "+5")];

pub(super) fn lies() -> Vec<Lie> {
    let mut lies = Vec::new();
    let te = "Transfer-Encoding: chunked";
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for value in LENGTHS {
        let line = format!("Content-Length: {value}");
        lies.push(Lie::malformed(shown(&line), ok(&[&line], "hello")));
        lies.push(
            Lie::malformed(format!("to HEAD, {}", shown(&line)), ok(&[&line], "")).to(To::Head),
        );
    }
    for value in CODINGS {
        let line = format!("Transfer-Encoding: {value}");
        lies.push(Lie::malformed(shown(&line), ok(&[&line], chunks)));
        let beside = ok(&["Content-Length: 5", &line], chunks);
        lies.push(Lie::malformed(format!("beside a length, {}", shown(&line)), beside));
    }
    for (first, second) in TWICE {
        for name in ["Content-Length", "content-length"] {
            let lines = [format!("Content-Length: {first}"), format!("{name}: {second}")];
            let bytes = ok(&[&lines[0], "X-Between: 1", &lines[1]], "hello!");
            lies.push(Lie::malformed(format!("{name} {first:?} and {second:?}"), bytes));
        }
    }
    let old =
        |line: &str| format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n{line}\r\n\r\n{chunks}");
    lies.extend([
        Lie::malformed("length and chunked", ok(&["Content-Length: 5", te], chunks)),
        Lie::malformed("chunked and length", ok(&[te, "Content-Length: 15"], chunks)),
        Lie::malformed("chunked and length 0", ok(&[te, "Content-Length: 0"], chunks)),
        Lie::malformed("length and chunked to HEAD", ok(&["Content-Length: 5", te], ""))
            .to(To::Head),
        Lie::malformed(
            "length and chunked on 304",
            "HTTP/1.1 304 X\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        Lie::malformed("chunked twice", ok(&[te, te], chunks)),
        Lie::malformed("chunked and identity", ok(&[te, "Transfer-Encoding: identity"], chunks)),
        Lie::malformed("chunked on HTTP/1.0", old(te)),
        Lie::malformed(
            "chunked and length on HTTP/1.0",
            old(&format!("Content-Length: 15\r\n{te}")),
        ),
        Lie::right("a length with zeros in front", ok(&["Content-Length: 0005"], "hello"), "hello")
            .clean(),
        Lie::right("a length among blanks", ok(&["Content-Length: \t 5 "], "hello"), "hello")
            .clean(),
        Lie::right("length 0", ok(&["Content-Length: 0"], ""), "").clean(),
        Lie::right("an upload's answer", ok(&["Content-Length: 5"], "hello"), "hello")
            .to(To::Put)
            .clean(),
        Lie::right("chunked in capitals", ok(&["TRANSFER-ENCODING: CHUNKED"], chunks), "hello")
            .clean(),
    ]);
    lies
}
