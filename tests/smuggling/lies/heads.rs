//! Heads that are none, interim answers, and heads without end.

use super::{Lie, To, Told, ok};
use crate::case::shown;

const REST: &str = "Content-Length: 5\r\n\r\nhello";

/// Beginnings that are no status line.
const BAD: &[&str] = &[
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 1000 OK",
    "HTTP/1.1 0 OK",
    "HTTP/1.1 000 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 600 OK",
    "HTTP/1.1 999 OK",
    "HTTP/1.1 -200 OK",
    "HTTP/1.1 +200 OK",
    "HTTP/1.1 0x200 OK",
    "HTTP/1.1 20O OK",
    "HTTP/1.1 2 00 OK",
    "HTTP/1.1 \u{ff12}00 OK",
    "HTTP/1.1 OK",
    "HTTP/1.1 ",
    "HTTP/1.1",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.1200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/1. 200 OK",
    "HTTP/1.10 200 OK",
    "HTTP/11 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/3.0 200 OK",
    "http/1.1 200 OK",
    " HTTP/1.1 200 OK",
    "\tHTTP/1.1 200 OK",
    "\r\nHTTP/1.1 200 OK",
    "\nHTTP/1.1 200 OK",
    "\u{feff}HTTP/1.1 200 OK",
    "\0HTTP/1.1 200 OK",
    "xHTTP/1.1 200 OK",
    "ICY 200 OK",
    "200 OK",
    "GET / HTTP/1.1",
    "<html>",
    "hello",
    "\0\0\x12\x04\0\0\0\0\0",
    "\x15\x03\x01\0\x02\x02\x46",
    "SSH-2.0-x",
    "220 ready",
    "HTTP/1.1 200 O\0K",
    "HTTP/1.1 200 O\x0bK",
    "HTTP/1.1 200 O\x7fK",
    "HTTP/1.1 200 OK\r",
    "HTTP/1.1 200 O\rK",
    "HTTP/1.1 200 OK\nX: y",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c",
];

const GOOD: &[&str] = &[
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200   many  words ",
    "HTTP/1.1 200 \u{4e2d}\u{6587}",
    "HTTP/1.1 200 HTTP/1.1 404 Not Found",
    "HTTP/1.1 200 Content-Length: 0",
];

