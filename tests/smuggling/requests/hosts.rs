//! `Host`, absolute targets, and one against the other.

use super::super::case::{Case, shown};

const BUCKET: &str = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";

/// Values of the only Host, and why they are refused.
const HOSTS: &[(&str, &str)] = &[
    ("", "bad-host"),
    ("localhost 9000", "bad-host"),
    ("localhost:9000 example.com", "bad-host"),
    ("localhost, example.com", "bad-host"),
    ("localhost,localhost", "bad-host"),
    ("localhost:", ""),
    ("localhost:x", "bad-host"),
    ("localhost:+80", "bad-host"),
    ("localhost:-1", "bad-host"),
    ("localhost:0x50", "bad-host"),
    ("localhost:65536", "bad-host"),
    ("localhost:99999999999999999999", "bad-host"),
    ("localhost:80:80", "bad-host"),
    ("localhost:80/", "bad-host"),
    ("localhost/{id}", "bad-host"),
    ("localhost?x", "bad-host"),
    ("localhost#x", "bad-host"),
    ("localhost\\@example.com", "bad-host"),
    ("user@localhost", "bad-host"),
    ("user:pw@localhost:9000", "bad-host"),
    ("http://localhost:9000", "bad-host"),
    ("//localhost", "bad-host"),
    ("[::1", "bad-host"),
    ("[::1]x", "bad-host"),
    ("[::1]:x", "bad-host"),
    ("::1", "bad-host"),
    ("[localhost]", "bad-host"),
    ("localhost..", "misdirected"),
    (".localhost", "bad-host"),
    ("a..localhost", "bad-host"),
    (":9000", "bad-host"),
    ("*", "bad-host"),
    ("local%68ost", "bad-host"),
    ("localhost%00.example.com", "bad-host"),
    ("l\u{f6}calhost", "bad-host"),
    ("\"localhost\"", "bad-host"),
    ("localhost;", "bad-host"),
    ("localhost\0", "control-byte"),
    ("localhost\0.example.com", "control-byte"),
    ("local\x0bhost", "control-byte"),
    ("localhost\r\n example.com", "folded-line"),
    ("localhost\nX: y", "bare-lf"),
    ("localhost\rX: y", "bare-cr"),
    ("example.com", "misdirected"),
    ("localhost.example.com", "misdirected"),
    ("localhostx", "misdirected"),
    ("0x7f000001", "misdirected"),
    ("127.1", "misdirected"),
    ("2130706433", "misdirected"),
    ("169.254.169.254", "misdirected"),
    ("examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com.example.com", "misdirected"),
    ("cos.ap-guangzhou.myqcloud.com.example.com", "misdirected"),
    ("metadata.tencentyun.com", "misdirected"),
    ("localhost:09000", ""),
    ("LOCALHOST:9000", ""),
    ("localhost.", ""),
    ("127.0.0.1", ""),
    ("[::1]:9000", ""),
    (" localhost\t ", ""),
    ("EXAMPLEBUCKET-1250000000.cos.ap-guangzhou.myqcloud.com", ""),
    ("examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com:80", ""),
    ("examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com.", ""),
    ("examplebucket-1250000000.localhost", ""),
];

