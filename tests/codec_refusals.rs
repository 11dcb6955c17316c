//! Every rule of the codec with bytes that break it, and what must not be taken for a breach.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops where it fails and tells its counts"
)]

#[path = "codec/reading.rs"]
#[allow(dead_code, reason = "shared: each test binary uses a part")]
mod reading;

use std::collections::BTreeSet;

use cos_auth_proxy::http1::{AnswerTo, BodyFault, RequestFault, ResponseFault};

use reading::{Kind, LIMITS, Message, Stop, read_all};

type Table<'a> = &'a [(&'static str, Vec<u8>, &'static str)];

fn raw(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// A PUT with these field lines (each without its CR LF) besides Host.
fn put(lines: &[&str]) -> Vec<u8> {
    message("PUT /key HTTP/1.1\r\nHost: h", lines, b"")
}

/// A PUT with a chunked body of these bytes.
fn chunked(body: &str) -> Vec<u8> {
    message("PUT /key HTTP/1.1\r\nHost: h", &["Transfer-Encoding: chunked"], body.as_bytes())
}

/// A GET with this target.
fn get(target: &str) -> Vec<u8> {
    message(&format!("GET {target} HTTP/1.1\r\nHost: h"), &[], b"")
}

fn ok(lines: &[&str], body: &[u8]) -> Vec<u8> {
    message("HTTP/1.1 200 OK", lines, body)
}

fn message(start: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = start.as_bytes().to_vec();
    for line in lines {
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Checks a table whole and byte by byte, and returns the names of the refusals in it.
fn refuse(kind: Kind, table: Table<'_>) -> BTreeSet<&'static str> {
    for (case, bytes, expected) in table {
        let shown = String::from_utf8_lossy(bytes);
        let shown: String = shown.chars().take(300).collect();
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        for cuts in [&[][..], &every_byte] {
            let (messages, stop) = read_all(kind, bytes, cuts);
            assert_eq!(stop, Stop::Refused(expected), "{case}: {shown:?}");
            assert!(
                messages.iter().all(|m| !m.complete || m.what == "100"),
                "{case}: {messages:?}"
            );
        }
    }
    table.iter().map(|(_, _, expected)| *expected).collect()
}

fn accept(kind: Kind, bytes: &[u8]) -> Message {
    let (messages, stop) = read_all(kind, bytes, &[]);
    assert_eq!(stop, Stop::Clean, "{:?}", String::from_utf8_lossy(bytes));
    assert!(messages.len() == 1 && messages[0].complete);
    messages.into_iter().next().unwrap()
}

fn request_lines() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        (
            "TLS ClientHello",
            raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            "tls-on-plain-port",
        ),
        ("HTTP/2 prior knowledge", raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "http2-preface"),
        ("HTTP/0.9", raw(b"GET /key\r\n"), "http-0.9"),
        ("HTTP/0.9 with fields", raw(b"GET /key\r\nHost: h\r\n\r\n"), "http-0.9"),
        ("version 1.2", raw(b"GET / HTTP/1.2\r\nHost: h\r\n\r\n"), "unsupported-version"),
        ("version 2.0", raw(b"GET / HTTP/2.0\r\nHost: h\r\n\r\n"), "unsupported-version"),
        ("version 1.10", raw(b"GET / HTTP/1.10\r\nHost: h\r\n\r\n"), "unsupported-version"),
        ("version 1", raw(b"GET / HTTP/1\r\nHost: h\r\n\r\n"), "unsupported-version"),
        (
            "version in lower case",
            raw(b"GET / http/1.1\r\nHost: h\r\n\r\n"),
            "malformed-request-line",
        ),
        (
            "blank after the version",
            raw(b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
            "malformed-request-line",
        ),
        (
            "two blanks before the target",
            raw(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "malformed-request-line",
        ),
        (
            "two blanks after the target",
            raw(b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
            "malformed-request-line",
        ),
        ("no target", raw(b"GET HTTP/1.1\r\nHost: h\r\n\r\n"), "malformed-request-line"),
        ("empty target", raw(b"GET  HTTP/1.1\r\nHost: h\r\n\r\n"), "malformed-request-line"),
        (
            "tabs instead of blanks",
            raw(b"GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n"),
            "malformed-request-line",
        ),
        ("tab after the method", raw(b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"), "bad-method"),
        ("one word", raw(b"HELP\r\n"), "malformed-request-line"),
        ("blank before the method", raw(b" GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "bad-method"),
        ("delimiter in the method", raw(b"GE(T / HTTP/1.1\r\nHost: h\r\n\r\n"), "bad-method"),
        ("method above ASCII", raw(b"G\xc3\x89T / HTTP/1.1\r\nHost: h\r\n\r\n"), "bad-method"),
        (
            "method of 33 bytes",
            raw(b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "bad-method",
        ),
        ("empty line first", raw(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), "leading-empty-line"),
        ("LF first", raw(b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), "leading-empty-line"),
        ("blank in the target", get("/a b"), "blank-in-target"),
        ("tab in the target", get("/a\tb"), "blank-in-target"),
        ("a request line in the target", get("/ HTTP/1.1 /x"), "blank-in-target"),
        ("fragment", get("/a#b"), "fragment-in-target"),
        ("NUL in the target", get("/a\0b"), "control-byte"),
        ("DEL in the target", get("/a\x7fb"), "control-byte"),
        ("GBK in the target", raw(b"GET /\xd6\xd0 HTTP/1.1\r\nHost: h\r\n\r\n"), "target-not-utf8"),
        (
            "target over the limit",
            get(&format!("/{}", "a".repeat(LIMITS.target_bytes))),
            "target-too-long",
        ),
        ("endless request line", vec![b'a'; 2 * LIMITS.head_bytes], "target-too-long"),
    ]
}

fn request_heads() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let endless = format!("X: {}", "a".repeat(LIMITS.head_bytes));
    let many = vec!["X: y"; LIMITS.fields];
    vec![
        ("bare LF after the request line", raw(b"GET / HTTP/1.1\nHost: h\r\n\r\n"), "bare-lf"),
        ("bare LF after a field", put(&["A: b\nC: d"]), "bare-lf"),
        ("bare LF blank line", raw(b"GET / HTTP/1.1\r\nHost: h\r\n\n"), "bare-lf"),
        ("LF only", raw(b"GET / HTTP/1.1\nHost: h\n\n"), "bare-lf"),
        ("bare CR in a value", put(&["A: b\rC: d"]), "bare-cr"),
        ("bare CR as line end", raw(b"GET / HTTP/1.1\rHost: h\r\n\r\n"), "bare-cr"),
        ("CR CR LF", put(&["A: b\r"]), "bare-cr"),
        ("NUL in a value", put(&["A: b\0c"]), "control-byte"),
        ("NUL in a name", put(&["A\0: b"]), "control-byte"),
        ("vertical tab after chunked", put(&["Transfer-Encoding: chunked\x0b"]), "control-byte"),
        ("form feed before chunked", put(&["Transfer-Encoding:\x0cchunked"]), "control-byte"),
        ("DEL in a value", put(&["A: \x7f"]), "control-byte"),
        ("folded line", put(&["A: b", " c"]), "folded-line"),
        ("folded with a tab", put(&["A: b", "\tc"]), "folded-line"),
        ("folded framing", put(&["Transfer-Encoding:", " chunked"]), "folded-line"),
        ("blank before the first field", raw(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n"), "folded-line"),
        ("blank before the colon", put(&["Content-Length : 5"]), "blank-before-colon"),
        ("tab before the colon", put(&["Transfer-Encoding\t: chunked"]), "blank-before-colon"),
        ("no colon", put(&["Content-Length 5"]), "missing-colon"),
        ("empty name", put(&[": b"]), "bad-field-name"),
        ("delimiter in a name", put(&["A(b): c"]), "bad-field-name"),
        ("name above ASCII", put(&["\u{e9}: c"]), "bad-field-name"),
        ("blank inside a name", put(&["A b: c"]), "bad-field-name"),
        ("head over the limit", put(&[&endless]), "head-too-large"),
        ("fields over the limit", put(&many), "too-many-fields"),
        ("no Host", raw(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"), "missing-host"),
        ("two Hosts", put(&["Host: g"]), "duplicate-host"),
        ("two equal Hosts", put(&["HOST: h"]), "duplicate-host"),
        (
            "two Hosts on HTTP/1.0",
            raw(b"GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"),
            "duplicate-host",
        ),
        ("unknown expectation", put(&["Expect: 200-ok"]), "unsupported-expectation"),
        ("expectation list", put(&["Expect: 100-continue, x"]), "unsupported-expectation"),
        ("Connection drops Host", put(&["Connection: close, host"]), "connection-names-end-to-end"),
        (
            "Connection drops the length",
            put(&["Connection: Content-Length"]),
            "connection-names-end-to-end",
        ),
        (
            "Connection drops chunked",
            put(&["Connection: transfer-encoding"]),
            "connection-names-end-to-end",
        ),
        (
            "Connection drops authority",
            put(&["Connection: keep-alive,Authorization"]),
            "connection-names-end-to-end",
        ),
        (
            "Connection drops a COS field",
            put(&["Connection: x-cos-acl"]),
            "connection-names-end-to-end",
        ),
        (
            "Connection drops a condition",
            put(&["Connection: if-match"]),
            "connection-names-end-to-end",
        ),
        (
            "second Connection line",
            put(&["Connection: close", "Connection: range"]),
            "connection-names-end-to-end",
        ),
        ("Connection is not a list of tokens", put(&["Connection: close; x=y"]), "bad-connection"),
        ("blank within a Connection option", put(&["Connection: keep alive"]), "bad-connection"),
    ]
}

fn request_framing() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let te = "Transfer-Encoding: chunked";
    let http10 = "PUT / HTTP/1.0\r\nHost: h";
    vec![
        ("length then chunked", put(&["Content-Length: 5", te]), "length-and-chunked"),
        ("chunked then length", put(&[te, "Content-Length: 5"]), "length-and-chunked"),
        ("length 0 and chunked", put(&["Content-Length: 0", te]), "length-and-chunked"),
        (
            "both on HTTP/1.0",
            message(http10, &["Content-Length: 5", te], b""),
            "length-and-chunked",
        ),
        (
            "both, other case",
            put(&["CONTENT-LENGTH: 5", "transfer-encoding: CHUNKED"]),
            "length-and-chunked",
        ),
        ("chunked on HTTP/1.0", message(http10, &[te], b""), "chunked-on-http10"),
        (
            "two equal lengths",
            put(&["Content-Length: 5", "Content-Length: 5"]),
            "duplicate-content-length",
        ),
        (
            "two lengths",
            put(&["Content-Length: 5", "content-length: 6"]),
            "duplicate-content-length",
        ),
        ("length list", put(&["Content-Length: 5, 5"]), "bad-content-length"),
        ("length with plus", put(&["Content-Length: +5"]), "bad-content-length"),
        ("length with minus", put(&["Content-Length: -5"]), "bad-content-length"),
        ("length minus zero", put(&["Content-Length: -0"]), "bad-content-length"),
        ("length in hexadecimal", put(&["Content-Length: 0x5"]), "bad-content-length"),
        ("length with a fraction", put(&["Content-Length: 5.0"]), "bad-content-length"),
        ("length with an exponent", put(&["Content-Length: 1e3"]), "bad-content-length"),
        ("length with an underscore", put(&["Content-Length: 1_0"]), "bad-content-length"),
        ("length with an inner blank", put(&["Content-Length: 1 0"]), "bad-content-length"),
        ("quoted length", put(&["Content-Length: \"5\""]), "bad-content-length"),
        ("empty length", put(&["Content-Length:"]), "bad-content-length"),
        ("length of 2^63", put(&["Content-Length: 9223372036854775808"]), "bad-content-length"),
        ("length of 2^64", put(&["Content-Length: 18446744073709551616"]), "bad-content-length"),
        ("length in full-width digits", put(&["Content-Length: \u{ff15}"]), "bad-content-length"),
        ("length undefined", put(&["Content-Length: undefined"]), "bad-content-length"),
        ("two equal chunked", put(&[te, te]), "duplicate-transfer-encoding"),
        (
            "chunked twice in a line",
            put(&["Transfer-Encoding: chunked, chunked"]),
            "unsupported-transfer-encoding",
        ),
        (
            "gzip, chunked",
            put(&["Transfer-Encoding: gzip, chunked"]),
            "unsupported-transfer-encoding",
        ),
        (
            "chunked, identity",
            put(&["Transfer-Encoding: chunked, identity"]),
            "unsupported-transfer-encoding",
        ),
        ("identity", put(&["Transfer-Encoding: identity"]), "unsupported-transfer-encoding"),
        (
            "identity beside chunked",
            put(&["Transfer-Encoding: identity", te]),
            "unsupported-transfer-encoding",
        ),
        ("xchunked", put(&["Transfer-Encoding: xchunked"]), "unsupported-transfer-encoding"),
        (
            "chunked with a parameter",
            put(&["Transfer-Encoding: chunked;q=1"]),
            "unsupported-transfer-encoding",
        ),
        (
            "quoted chunked",
            put(&["Transfer-Encoding: \"chunked\""]),
            "unsupported-transfer-encoding",
        ),
        (
            "chunked after a comma",
            put(&["Transfer-Encoding: ,chunked"]),
            "unsupported-transfer-encoding",
        ),
        ("empty encoding", put(&["Transfer-Encoding:"]), "unsupported-transfer-encoding"),
        (
            "no-break space before chunked",
            put(&["Transfer-Encoding: \u{a0}chunked"]),
            "unsupported-transfer-encoding",
        ),
        (
            "Kelvin sign in chunked",
            put(&["Transfer-Encoding: chun\u{212a}ed"]),
            "unsupported-transfer-encoding",
        ),
    ]
}

fn chunked_bodies() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let long_trailer = format!("0\r\nX: {}\r\n\r\n", "a".repeat(8192));
    let many_trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(33));
    vec![
        ("no digits", chunked("\r\n\r\n"), "bad-chunk-size"),
        ("sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("minus", chunked("-1\r\n\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("blank before the size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("blank after the size", chunked("5 \r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("tab after the size", chunked("5\t\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("not hexadecimal", chunked("5g\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("underscore", chunked("1_0\r\n"), "bad-chunk-size"),
        ("NUL after the size", chunked("5\0\r\nhello\r\n"), "bad-chunk-size"),
        ("LF after the size", chunked("5\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("CR alone after the size", chunked("5\rhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("CR CR LF after the size", chunked("5\r\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
        ("LF after the last size", chunked("0\n\r\n"), "bad-chunk-size"),
        ("17 digits", chunked("00000000000000005\r\nhello\r\n"), "chunk-size-too-large"),
        ("2^63", chunked("8000000000000000\r\n"), "chunk-size-too-large"),
        ("2^64 + 5", chunked("10000000000000005\r\nhello\r\n"), "chunk-size-too-large"),
        ("all f", chunked("ffffffffffffffff\r\n"), "chunk-size-too-large"),
        ("extension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), "chunk-extension"),
        ("empty extension", chunked("5;\r\nhello\r\n0\r\n\r\n"), "chunk-extension"),
        ("aws-chunked signature", chunked("5;chunk-signature=0\r\nhello\r\n"), "chunk-extension"),
        ("extension with LF", chunked("5;\nhello\r\n"), "chunk-extension"),
        ("extension on the last chunk", chunked("0;a\r\n\r\n"), "chunk-extension"),
        ("data longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n"), "bad-chunk-end"),
        ("data shorter than its size", chunked("6\r\nhello\r\n0\r\n\r\n"), "bad-chunk-end"),
        ("LF after the data", chunked("5\r\nhello\n0\r\n\r\n"), "bad-chunk-end"),
        ("CR alone after the data", chunked("5\r\nhello\r0\r\n\r\n"), "bad-chunk-end"),
        ("CR CR after the data", chunked("5\r\nhello\r\r0\r\n\r\n"), "bad-chunk-end"),
        ("nothing after the data", chunked("5\r\nhello0\r\n\r\n"), "bad-chunk-end"),
        ("trailer without a colon", chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), "bad-trailer-line"),
        ("trailer with LF", chunked("0\r\nX: y\n\r\n"), "bad-trailer-line"),
        ("LF as the final line", chunked("0\r\n\n"), "bad-trailer-line"),
        ("folded trailer", chunked("0\r\nX: y\r\n z\r\n\r\n"), "bad-trailer-line"),
        ("trailer with NUL", chunked("0\r\nX: \0\r\n\r\n"), "bad-trailer-line"),
        (
            "trailer with a blank before the colon",
            chunked("0\r\nX : y\r\n\r\n"),
            "bad-trailer-line",
        ),
        ("trailer too long", chunked(&long_trailer), "trailers-too-large"),
        ("too many trailers", chunked(&many_trailers), "trailers-too-large"),
        ("length as a trailer", chunked("0\r\nContent-Length: 5\r\n\r\n"), "forbidden-trailer"),
        (
            "chunked as a trailer",
            chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "forbidden-trailer",
        ),
        ("Host as a trailer", chunked("0\r\nhost: g\r\n\r\n"), "forbidden-trailer"),
        (
            "authority as a trailer",
            chunked("0\r\nAuthorization: q-ak=x\r\n\r\n"),
            "forbidden-trailer",
        ),
        (
            "COS field as a trailer",
            chunked("0\r\nx-cos-acl: public-read\r\n\r\n"),
            "forbidden-trailer",
        ),
        ("cut in a size", chunked("5"), "truncated-body"),
        ("cut in the data", chunked("5\r\nhel"), "truncated-body"),
        ("cut before the last chunk", chunked("5\r\nhello\r\n"), "truncated-body"),
        ("cut before the final line", chunked("5\r\nhello\r\n0\r\n"), "truncated-body"),
        ("cut in a trailer", chunked("0\r\nX: y\r\n"), "truncated-body"),
        (
            "cut in a length",
            message("PUT / HTTP/1.1\r\nHost: h", &["Content-Length: 5"], b"hell"),
            "truncated-body",
        ),
    ]
}

fn answers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let te = "Transfer-Encoding: chunked";
    let endless = format!("X: {}", "a".repeat(LIMITS.head_bytes));
    vec![
        ("HTML without a head", raw(b"<html>"), "not-http1"),
        ("HTTP/2 settings frame", raw(b"\0\0\x12\x04\0\0\0\0\0"), "not-http1"),
        ("HTTP/2 status line", raw(b"HTTP/2 200\r\n\r\n"), "not-http1"),
        ("TLS alert", raw(b"\x15\x03\x01\x00\x02\x02\x46"), "not-http1"),
        ("empty line first", raw(b"\r\nHTTP/1.1 200 OK\r\n\r\n"), "not-http1"),
        ("ICY", raw(b"ICY 200 OK\r\n\r\n"), "not-http1"),
        ("version 1.2", raw(b"HTTP/1.2 200 OK\r\n\r\n"), "unsupported-version"),
        ("no status", raw(b"HTTP/1.1\r\n\r\n"), "unsupported-version"),
        ("status of two digits", raw(b"HTTP/1.1 20 OK\r\n\r\n"), "malformed-status-line"),
        ("status of four digits", raw(b"HTTP/1.1 2000 OK\r\n\r\n"), "malformed-status-line"),
        ("status in words", raw(b"HTTP/1.1 OK\r\n\r\n"), "malformed-status-line"),
        ("two blanks before the status", raw(b"HTTP/1.1  200 OK\r\n\r\n"), "malformed-status-line"),
        ("status 099", raw(b"HTTP/1.1 099 No\r\n\r\n"), "bad-status"),
        ("status 000", raw(b"HTTP/1.1 000 No\r\n\r\n"), "bad-status"),
        ("status 600", raw(b"HTTP/1.1 600 No\r\n\r\n"), "bad-status"),
        ("status 999", raw(b"HTTP/1.1 999 No\r\n\r\n"), "bad-status"),
        (
            "switch to another protocol",
            raw(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"),
            "switching-protocols",
        ),
        (
            "length on 204",
            raw(b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello"),
            "length-without-body",
        ),
        (
            "chunked on 204",
            raw(b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "length-without-body",
        ),
        (
            "length on 100",
            raw(b"HTTP/1.1 100 Go\r\nContent-Length: 5\r\n\r\n"),
            "length-without-body",
        ),
        (
            "bad final answer after 100",
            raw(b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\nX: y\r\n\r\n"),
            "bare-lf",
        ),
        ("LF only", raw(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "bare-lf"),
        ("CR alone", ok(&["A: b\rC: d"], b""), "bare-cr"),
        ("NUL in a value", ok(&["A: \0"], b""), "control-byte"),
        ("NUL in the reason", raw(b"HTTP/1.1 200 O\0K\r\n\r\n"), "control-byte"),
        ("folded line", ok(&["A: b", " c"], b""), "folded-line"),
        ("blank before the colon", ok(&["Content-Length : 5"], b"hello"), "blank-before-colon"),
        ("no colon", ok(&["A"], b""), "missing-colon"),
        ("empty name", ok(&[": b"], b""), "bad-field-name"),
        ("head bomb", ok(&[&endless], b""), "head-too-large"),
        (
            "endless status line",
            [&b"HTTP/1.1 200 "[..], &[b'a'; 20_000]].concat(),
            "head-too-large",
        ),
        ("too many fields", ok(&["X: y"; 101], b""), "too-many-fields"),
        ("both lengths", ok(&["Content-Length: 5", te], b"hello"), "length-and-chunked"),
        (
            "both lengths, other order",
            ok(&[te, "Content-Length: 5"], b"hello"),
            "length-and-chunked",
        ),
        (
            "two equal lengths",
            ok(&["Content-Length: 5", "Content-Length: 5"], b"hello"),
            "duplicate-content-length",
        ),
        (
            "two lengths",
            ok(&["Content-Length: 5", "Content-Length: 6"], b"hello!"),
            "duplicate-content-length",
        ),
        ("negative length", ok(&["Content-Length: -1"], b""), "bad-content-length"),
        (
            "gzip, chunked",
            ok(&["Transfer-Encoding: gzip, chunked"], b""),
            "unsupported-transfer-encoding",
        ),
        ("chunked twice", ok(&[te, te], b""), "duplicate-transfer-encoding"),
        ("chunked on HTTP/1.0", message("HTTP/1.0 200 OK", &[te], b""), "chunked-on-http10"),
        (
            "Connection drops the length",
            ok(&["Connection: content-length"], b""),
            "connection-names-end-to-end",
        ),
        ("Connection is not a list", ok(&["Connection: a b"], b""), "bad-connection"),
        ("short body", ok(&["Content-Length: 5"], b"hell"), "truncated-body"),
        ("chunked body cut", ok(&[te], b"5\r\nhello\r\n0\r\n"), "truncated-body"),
        ("chunk extension", ok(&[te], b"5;x\r\nhello\r\n"), "chunk-extension"),
        ("chunk size lies", ok(&[te], b"4\r\nhello\r\n0\r\n\r\n"), "bad-chunk-end"),
        ("forbidden trailer", ok(&[te], b"0\r\nContent-Length: 5\r\n\r\n"), "forbidden-trailer"),
    ]
}

#[test]
fn every_malformed_or_ambiguous_request_is_refused_for_its_own_reason() {
    let tables = [request_lines(), request_heads(), request_framing(), chunked_bodies()];
    assert!(tables.iter().map(Vec::len).sum::<usize>() > 150);
    let mut seen = BTreeSet::new();
    for table in &tables {
        seen.extend(refuse(Kind::Requests, table));
    }
    // A scanner lets no half head through, and it names every bad value byte a control byte.
    seen.extend(["incomplete-head", "bad-field-value"]);
    let all =
        RequestFault::all().map(RequestFault::name).chain(BodyFault::all().map(BodyFault::name));
    assert_eq!(seen, all.collect(), "a refusal without a case, or a case without a refusal");
}

#[test]
fn every_answer_that_cannot_be_trusted_is_refused_for_its_own_reason() {
    let seen = refuse(Kind::Answer(AnswerTo::Other), &answers());
    for fault in ResponseFault::all().filter(|f| !matches!(f, ResponseFault::Head(_))) {
        assert!(seen.contains(fault.name()), "no case for {}", fault.name());
    }
}

#[test]
fn framing_is_judged_even_where_an_answer_has_no_body() {
    let table = vec![
        (
            "both",
            ok(&["Content-Length: 5", "Transfer-Encoding: chunked"], b""),
            "length-and-chunked",
        ),
        (
            "two lengths",
            ok(&["Content-Length: 5", "Content-Length: 5"], b""),
            "duplicate-content-length",
        ),
    ];
    refuse(Kind::Answer(AnswerTo::Head), &table);
}

#[test]
fn a_refused_request_hides_no_second_one() {
    let smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n";
    for table in [request_heads(), request_framing()] {
        for (case, bytes, expected) in table {
            let (messages, stop) = read_all(Kind::Requests, &[&bytes, &smuggled[..]].concat(), &[]);
            assert_eq!((messages.len(), stop), (0, Stop::Refused(expected)), "{case}");
        }
    }
}

#[test]
fn what_real_clients_send_is_accepted() {
    for target in [
        "/a|b^c",
        "/(1)*'!",
        "/\"<>{}\\`",
        "//lead//dbl/./x/../y",
        "/%e7%9b%AE%2F",
        "/中文é",
        "/?uploads",
        "/k?a=b&a&=&q=%",
        "/a%zz",
        "/[1]",
        "*",
        "http://h/k",
        "h:443",
        "?x",
        "/a;b=c,d@e:f~_-.+$",
    ] {
        assert_eq!(accept(Kind::Requests, &get(target)).target, target.as_bytes());
    }
    for lines in [
        &["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"][..],
        &["Proxy-Connection: Keep-Alive", "Accept: */*", "TE: trailers"],
        &["Authorization:", "Expect:", "X-Empty: ", "Connection:"],
        &["x-cos-meta-name: 中文", "x-cos-meta-tab: a\tb", "x_under: 1"],
        &["Content-Length: 0"],
        &["Content-Length:0", "Connection: close"],
        &["Content-Length: \t0 "],
    ] {
        assert!(accept(Kind::Requests, &put(lines)).body.is_empty());
    }
    let body = "00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\nX-Sum: 1\r\n\r\n";
    let chunked = accept(Kind::Requests, &chunked(body));
    assert_eq!((chunked.body.len(), &chunked.trailers[..]), (20, &b"X-Sum: 1\r\n"[..]));
    assert!(!accept(Kind::Requests, b"GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert!(accept(Kind::Requests, b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

#[test]
fn what_real_servers_send_is_accepted() {
    let answer = Kind::Answer(AnswerTo::Other);
    let cos = [
        "Content-Length: 5",
        "ETag: \"5d41\"",
        "x-cos-meta-a: 中",
        "Server: tencent-cos",
        "x-empty:",
    ];
    assert_eq!(accept(answer, &ok(&cos, b"hello")).body, b"hello");
    assert_eq!(accept(answer, b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx").body, b"x");
    assert_eq!(accept(answer, b"HTTP/1.1 200 \xd6\xd0\r\nContent-Length: 0\r\n\r\n").what, "200");
    assert_eq!(
        accept(answer, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n").body,
        b""
    );
    let to_end = accept(answer, b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nall\r\nthe rest");
    assert_eq!((&to_end.body[..], to_end.keep_alive), (&b"all\r\nthe rest"[..], false));
    assert!(accept(Kind::Answer(AnswerTo::Head), &ok(&["Content-Length: 99"], b"")).keep_alive);
    assert_eq!(
        accept(
            answer,
            &ok(&["Transfer-Encoding: chunked"], b"0\r\nx-cos-hash-crc64ecma: 1\r\n\r\n")
        )
        .trailers
        .len(),
        25
    );
}
