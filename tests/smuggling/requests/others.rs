//! Bodies where none belong, expectations, upgrades, and long pipelines.

use super::super::case::{Case, Then, chunked, get, put, request};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let inner = "GET /inner HTTP/1.1\r\nHost: localhost:9000\r\n\r\n";
        let length = format!("Content-Length: {}", inner.len());
        let te = "Transfer-Encoding: chunked";
        cases.extend([
            Case::refused(
                format!("{method} with a body"),
                request(method, &[&length], inner),
                "unexpected-body",
            ),
            Case::refused(
                format!("{method} with one byte"),
                request(method, &["Content-Length: 1"], "x"),
                "unexpected-body",
            ),
            Case::refused(
                format!("{method} with chunks"),
                request(method, &[te], "5\r\nhello\r\n0\r\n\r\n"),
                "unexpected-body",
            ),
            Case::refused(
                format!("{method} with an empty chunked body"),
                request(method, &[te], "0\r\n\r\n"),
                "unexpected-body",
            ),
            Case::refused(
                format!("{method} with a body to wait for"),
                request(method, &["Expect: 100-continue", "Content-Length: 5"], "hello"),
                "unexpected-body",
            ),
            Case::refused(
                format!("{method} with a range and a body"),
                request(method, &["Range: bytes=0-1", "Content-Length: 5"], "hello"),
                "unexpected-body",
            ),
            Case::passes(
                format!("{method} with length 0"),
                request(method, &["Content-Length: 0"], ""),
            ),
            Case::passes(
                format!("{method} with length 000"),
                request(method, &["Content-Length: 000"], ""),
            ),
        ]);
    }
    let length = "Content-Length: 5";
    for (value, why) in [
        ("100-continue", ""),
        ("100-Continue", ""),
        ("", ""),
        (" \t", ""),
        ("100-continue, 100-continue", "unsupported-expectation"),
        ("100-continue;q=1", "unsupported-expectation"),
        ("\"100-continue\"", "unsupported-expectation"),
        ("100 continue", "unsupported-expectation"),
        ("100", "unsupported-expectation"),
        ("x100-continue", "unsupported-expectation"),
        ("200-ok", "unsupported-expectation"),
        ("chunked", "unsupported-expectation"),
        ("y 100-continue", "unsupported-expectation"),
        ("100-continue\0", "control-byte"),
        ("\r\n 100-continue", "folded-line"),
    ] {
        let bytes = put(&[&format!("Expect: {value}"), length], "hello");
        let name = format!("Expect: {value:?}");
        cases.push(if why.is_empty() {
            Case::passes(name, bytes).body("hello")
        } else {
            Case::refused(name, bytes, why)
        });
    }
    let expect = "Expect: 100-continue";
    let multi_delete = |lines: &[&str], body: &str| {
        let bytes = request("POST", lines, body);
        String::from_utf8_lossy(&bytes).replace("/{id}", "/?delete&x={id}").into_bytes()
    };
    let old_expect =
        String::from_utf8_lossy(&put(&[expect, length], "hello")).replace("HTTP/1.1", "HTTP/1.0");
    cases.extend([
        Case::passes("two expectations alike", put(&[expect, expect, length], "hello"))
            .body("hello"),
        Case::refused(
            "two expectations",
            put(&[expect, "Expect: x", length], "hello"),
            "unsupported-expectation",
        ),
        Case::refused(
            "the other order",
            put(&["Expect: x", expect, length], "hello"),
            "unsupported-expectation",
        ),
        Case::passes("nothing to wait for", put(&[expect, "Content-Length: 0"], "")),
        Case::passes(
            "chunks after an expectation",
            put(&[expect, "Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"),
        )
        .body("hello"),
        Case::passes("an expectation in HTTP/1.0", old_expect).body("hello").then(Then::Closed),
        Case::passes("a GET that expects", get(&[expect])),
        Case::passes(
            "WebSocket",
            get(&[
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Key: x",
                "Sec-WebSocket-Version: 13",
            ]),
        ),
        Case::passes(
            "h2c",
            get(&[
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ]),
        ),
        Case::passes(
            "h2c with a body",
            put(
                &[
                    "Connection: Upgrade, HTTP2-Settings",
                    "Upgrade: h2c",
                    "HTTP2-Settings: AAMAAABk",
                    length,
                ],
                "hello",
            ),
        )
        .body("hello"),
        Case::passes("h2c without Connection", get(&["Upgrade: h2c", "HTTP2-Settings: AAMAAABk"])),
        Case::passes(
            "TLS within the connection",
            get(&["Connection: Upgrade", "Upgrade: TLS/1.0"]),
        ),
        Case::refused(
            "an upgrade whose Connection drops Host",
            get(&["Connection: Upgrade, Host", "Upgrade: h2c"]),
            "connection-names-end-to-end",
        ),
        Case::passes("Upgrade with a request as its value", get(&["Upgrade: GET /inner HTTP/1.1"])),
        Case::refused(
            "chunks where COS wants a length",
            multi_delete(&["Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"),
            "length-required",
        ),
        Case::refused(
            "CONNECT with a body",
            request("CONNECT", &[length], "hello"),
            "connect-not-supported",
        ),
        Case::refused(
            "TRACE with a body",
            request("TRACE", &[length], "hello"),
            "method-not-allowed",
        ),
        Case::passes(
            "a body that is longer than any buffer",
            put(&["Content-Length: 300000"], &"0\r\n\r\nGET /inner ".repeat(20_000)[..300_000]),
        )
        .body(&"0\r\n\r\nGET /inner ".repeat(20_000)[..300_000])
        .then(Then::Served),
        Case::passes(
            "chunks that are longer than any buffer",
            chunked(&format!("{:x}\r\n{}\r\n0\r\n\r\n", 300_000, "0\r\n\r\n".repeat(60_000))),
        )
        .body("0\r\n\r\n".repeat(60_000)),
        Case::refused(
            "a body refused with its host",
            String::from_utf8_lossy(&put(&[length], "hello"))
                .replace("localhost:9000", "example.com"),
            "misdirected",
        ),
        Case::refused(
            "a request as the body of a refused one",
            String::from_utf8_lossy(&put(
                &["Content-Length: 45"],
                "GET /inner HTTP/1.1\r\nHost: localhost:9000\r\n\r\n",
            ))
            .replacen("localhost:9000", "example.com", 1),
            "misdirected",
        ),
    ]);
    cases
}