/// An absolute target, the Host beside it, and why they are refused.
const ABSOLUTE: &[(&str, &str, &str)] = &[
    ("http://localhost:9000/{id}", "localhost:9000", ""),
    ("HTTP://LOCALHOST:9000/{id}", "localhost:9000", ""),
    ("https://localhost/{id}", "localhost", ""),
    ("http://localhost:9000/{id}", "localhost", ""),
    ("http://localhost:80/{id}", "localhost", ""),
    ("http://localhost/{id}", "localhost:80", ""),
    ("http://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/{id}", BUCKET, ""),
    ("http://localhost/{id}", "localhost:9000", "host-mismatch"),
    ("http://localhost:9000/{id}", "localhost:9001", "host-mismatch"),
    ("http://localhost:9000/{id}", "example.com", "host-mismatch"),
    ("http://example.com/{id}", "localhost:9000", "host-mismatch"),
    ("http://example.com/{id}", "example.com", "misdirected"),
    ("http://localhost:9000/{id}", BUCKET, "host-mismatch"),
    ("http://otherbucket-1250000000.cos.ap-guangzhou.myqcloud.com/{id}", BUCKET, "host-mismatch"),
    (
        "http://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/{id}",
        "localhost:9000",
        "host-mismatch",
    ),
    ("http://127.0.0.1/{id}", "localhost", "host-mismatch"),
    ("http://localhost:9000/{id}", "", "bad-host"),
    ("http://localhost:9000/{id}", "localhost:9000, example.com", "bad-host"),
    ("http://user@localhost:9000/{id}", "localhost:9000", "bad-target"),
    ("http://user:pw@localhost:9000/{id}", "localhost:9000", "bad-target"),
    ("http://localhost:9000@example.com/{id}", "localhost:9000", "bad-target"),
    ("http://@localhost:9000/{id}", "localhost:9000", "bad-target"),
    ("http:///{id}", "localhost:9000", "bad-target"),
    ("http:/{id}", "localhost:9000", "bad-target"),
    ("http:{id}", "localhost:9000", "bad-target"),
    ("http//localhost/{id}", "localhost:9000", "bad-target"),
    ("http:\\\\localhost\\{id}", "localhost:9000", "bad-target"),
    ("//localhost:9000@example.com/{id}", "localhost:9000", "//localhost:9000@example.com/{id}"),
    ("ftp://localhost/{id}", "localhost:9000", "bad-target"),
    ("file:///{id}", "localhost:9000", "bad-target"),
    ("ws://localhost:9000/{id}", "localhost:9000", "bad-target"),
    ("httpx://localhost:9000/{id}", "localhost:9000", "bad-target"),
    ("xhttp://localhost:9000/{id}", "localhost:9000", "bad-target"),
    ("javascript:{id}", "localhost:9000", "bad-target"),
    ("http://localhost:x/{id}", "localhost:9000", "bad-host"),
    ("http://localhost:65536/{id}", "localhost:9000", "bad-host"),
    ("http://[::1/{id}", "localhost:9000", "bad-host"),
    ("http://local%68ost:9000/{id}", "localhost:9000", "bad-host"),
    ("http://localhost:9000,example.com/{id}", "localhost:9000", "bad-host"),
    ("http://localhost\\{id}", "localhost:9000", "bad-host"),
    ("http://localhost:9000#/{id}", "localhost:9000", "fragment-in-target"),
    ("http://localhost:9000/{id}#x", "localhost:9000", "fragment-in-target"),
];

/// What stands in the place of the one Host line.
const LINES: &[(&str, &str)] = &[
    ("X: y", "missing-host"),
    ("Host: localhost:9000\r\nHost: localhost:9000", "duplicate-host"),
    ("Host: localhost:9000\r\nHost: example.com", "duplicate-host"),
    ("Host: example.com\r\nHost: localhost:9000", "duplicate-host"),
    ("Host: localhost:9000\r\nX: y\r\nhost: example.com", "duplicate-host"),
    ("HOST: localhost:9000\r\nhOST:", "duplicate-host"),
    ("Host:\r\nHost: localhost:9000", "duplicate-host"),
    ("Host: localhost:9000\r\nHost : example.com", "blank-before-colon"),
    ("Host : localhost:9000", "blank-before-colon"),
    ("Host\t: localhost:9000", "blank-before-colon"),
    ("Host:\r\n localhost:9000", "folded-line"),
    ("Host localhost:9000", "bad-field-name"),
    ("Host", "missing-colon"),
    ("Host= localhost", "missing-colon"),
    ("X-Host: localhost:9000", "missing-host"),
    ("Hos\u{165}: localhost:9000", "bad-field-name"),
    ("\"Host\": localhost:9000", "bad-field-name"),
    ("X-Forwarded-Host: localhost:9000\r\nForwarded: host=localhost", "missing-host"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let with = |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\n{lines}\r\n\r\n");
    for &(host, why) in HOSTS {
        let name = format!("Host {}", shown(host));
        let bytes = with("/{id}", &format!("Host: {host}"));
        cases.push(if why.is_empty() {
            Case::passes(name, bytes)
        } else {
            Case::refused(name, bytes, why)
        });
    }
    for &(target, host, why) in ABSOLUTE {
        let name = format!("{} for Host {host:?}", shown(target));
        let bytes = with(target, &format!("Host: {host}"));
        cases.push(match why {
            "" => Case::passes(name, bytes),
            path if path.starts_with('/') => Case::passes(name, bytes).target(path),
            why => Case::refused(name, bytes, why),
        });
    }
    for &(lines, why) in LINES {
        cases.push(Case::refused(shown(lines), with("/{id}", lines), why));
        let old = with("/{id}", lines).replace("HTTP/1.1", "HTTP/1.0");
        let why = if why == "missing-host" { "bad-host" } else { why };
        cases.push(Case::refused(format!("HTTP/1.0, {}", shown(lines)), old, why));
        let absolute = with("http://localhost:9000/{id}", lines);
        let why = if why == "bad-host" { "missing-host" } else { why };
        cases.push(Case::refused(format!("absolute, {}", shown(lines)), absolute, why));
    }
    cases
}
