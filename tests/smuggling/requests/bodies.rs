//! Chunked bodies: sizes, extensions, ends, trailers.

use super::super::case::{Case, chunked, shown};

/// Bodies that break, and why.
pub(crate) const BROKEN: &[(&str, &str)] = &[
    // Sizes.
    ("\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    (" 5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("\t5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5 \r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\t\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("+5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("-5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("-0\r\n\r\n", "bad-chunk-size"),
    ("0x5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("0X5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5h\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5.0\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5,5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("0_5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("\"5\"\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("g\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\0\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\x0b\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("\u{ff15}\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("\u{feff}5\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\rhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\r\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\n\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("hello", "bad-chunk-size"),
    ("GET /inner HTTP/1.1\r\nHost: localhost\r\n\r\n", "bad-chunk-size"),
    ("00000000000000005\r\nhello\r\n0\r\n\r\n", "chunk-size-too-large"),
    ("00000000000000000\r\n\r\n", "chunk-size-too-large"),
    ("8000000000000000\r\nhello", "chunk-size-too-large"),
    ("ffffffffffffffff\r\nhello", "chunk-size-too-large"),
    ("fffffffffffffffb\r\nhello", "chunk-size-too-large"),
    ("10000000000000000\r\nhello", "chunk-size-too-large"),
    ("10000000000000005\r\nhello\r\n0\r\n\r\n", "chunk-size-too-large"),
    ("100000000000000000000000000000005\r\nhello\r\n0\r\n\r\n", "chunk-size-too-large"),
    // Extensions.
    ("5;a\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;a=b\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;;;\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;a=\"b\"\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;a=\"\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;\rhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;\0\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    ("5;chunk-signature=0123\r\nhello\r\n0;chunk-signature=4567\r\n\r\n", "chunk-extension"),
    ("0;a=b\r\n\r\n", "chunk-extension"),
    ("5\r\nhello\r\n0;a\r\n\r\n", "chunk-extension"),
    ("5 ;a=b\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\r;a\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    (";a\r\nhello\r\n0\r\n\r\n", "bad-chunk-size"),
    // Ends of chunks.
    ("5\r\nhello0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello\n0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello\r0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello\r\r\n0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello\n\r0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello \r\n0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello;\r\n0\r\n\r\n", "bad-chunk-end"),
    ("4\r\nhello\r\n0\r\n\r\n", "bad-chunk-end"),
    ("6\r\nhello\r\n0\r\n\r\n", "bad-chunk-end"),
    ("7\r\nhello\r\n0\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhelloGET /inner HTTP/1.1\r\n\r\n", "bad-chunk-end"),
    ("5\r\nhello\r\n\r\n0\r\n\r\n", "bad-chunk-size"),
    ("5\r\nhello\r\n5\r\nworldx\r\n0\r\n\r\n", "bad-chunk-end"),
    // The last chunk.
    ("0\n\r\n", "bad-chunk-size"),
    ("0\r\r\n\r\n", "bad-chunk-size"),
    ("0 \r\n\r\n", "bad-chunk-size"),
    ("0\r\n\n", "bad-trailer-line"),
    ("0\r\n\r\r\n", "bad-trailer-line"),
    ("0\r\n \r\n\r\n", "bad-trailer-line"),
    ("0\r\n\0\r\n\r\n", "bad-trailer-line"),
    ("0\r\nx\r\n\r\n", "bad-trailer-line"),
    // Trailers.
    ("0\r\nX: y\n\r\n", "bad-trailer-line"),
    ("0\r\nX: y\rZ: z\r\n\r\n", "bad-trailer-line"),
    ("0\r\nX : y\r\n\r\n", "bad-trailer-line"),
    ("0\r\nX\t: y\r\n\r\n", "bad-trailer-line"),
    ("0\r\n X: y\r\n\r\n", "bad-trailer-line"),
    ("0\r\nX: y\r\n z\r\n\r\n", "bad-trailer-line"),
    ("0\r\nX: \0\r\n\r\n", "bad-trailer-line"),
    ("0\r\n: y\r\n\r\n", "bad-trailer-line"),
    ("0\r\nX y: z\r\n\r\n", "bad-trailer-line"),
    ("0\r\n\u{e9}: y\r\n\r\n", "bad-trailer-line"),
    ("0\r\nGET /inner HTTP/1.1\r\nHost: localhost\r\n\r\n", "bad-trailer-line"),
];

/// Trailers that would change what was signed, or who asks, if somebody merged them.
const FORBIDDEN: &[&str] = &[
    "Content-Length: 5",
    "content-length: 0",
    "Transfer-Encoding: chunked",
    "TRANSFER-ENCODING: gzip",
    "Host: example.com",
    "Authorization: x",
    "Content-Type: text/html",
    "Content-Encoding: gzip",
    "Content-Range: bytes 0-1/2",
    "Content-MD5: x",
    "Connection: close",
    "Keep-Alive: timeout=1",
    "Upgrade: h2c",
    "TE: trailers",
    "Trailer: X",
    "Expect: 100-continue",
    "Range: bytes=0-1",
    "Cookie: a=b",
    "Set-Cookie: a=b",
    "If-Match: x",
    "If-None-Match: *",
    "Cache-Control: no-store",
    "Max-Forwards: 0",
    "Origin: http://example.com",
    "Proxy-Authorization: x",
    "x-cos-acl: public-read",
    "X-COS-Security-Token: x",
    "x-cos-meta-a: b",
    "x-ci-process: x",
    "Expires: 0",
    "X-Fine: 1\r\nContent-Length: 5",
];

/// Bodies that are legal, and what they say.
const LEGAL: &[(&str, &str)] = &[
    ("0\r\n\r\n", ""),
    ("000\r\n\r\n", ""),
    ("0000000000000000\r\n\r\n", ""),
    ("5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("0005\r\nhello\r\n0\r\n\r\n", "hello"),
    ("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"),
    ("1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"),
    ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
    ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
    ("15\r\nGET /inner HTTP/1.1\r\n\r\n0\r\n\r\n", "GET /inner HTTP/1.1\r\n"),
    ("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "hello"),
    ("5\r\nhello\r\n0\r\nX-Sum:\r\nX-Other:  2 \r\n\r\n", "hello"),
    ("5\r\n\r\n\r\n\n\r\n0\r\n\r\n", "\r\n\r\n\n"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(body, why) in BROKEN {
        cases.push(Case::breaks(shown(body), chunked(body), why));
        let late = format!("a\r\n0123456789\r\n{body}");
        cases.push(Case::breaks(format!("after a chunk, {}", shown(body)), chunked(&late), why));
    }
    for line in FORBIDDEN {
        let body = format!("5\r\nhello\r\n0\r\n{line}\r\n\r\n");
        cases.push(Case::breaks(
            format!("trailer {}", shown(line)),
            chunked(&body),
            "forbidden-trailer",
        ));
    }
    for &(body, data) in LEGAL {
        cases.push(Case::passes(shown(body), chunked(body)).body(data));
    }
    let huge_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(70_000));
    let huge_trailer = format!("0\r\nX: {}\r\n\r\n", "a".repeat(9_000));
    let many_trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(40));
    let endless_size = "0".repeat(40_000);
    cases.extend([
        Case::breaks("a huge extension", chunked(&huge_extension), "chunk-extension"),
        Case::breaks("a huge trailer", chunked(&huge_trailer), "trailers-too-large"),
        Case::breaks("forty trailers", chunked(&many_trailers), "trailers-too-large"),
        Case::breaks("an endless size", chunked(&endless_size), "chunk-size-too-large"),
        Case::swallows("a chunk that never ends", chunked("7fffffffffffffff\r\nhello")),
        Case::swallows("no last chunk", chunked("5\r\nhello\r\nfff\r\n")),
    ]);
    cases
}
