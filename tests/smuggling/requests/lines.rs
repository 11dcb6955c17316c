//! The request line: words and blanks, methods, targets, versions, and what is no HTTP/1 at all.

use super::super::case::{Case, Then, shown};

const HOST: &str = "Host: localhost:9000\r\n\r\n";

/// A whole request line without its end, and why it is refused.
const LINES: &[(&str, &str)] = &[
    ("GET  /{id} HTTP/1.1", "malformed-request-line"),
    ("GET /{id}  HTTP/1.1", "malformed-request-line"),
    ("GET   /{id}   HTTP/1.1", "malformed-request-line"),
    ("GET\t/{id}\tHTTP/1.1", "malformed-request-line"),
    ("GET\t/{id} HTTP/1.1", "bad-method"),
    ("GET /{id}\tHTTP/1.1", "http-0.9"),
    ("GET /{id} HTTP/1.1 ", "malformed-request-line"),
    ("GET /{id} HTTP/1.1\t", "unsupported-version"),
    ("GET /{id} HTTP/1.1 x", "malformed-request-line"),
    ("GET /{id} x HTTP/1.1", "blank-in-target"),
    ("GET /{id} HTTP/1.1 HTTP/1.1", "blank-in-target"),
    ("GET /{id}\tx HTTP/1.1", "blank-in-target"),
    ("GET /{id} HTTP/1.1, HTTP/1.1", "blank-in-target"),
    (" GET /{id} HTTP/1.1", "bad-method"),
    ("\tGET /{id} HTTP/1.1", "bad-method"),
    ("GET  HTTP/1.1", "malformed-request-line"),
    ("GET HTTP/1.1", "malformed-request-line"),
    ("/{id} HTTP/1.1", "bad-method"),
    ("HTTP/1.1 200 OK", "malformed-request-line"),
    ("HTTP/1.1", "malformed-request-line"),
    ("{id}", "malformed-request-line"),
    (":", "bad-method"),
    // Methods.
    ("get /{id} HTTP/1.1", "method-not-allowed"),
    ("Get /{id} HTTP/1.1", "method-not-allowed"),
    ("gET /{id} HTTP/1.1", "method-not-allowed"),
    ("put /{id} HTTP/1.1", "method-not-allowed"),
    ("GETX /{id} HTTP/1.1", "method-not-allowed"),
    ("GET_ /{id} HTTP/1.1", "method-not-allowed"),
    ("G-E-T /{id} HTTP/1.1", "method-not-allowed"),
    ("0 /{id} HTTP/1.1", "method-not-allowed"),
    ("PATCH /{id} HTTP/1.1", "method-not-allowed"),
    ("PROPFIND /{id} HTTP/1.1", "method-not-allowed"),
    ("TRACE /{id} HTTP/1.1", "method-not-allowed"),
    ("TRACK /{id} HTTP/1.1", "method-not-allowed"),
    ("DEBUG /{id} HTTP/1.1", "method-not-allowed"),
    ("PURGE /{id} HTTP/1.1", "method-not-allowed"),
    ("PRI /{id} HTTP/1.1", "method-not-allowed"),
    ("CONNECT /{id} HTTP/1.1", "connect-not-supported"),
    ("CONNECT localhost:9000 HTTP/1.1", "connect-not-supported"),
    (
        "CONNECT examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com:443 HTTP/1.1",
        "connect-not-supported",
    ),
    ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG /{id} HTTP/1.1", "bad-method"),
    ("GET: /{id} HTTP/1.1", "bad-method"),
    ("\"GET\" /{id} HTTP/1.1", "bad-method"),
    ("GE(T /{id} HTTP/1.1", "bad-method"),
    ("G\u{c9}T /{id} HTTP/1.1", "bad-method"),
    ("\u{ff27}ET /{id} HTTP/1.1", "bad-method"),
    ("GET\u{a0}/{id} HTTP/1.1", "bad-method"),
    ("\u{feff}GET /{id} HTTP/1.1", "bad-method"),
    // Targets.
    ("GET * HTTP/1.1", "bad-target"),
    ("OPTIONS * HTTP/1.1", "bad-target"),
    ("GET {id} HTTP/1.1", "bad-target"),
    ("GET ?{id} HTTP/1.1", "bad-target"),
    ("GET ../{id} HTTP/1.1", "bad-target"),
    ("GET \\{id} HTTP/1.1", "bad-target"),
    ("GET localhost:9000/{id} HTTP/1.1", "bad-target"),
    ("GET localhost:9000 HTTP/1.1", "bad-target"),
    ("GET /{id}#x HTTP/1.1", "fragment-in-target"),
    ("GET /{id}?a#b HTTP/1.1", "fragment-in-target"),
    ("GET #/{id} HTTP/1.1", "fragment-in-target"),
    ("GET /{id}% HTTP/1.1", "bad-escape"),
    ("GET /{id}%2 HTTP/1.1", "bad-escape"),
    ("GET /{id}%zz HTTP/1.1", "bad-escape"),
    ("GET /{id}%u0041 HTTP/1.1", "bad-escape"),
    ("GET /{id}?a=%0 HTTP/1.1", "bad-escape"),
    ("GET // HTTP/1.1", "path-collapses"),
    ("GET /{id}/.. HTTP/1.1", "path-collapses"),
    ("DELETE /{id}/%2e%2e/ HTTP/1.1", "path-collapses"),
    ("GET /{id}%2F.. HTTP/1.1", "path-collapses"),
    ("GET /{id}?a=1&A=2 HTTP/1.1", "repeated-parameter"),
    ("GET /{id}?prefix=1&prefix=2 HTTP/1.1", "repeated-parameter"),
    // Versions.
    ("GET /{id}", "http-0.9"),
    ("GET /{id} ", "malformed-request-line"),
    ("GET /{id} HTTP", "malformed-request-line"),
    ("GET /{id} HTTP/", "unsupported-version"),
    ("GET /{id} HTTP/1", "unsupported-version"),
    ("GET /{id} HTTP/1.", "unsupported-version"),
    ("GET /{id} HTTP/1.2", "unsupported-version"),
    ("GET /{id} HTTP/1.10", "unsupported-version"),
    ("GET /{id} HTTP/1.01", "unsupported-version"),
    ("GET /{id} HTTP/01.1", "unsupported-version"),
    ("GET /{id} HTTP/1.1.1", "unsupported-version"),
    ("GET /{id} HTTP/1,1", "unsupported-version"),
    ("GET /{id} HTTP/11", "unsupported-version"),
    ("GET /{id} HTTP/+1.1", "unsupported-version"),
    ("GET /{id} HTTP/-1.1", "unsupported-version"),
    ("GET /{id} HTTP/1.\u{ff11}", "unsupported-version"),
    ("GET /{id} HTTP/0.9", "unsupported-version"),
    ("GET /{id} HTTP/2", "unsupported-version"),
    ("GET /{id} HTTP/2.0", "unsupported-version"),
    ("GET /{id} HTTP/3", "unsupported-version"),
    ("GET /{id} HTTP/9.9", "unsupported-version"),
    ("GET /{id} http/1.1", "malformed-request-line"),
    ("GET /{id} Http/1.1", "malformed-request-line"),
    ("GET /{id} HTTPS/1.1", "malformed-request-line"),
    ("GET /{id} HTCPCP/1.0", "malformed-request-line"),
    ("GET /{id} XHTTP/1.1", "malformed-request-line"),
    ("GET /{id} /HTTP/1.1", "malformed-request-line"),
    ("GET /{id} \"HTTP/1.1\"", "malformed-request-line"),
    ("PRI * HTTP/2.0", "http2-preface"),
];