pub(super) fn status_lines() -> Vec<Lie> {
    let mut lies: Vec<Lie> =
        BAD.iter().map(|line| Lie::malformed(shown(line), format!("{line}\r\n{REST}"))).collect();
    for line in GOOD {
        lies.push(Lie::right(shown(line), format!("{line}\r\n{REST}"), "hello").clean());
    }
    let right = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let go = "HTTP/1.1 100 Continue\r\n\r\n";
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    lies.extend([
        Lie::right("an interim answer", format!("{go}{right}"), "hello").clean(),
        Lie::right(
            "interim answers of many kinds",
            format!("{go}HTTP/1.1 102 Wait\r\n\r\n{hint}HTTP/1.1 199 X\r\nA: b\r\n\r\n{right}"),
            "hello",
        )
        .clean(),
        Lie::right(
            "as many interim answers as are read",
            format!("{}{right}", go.repeat(8)),
            "hello",
        )
        .clean(),
        Lie::malformed("one interim answer more", format!("{}{right}", go.repeat(9))),
        Lie::malformed("a flood of interim answers", go.repeat(2000)),
        Lie::malformed(
            "a flood of large interim answers",
            format!("HTTP/1.1 103 X\r\nA: {}\r\n\r\n", "b".repeat(30_000)).repeat(20),
        ),
        Lie::malformed(
            "an interim answer with a length",
            format!("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello{right}"),
        ),
        Lie::malformed(
            "an interim answer with chunks",
            format!("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{right}"),
        ),
        Lie::right(
            "an interim answer with a length of 0",
            format!("HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n{right}"),
            "hello",
        )
        .clean(),
        Lie::malformed("an interim answer and bytes", format!("{go}hello{right}")),
        Lie::malformed("an interim answer and an empty line", format!("{go}\r\n{right}")),
        Lie::malformed("an interim answer, then no status line", format!("{go}ok\r\n{right}")),
        Lie::malformed(
            "an interim answer, then a bare LF",
            format!("{go}HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
        ),
        Lie::closed("an interim answer and the end", go).then(Told::Close),
        Lie::closed("an interim answer and a reset", go).then(Told::Reset),
        Lie::malformed("101 after 100", format!("{go}HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n")),
        Lie::malformed("101 to an upload", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n").to(To::Put),
        Lie::right("100 to an upload", format!("{go}{right}"), "hello").to(To::Put).clean(),
        Lie::malformed("a flood to half an upload", go.repeat(2000)).to(To::HalfAPut),
        Lie::malformed("an endless status line", format!("HTTP/1.1 200 {}", "a".repeat(70_000))),
        Lie::malformed("endless bytes", "a".repeat(200_000)),
    ]);
    lies
}

/// Header lines that nobody may send.
const LINES: &[&str] = &[
    "A: b\nC: d",
    "A: b\n",
    "\nA: b",
    "A: b\n\nhello",
    "A: b\rC: d",
    "A: b\r",
    "A:\rb",
    "A: b\r\n c",
    "A: b\r\n\tc",
    "A:\r\n b",
    " A: b",
    "\tA: b",
    " ",
    "A: b\r\n Content-Length: 3",
    "A : b",
    "A\t: b",
    "Content-Length : 5",
    "A b: c",
    "A",
    "hello",
    "HTTP/1.1 200 OK",
    ": b",
    "A(b): c",
    "A\"b\": c",
    "\u{e9}: c",
    "A\0: b",
    "A: \0",
    "A: b\0c",
    "A: \x0b",
    "A: \x7f",
    "\x01A: b",
    "Connection: content-length",
    "Connection: keep-alive, Transfer-Encoding",
    "Connection: x-cos-request-id",
    "Connection: etag",
    "Connection: a b",
    "Connection: close;x",
];

const HARMLESS: &[&str] = &[
    "A:",
    "A: b:c: d",
    "A: \u{4e2d}",
    "A: %0d%0aSet-Cookie: a=b",
    "Content_Length: 3",
    "X-Content-Length: 3",
    "Keep-Alive: timeout=5",
    "Upgrade: h2c",
    "Trailer: x",
    "Proxy-Authenticate: Basic",
    "x-cos-auth-proxy-error: no-key",
    "Connection: keep-alive, X-Hop",
];

pub(super) fn fields() -> Vec<Lie> {
    let mut lies = Vec::new();
    for line in LINES {
        let first = ok(&[line, "Content-Length: 5"], "hello");
        lies.push(Lie::malformed(shown(line), first));
        let last = ok(&["Content-Length: 5", line], "hello");
        lies.push(Lie::malformed(format!("last: {}", shown(line)), last));
    }
    for line in HARMLESS {
        lies.push(
            Lie::right(shown(line), ok(&[line, "Content-Length: 5"], "hello"), "hello").clean(),
        );
    }
    let many = |n: usize| ok(&vec!["X: y"; n], "");
    let long = format!("A: {}", "b".repeat(70_000));
    let name = "N".repeat(70_000);
    let lf_only = "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello";
    let lf_end = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello";
    let cr_end = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\r\nhello";
    let close = ok(&["Connection: close", "Content-Length: 5"], "hello");
    lies.extend([
        Lie::malformed("more headers than are read", many(129)),
        Lie::malformed("ten thousand headers", many(10_000)),
        Lie::malformed("a header without end", ok(&[&long, "Content-Length: 5"], "hello")),
        Lie::malformed("a name without end", name.as_bytes()),
        Lie::malformed("a header section without end", ok(&vec!["A: b"; 20_000], "")),
        Lie::malformed("LF only", lf_only),
        Lie::malformed("an LF for the empty line", lf_end),
        Lie::malformed("CR CR LF for the empty line", cr_end),
        Lie::right("Connection says close", close, "hello"),
        Lie::right("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        Lie::right(
            "HTTP/1.0, kept",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
        )
        .clean(),
    ]);
    lies
}
