//! Names that others might take for another name, and names that `Connection` makes disappear.

use super::super::case::{Case, Then, get, put, shown};

/// Names that would count if `_` were `-`.
const LOOKALIKES: &[&str] = &[
    "x_cos_security_token",
    "X_COS_SECURITY_TOKEN",
    "x-cos-security_token",
    "x-cos_security-token",
    "x_ci_security_token",
    "x_amz_security_token",
    "x_cos_acl",
    "x-cos_acl",
    "x_cos_meta_a",
    "x_cos-copy-source",
    "x-cos-copy_source",
    "x_ci_process",
    "content_type",
    "Content_MD5",
    "content_encoding",
    "if_match",
    "If_None_Match",
    "if_modified_since",
    "cache_control",
    "pic_operations",
    "proxy_authorization",
    "keep_alive",
    "http2_settings",
];

/// Names that are no names.
const BROKEN: &[(&str, &str)] = &[
    ("Authorization : a", "blank-before-colon"),
    ("Authorization\t: a", "blank-before-colon"),
    (" Authorization: a", "folded-line"),
    ("Authorization\0: a", "control-byte"),
    ("Auth\u{43e}rization: a", "bad-field-name"),
    ("Authorization\u{a0}: a", "bad-field-name"),
    ("Author ization: a", "bad-field-name"),
    ("Authorization", "missing-colon"),
    ("x-cos-security-token : a", "blank-before-colon"),
    ("x cos security token: a", "bad-field-name"),
    ("x-cos-security-t\u{212a}en: a", "bad-field-name"),
    ("x-cos-acl\x0b: a", "control-byte"),
    ("x\u{2010}cos\u{2010}acl: a", "bad-field-name"),
    ("Host : example.com", "blank-before-colon"),
    ("Ho st: example.com", "bad-field-name"),
    ("H\u{3bf}st: example.com", "bad-field-name"),
    ("Host\0: example.com", "control-byte"),
];

/// A client's own authority, in any spelling: it ends here, and ours is the only one.
const AUTHORITY: &[&str] = &[
    "Authorization: q-sign-algorithm=sha1&q-ak=AKIDother",
    "authorization: Bearer x",
    "AUTHORIZATION: AWS4-HMAC-SHA256 Credential=x",
    "Authorization:",
    "Authorization: a\r\nAuthorization: b",
    "Authorization: a\r\nX: y\r\nauthorization: b",
    "x-cos-security-token: other",
    "X-Cos-Security-Token: other\r\nx-cos-security-token: another",
    "x-ci-security-token: other",
    "x-amz-security-token: other",
    "Proxy-Authorization: Basic x",
    "Proxy-Connection: keep-alive",
    "Proxy-Anything: x",
    "Keep-Alive: timeout=5",
    "TE: trailers",
    "Trailer: Content-Length",
    "Via: 1.1 x\r\nX-Forwarded-Host: example.com\r\nForwarded: host=example.com",
    "X-HTTP-Method-Override: DELETE",
    "x-cos-meta-my_key: a",
    "X_Request_Id: a",
];

/// What must not be dropped on the way: every header that is signed or decides who and where.
const END_TO_END: &[&str] = &[
    "host",
    "Host",
    "authorization",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-md5",
    "content-encoding",
    "content-disposition",
    "cache-control",
    "expires",
    "expect",
    "range",
    "origin",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "pic-operations",
    "date",
    "cookie",
    "x-cos-security-token",
    "X-COS-ACL",
    "x-cos-meta-a",
    "x-cos-copy-source",
    "x-ci-process",
];

/// Lists that are no lists of names.
const NO_LISTS: &[&str] = &[
    "close; x=y",
    "keep alive",
    "\"close\"",
    "close\u{a0}",
    "a/b",
    "keep-alive=5",
    "clo\u{17f}e",
    "a:b",
    "(close)",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in LOOKALIKES {
        cases.push(Case::refused(*name, get(&[&format!("{name}: a")]), "lookalike-header"));
    }
    for &(line, why) in BROKEN {
        cases.push(Case::refused(shown(line), get(&[line]), why));
    }
    for line in AUTHORITY {
        cases.push(Case::passes(shown(line), get(&[line])));
    }
    for name in END_TO_END {
        for list in
            [(*name).to_owned(), format!("keep-alive, {name}"), format!("X-A,\t{name} , X-B")]
        {
            let lines = [format!("Connection: {list}"), "Content-Length: 5".to_owned()];
            let bytes = put(&[&lines[0], &lines[1]], "hello");
            cases.push(Case::refused(
                format!("Connection: {list}"),
                bytes,
                "connection-names-end-to-end",
            ));
        }
    }
    for list in NO_LISTS {
        let bytes = get(&[&format!("Connection: {list}")]);
        cases.push(Case::refused(format!("Connection: {}", shown(list)), bytes, "bad-connection"));
    }
    cases.extend([
        Case::passes(
            "Connection drops what is this hop's",
            get(&["Connection: X-Hop", "X-Hop: 1"]),
        ),
        Case::passes("Connection with empty elements", get(&["Connection: , ,keep-alive,,"])),
        Case::passes("Connection says close", get(&["Connection: close"])).then(Then::Closed),
        Case::passes(
            "Connection says close among others",
            get(&["Connection: X-A, CLOSE, keep-alive"]),
        )
        .then(Then::Closed),
        Case::passes(
            "a second Connection says close",
            get(&["Connection: keep-alive", "connection: close"]),
        )
        .then(Then::Closed),
        Case::refused(
            "a signed header twice",
            get(&["Range: bytes=0-1", "range: bytes=2-3"]),
            "repeated-header",
        ),
        Case::refused(
            "a COS header twice",
            get(&["x-cos-acl: private", "X-Cos-Acl: public-read"]),
            "repeated-header",
        ),
        Case::passes("a list twice is one list", get(&["If-Match: \"a\"", "if-match: \"b\""])),
        Case::refused("another site's page", get(&["Origin: http://example.com"]), "cross-site"),
        Case::refused(
            "aws-chunked",
            put(&["Content-Encoding: gzip, aws-chunked", "Content-Length: 5"], "hello"),
            "aws-chunked",
        ),
        Case::refused(
            "aws-chunked by its digest",
            put(
                &["x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Length: 5"],
                "hello",
            ),
            "aws-chunked",
        ),
    ]);
    cases
}