/// Targets that are legal, if unusual, and go on byte by byte.
const TARGETS: &[&str] = &[
    "/{id}/%2F//./x/../y",
    "//{id}/example.com/",
    "/{id}?a=b?c=d&e",
    "/{id}?",
    "/{id}|^`{}\\\"<>",
    "/{id}%20HTTP/1.1%0d%0aHost:%20x",
    "/{id}%00",
    "/{id}%0d%0a%0d%0aGET%20/x",
    "/{id}/\u{4e2d}\u{2028}\u{85}",
    "/{id};a=b,c@d:80",
    "/{id}/http://example.com/",
    "/{id}%252e%252e",
    "/{id}?versionId=+%2B&x=http%3A%2F%2Fh",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(line, why) in LINES {
        cases.push(Case::refused(shown(line), format!("{line}\r\n{HOST}"), why));
    }
    for target in TARGETS {
        let bytes = format!("GET {target} HTTP/1.1\r\n{HOST}");
        cases.push(Case::passes(shown(target), bytes).target(target));
    }
    for byte in (0..0x20).chain([0x7f]).filter(|b| !b"\t\n\r".contains(b)) {
        let odd = char::from(byte);
        let why = |at_start: bool| match byte {
            0x16 if at_start => "tls-on-plain-port",
            _ if at_start => "bad-method",
            _ => "control-byte",
        };
        for (place, line, at_start) in [
            ("first", format!("{odd}GET /{{id}} HTTP/1.1"), true),
            ("in the method", format!("G{odd}ET /{{id}} HTTP/1.1"), false),
            ("before the target", format!("GET {odd}/{{id}} HTTP/1.1"), false),
            ("in the target", format!("GET /{{id}}{odd} HTTP/1.1"), false),
            ("in the version", format!("GET /{{id}} HTTP/1.1{odd}"), false),
        ] {
            let name = format!("byte {byte:#04x} {place}");
            cases.push(Case::refused(name, format!("{line}\r\n{HOST}"), why(at_start)));
        }
    }
    let gbk = [b"GET /{id}\xd6\xd0 HTTP/1.1\r\n", HOST.as_bytes()].concat();
    let lone = [b"GET /{id}\xff HTTP/1.1\r\n", HOST.as_bytes()].concat();
    let long = format!("GET /{{id}}{} HTTP/1.1\r\n{HOST}", "a".repeat(17_000));
    let longest = format!("/{{id}}{}", "a".repeat(16_000));
    cases.extend([
        Case::refused("a target in GBK", gbk, "target-not-utf8"),
        Case::refused("a target with byte 0xff", lone, "target-not-utf8"),
        Case::refused("a target over the limit", long, "target-too-long"),
        Case::passes("a target within the limit", format!("GET {longest} HTTP/1.1\r\n{HOST}"))
            .target(&longest),
        Case::refused("endless words", "A".repeat(40_000), "target-too-long"),
        Case::refused(
            "an empty line first",
            format!("\r\nGET /{{id}} HTTP/1.1\r\n{HOST}"),
            "leading-empty-line",
        ),
        Case::refused(
            "many empty lines first",
            format!("\r\n\r\n\r\nGET /{{id}} HTTP/1.1\r\n{HOST}"),
            "leading-empty-line",
        ),
        Case::refused(
            "an LF first",
            format!("\nGET /{{id}} HTTP/1.1\r\n{HOST}"),
            "leading-empty-line",
        ),
        Case::refused(
            "a CR first",
            format!("\rGET /{{id}} HTTP/1.1\r\n{HOST}"),
            "leading-empty-line",
        ),
        Case::refused("an LF ends the line", format!("GET /{{id}} HTTP/1.1\n{HOST}"), "bare-lf"),
        Case::refused("a CR ends the line", format!("GET /{{id}} HTTP/1.1\r{HOST}"), "bare-cr"),
        Case::refused(
            "CR CR LF ends the line",
            format!("GET /{{id}} HTTP/1.1\r\r\n{HOST}"),
            "bare-cr",
        ),
        Case::refused("LF CR ends the line", format!("GET /{{id}} HTTP/1.1\n\r{HOST}"), "bare-lf"),
        Case::refused("LF in the target", format!("GET /{{id}}\nx HTTP/1.1\r\n{HOST}"), "bare-lf"),
        Case::refused("CR in the target", format!("GET /{{id}}\rx HTTP/1.1\r\n{HOST}"), "bare-cr"),
        Case::refused(
            "a line break in the target",
            format!("GET /{{id}}\r\nx HTTP/1.1\r\n{HOST}"),
            "http-0.9",
        ),
        Case::refused(
            "HTTP/2 with prior knowledge",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            "http2-preface",
        ),
        Case::refused(
            "TLS",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
            "tls-on-plain-port",
        ),
        Case::refused(
            "an answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "malformed-request-line",
        ),
        Case::refused("SOCKS 4", b"\x04\x01\0\x50\x7f\0\0\x01\0".to_vec(), "bad-method"),
        Case::refused("SOCKS 5", b"\x05\x01\0".to_vec(), "bad-method"),
        Case::refused(
            "PROXY protocol",
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /{{id}} HTTP/1.1\r\n{HOST}"),
            "malformed-request-line",
        ),
        Case::refused(
            "PROXY protocol 2",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec(),
            "leading-empty-line",
        ),
        Case::refused(
            "a header first",
            format!("Host: localhost:9000\r\nGET /{{id}} HTTP/1.1\r\n{HOST}"),
            "http-0.9",
        ),
        Case::passes("HTTP/1.0", format!("GET /{{id}} HTTP/1.0\r\n{HOST}")).then(Then::Closed),
        Case::passes(
            "HTTP/1.0, kept",
            format!("GET /{{id}} HTTP/1.0\r\nConnection: Keep-Alive\r\n{HOST}"),
        ),
        Case::refused("HTTP/1.0 without a host", "GET /{id} HTTP/1.0\r\n\r\n", "bad-host"),
    ]);
    cases
}
