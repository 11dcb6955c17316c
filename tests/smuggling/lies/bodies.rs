//! Chunked bodies that break, bodies that nobody asked for, and bytes after the end.

use super::{Lie, To, ok};
use crate::{case::shown, requests::BROKEN_CHUNKS};

const TE: &str = "Transfer-Encoding: chunked";

const FORBIDDEN_TRAILERS: &[&str] = &[
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Content-Type: text/html",
    "Set-Cookie: a=b",
    "Location: http://example.com",
    "Connection: close",
    "Host: example.com",
    "Cache-Control: public",
    "Age: 0",
    "Vary: *",
    "Www-Authenticate: Basic",
    "X: y\r\nContent-Length: 5",
];

pub(super) fn chunks() -> Vec<Lie> {
    let mut lies = Vec::new();
    for (body, _) in BROKEN_CHUNKS {
        lies.push(Lie::cut(shown(body), ok(&[TE], body)));
        let late = format!("a\r\n0123456789\r\n{body}");
        lies.push(Lie::cut(format!("after a chunk, {}", shown(body)), ok(&[TE], &late)));
        // Beyond what is read with the head.
        let later = format!("{:x}\r\n{}\r\n{body}", 100_000, "0".repeat(100_000));
        lies.push(Lie::cut(format!("after a large chunk, {}", shown(body)), ok(&[TE], &later)));
    }
    for line in FORBIDDEN_TRAILERS {
        let body = format!("5\r\nhello\r\n0\r\n{line}\r\n\r\n");
        lies.push(Lie::cut(format!("trailer {}", shown(line)), ok(&[TE], &body)));
    }
    let bomb = |line: &str| ok(&[TE], &format!("0\r\n{line}"));
    let right = |name: &str, body: &str| Lie::right(name, ok(&[TE], body), "hello").clean();
    lies.extend([
        Lie::cut("a trailer without end", bomb(&format!("X: {}", "a".repeat(9000)))),
        Lie::cut("trailers without end", bomb(&"X: y\r\n".repeat(3000))),
        Lie::cut("an extension without end", ok(&[TE], &format!("5;{}", "a".repeat(70_000)))),
        Lie::cut("a size without end", ok(&[TE], &"0".repeat(70_000))),
        right("plain chunks", "5\r\nhello\r\n0\r\n\r\n"),
        right("small chunks", "1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n"),
        right("sizes with zeros in front", "0000005\r\nhello\r\n0000\r\n\r\n"),
        right("trailers", "5\r\nhello\r\n0\r\nx-cos-hash-crc64ecma: 1\r\n\r\n"),
        Lie::right(
            "chunks that hold an answer",
            ok(&[TE], "13\r\nHTTP/1.1 200 OK\r\n\r\n\r\n0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\n\r\n",
        )
        .clean(),
        Lie::right("an empty chunked body", ok(&[TE], "0\r\n\r\n"), "").clean(),
    ]);
    lies
}

pub(super) fn surplus() -> Vec<Lie> {
    let right = || ok(&["Content-Length: 5"], "hello");
    let with = |more: &str| [&right()[..], more.as_bytes()].concat();
    let second = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
    let many = "x".repeat(300_000);
    let large = |more: &str| ok(&["Content-Length: 300000"], &format!("{many}{more}"));
    let chunked = |more: &str| ok(&[TE], &format!("5\r\nhello\r\n0\r\n\r\n{more}"));
    let head = |line: &str, rest: &str| format!("HTTP/1.1 {line}\r\n\r\n{rest}");
    let no_content =
        |line: &str, rest: &str| Lie::right(shown(line), head(line, rest), "").status(204);
    let unmodified =
        |line: &str, rest: &str| Lie::right(shown(line), head(line, rest), "").status(304);
    vec![
        Lie::right("a byte after the end", with("x"), "hello"),
        Lie::right("a line break after the end", with("\r\n"), "hello"),
        Lie::right("a second answer", with(second), "hello"),
        Lie::right("an interim answer after the end", with("HTTP/1.1 100 X\r\n\r\n"), "hello"),
        Lie::right("a request after the end", with("GET / HTTP/1.1\r\n\r\n"), "hello"),
        Lie::right("ten thousand bytes after the end", with(&"x".repeat(10_000)), "hello"),
        Lie::right("many bytes and nothing after them", large(""), &many).clean(),
        Lie::right("a byte after many", large("x"), &many),
        Lie::right("a second answer after many bytes", large(second), &many),
        Lie::right("a second answer after many bytes, later", large(""), &many).later(second),
        Lie::right("a byte after chunks", chunked("x"), "hello"),
        Lie::right("a second answer after chunks", chunked(second), "hello"),
        Lie::right("a second last chunk", chunked("0\r\n\r\n"), "hello"),
        Lie::right("a body beside length 0", ok(&["Content-Length: 0"], "wrong"), ""),
        Lie::right("a body beside length 0, to an upload", ok(&["Content-Length: 0"], second), "")
            .to(To::Put),
        Lie::right("a byte, later", right(), "hello").later("x"),
        Lie::right("a second answer, later", right(), "hello").later(second),
        Lie::right("a second answer after an upload, later", right(), "hello")
            .to(To::Put)
            .later(second),
        Lie::right("a second answer after chunks, later", chunked(""), "hello").later(second),
        Lie::right("many answers, later", right(), "hello").later(second.repeat(100)),
        Lie::right("half an answer, later", right(), "hello")
            .later("HTTP/1.1 200 OK\r\nContent-Le"),
        Lie::right("408, later", right(), "hello")
            .later("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
        // Answers without a body.
        Lie::right("HEAD with a body", right(), "").to(To::Head),
        Lie::right("HEAD with chunks", chunked(""), "").to(To::Head),
        Lie::right("HEAD with a second answer", with(second), "").to(To::Head),
        Lie::right("HEAD with a body, later", ok(&["Content-Length: 5"], ""), "")
            .to(To::Head)
            .later("wrong"),
        Lie::right("HEAD with an answer as its body, later", ok(&["Content-Length: 43"], ""), "")
            .to(To::Head)
            .later(second),
        Lie::right("HEAD with chunks, later", ok(&[TE], ""), "")
            .to(To::Head)
            .later("5\r\nwrong\r\n0\r\n\r\n"),
        Lie::right("HEAD without framing", ok(&[], ""), "").to(To::Head).clean(),
        Lie::right("HEAD with a length", ok(&["Content-Length: 5"], ""), "").to(To::Head).clean(),
        Lie::malformed("204 with a length", head("204 No Content\r\nContent-Length: 5", "wrong")),
        Lie::malformed(
            "204 with chunks",
            head("204 No Content\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ),
        no_content("204 No Content", "wrong"),
        no_content("204 No Content", second),
        no_content("204 No Content", "").later(second),
        no_content("204 No Content\r\nContent-Length: 0", "").clean(),
        no_content("204 No Content", "").clean(),
        unmodified("304 Not Modified\r\nContent-Length: 5", "wrong"),
        unmodified("304 Not Modified\r\nTransfer-Encoding: chunked", "5\r\nwrong\r\n0\r\n\r\n"),
        unmodified("304 Not Modified", second),
        unmodified("304 Not Modified\r\nContent-Length: 5", "").later("wrong"),
        unmodified("304 Not Modified\r\nContent-Length: 43", "").later(second),
        unmodified("304 Not Modified\r\nContent-Length: 5", "").clean(),
        unmodified("304 Not Modified", "").clean(),
        // Before the request was whole.
        Lie::right("an answer to half an upload", right(), "hello").to(To::HalfAPut),
        Lie::right("two answers to half an upload", with(second), "hello").to(To::HalfAPut),
        Lie::right("chunks to half an upload", chunked(""), "hello").to(To::HalfAPut),
        Lie::malformed("nonsense to half an upload", "nonsense\r\n\r\n").to(To::HalfAPut),
        Lie::malformed("both lengths to half an upload", ok(&["Content-Length: 5", TE], "hello"))
            .to(To::HalfAPut),
    ]
}
