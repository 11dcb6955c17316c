//! `Transfer-Encoding` in every spelling, alone, before and after a `Content-Length`.

use super::super::case::{Case, put, request, shown};

const PASSES: &str = "";
const BODY: &str = "5\r\nhello\r\n0\r\n\r\n";

/// A line, and why it is refused, if it is.
const LINES: &[(&str, &str)] = &[
    ("Transfer-Encoding: chunked", PASSES),
    ("transfer-encoding: chunked", PASSES),
    ("TRANSFER-ENCODING: CHUNKED", PASSES),
    ("tRANSFER-eNCODING: cHuNkEd", PASSES),
    ("Transfer-Encoding:chunked", PASSES),
    ("Transfer-Encoding:  chunked  ", PASSES),
    ("Transfer-Encoding:\tchunked", PASSES),
    ("Transfer-Encoding: chunked\t", PASSES),
    ("Transfer-Encoding: \t chunked \t ", PASSES),
    ("Transfer-Encoding: chunked,", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: ,chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: , chunked ,", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked, chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked,chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked, identity", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: identity, chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: identity", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: gzip, chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: gzip", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: deflate", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: xchunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunkedx", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: x chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked x", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chun ked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunk", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked;q=1", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked; q=0", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked;", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: \"chunked\"", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: 'chunked'", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: (chunked)", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked(x)", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: =chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: :chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding:: chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked:", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: %63hunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: =?utf-8?q?chunked?=", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked\u{a0}", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: \u{a0}chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked\u{2028}", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: \u{feff}chunked", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chun\u{212a}ed", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: c\u{68}unke\u{ff44}", "unsupported-transfer-encoding"),
    ("Transfer-Encoding:", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: ,", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: 0", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: none", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: null", "unsupported-transfer-encoding"),
    ("Transfer-Encoding: chunked\0", "control-byte"),
    ("Transfer-Encoding: \0chunked", "control-byte"),
    ("Transfer-Encoding: chun\0ked", "control-byte"),
    ("Transfer-Encoding: chunked\x08", "control-byte"),
    ("Transfer-Encoding: \x0bchunked", "control-byte"),
    ("Transfer-Encoding: chunked\x0b", "control-byte"),
    ("Transfer-Encoding:\x0cchunked", "control-byte"),
    ("Transfer-Encoding: chunked\x1f", "control-byte"),
    ("Transfer-Encoding: chunked\x7f", "control-byte"),
    ("Transfer-Encoding\0: chunked", "control-byte"),
    ("Transfer-Encoding\x0b: chunked", "control-byte"),
    ("\0Transfer-Encoding: chunked", "control-byte"),
    ("Transfer-Encoding : chunked", "blank-before-colon"),
    ("Transfer-Encoding\t: chunked", "blank-before-colon"),
    ("Transfer-Encoding  \t : chunked", "blank-before-colon"),
    ("Transfer Encoding: chunked", "bad-field-name"),
    ("Transfer-\u{ad}Encoding: chunked", "bad-field-name"),
    ("Transfer\u{2010}Encoding: chunked", "bad-field-name"),
    ("\u{ff34}ransfer-Encoding: chunked", "bad-field-name"),
    ("Transfer-Encoding\u{a0}: chunked", "bad-field-name"),
    ("\"Transfer-Encoding\": chunked", "bad-field-name"),
    ("(Transfer-Encoding): chunked", "bad-field-name"),
    ("Transfer-Encoding;: chunked", "bad-field-name"),
    ("Transfer-Encoding,: chunked", "bad-field-name"),
    ("Transfer-Encoding=: chunked", "bad-field-name"),
    ("[Transfer-Encoding]: chunked", "bad-field-name"),
    ("Transfer/Encoding: chunked", "bad-field-name"),
    ("Transfer_Encoding: chunked", "lookalike-header"),
    ("TRANSFER_ENCODING: chunked", "lookalike-header"),
    ("Transfer-Encoding", "missing-colon"),
    ("Transfer-Encoding chunked", "missing-colon"),
    ("Transfer-Encoding; chunked", "missing-colon"),
    ("Transfer-Encoding= chunked", "missing-colon"),
    ("Transfer-Encoding\u{ff1a} chunked", "missing-colon"),
    (" Transfer-Encoding: chunked", "folded-line"),
    ("\tTransfer-Encoding: chunked", "folded-line"),
    ("Transfer-Encoding:\r\n chunked", "folded-line"),
    ("Transfer-Encoding:\r\n\tchunked", "folded-line"),
    ("Transfer-Encoding: chunked\r\n ", "folded-line"),
    ("Transfer-Encoding: chunked\r\n , identity", "folded-line"),
    ("X: y\r\n Transfer-Encoding: chunked", "folded-line"),
    ("Transfer-Encoding: chunked\n", "bare-lf"),
    ("Transfer-Encoding:\nchunked", "bare-lf"),
    ("Transfer-Encoding:\n chunked", "bare-lf"),
    ("X: y\nTransfer-Encoding: chunked", "bare-lf"),
    ("Transfer-Encoding: chunked\nX: y", "bare-lf"),
    ("\nTransfer-Encoding: chunked", "bare-lf"),
    ("Transfer-Encoding: chunked\r", "bare-cr"),
    ("Transfer-Encoding:\rchunked", "bare-cr"),
    ("X: y\rTransfer-Encoding: chunked", "bare-cr"),
    ("Transfer-Encoding: chunked\rX: y", "bare-cr"),
    ("\rTransfer-Encoding: chunked", "bare-cr"),
];

/// Two lines that are together what neither is alone.
const PAIRS: &[(&str, &str, &str)] = &[
    ("chunked", "chunked", "duplicate-transfer-encoding"),
    ("chunked", "identity", "unsupported-transfer-encoding"),
    ("identity", "chunked", "unsupported-transfer-encoding"),
    ("gzip", "chunked", "unsupported-transfer-encoding"),
    ("chunked", "gzip", "unsupported-transfer-encoding"),
    ("chunked", "", "unsupported-transfer-encoding"),
    ("", "chunked", "unsupported-transfer-encoding"),
    ("x", "chunked", "unsupported-transfer-encoding"),
    ("chunked", "x", "unsupported-transfer-encoding"),
    ("chunked", "CHUNKED", "duplicate-transfer-encoding"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(line, why) in LINES {
        let name = shown(line);
        let beside = if why == PASSES { "length-and-chunked" } else { why };
        let alone = put(&[line], BODY);
        cases.push(match why {
            PASSES => Case::passes(name.clone(), alone).body("hello"),
            why => Case::refused(name.clone(), alone, why),
        });
        let before = put(&["Content-Length: 5", line], BODY);
        cases.push(Case::refused(format!("Content-Length, {name}"), before, beside));
        // Its framing ends after the 5 bytes for one reader and later for another.
        let after = put(&[line, "X-Between: 1", "Content-Length: 15"], BODY);
        cases.push(Case::refused(format!("{name}, Content-Length"), after, beside));
    }
    for &(first, second, why) in PAIRS {
        for second_name in ["Transfer-Encoding", "transfer-encoding"] {
            let first = format!("Transfer-Encoding: {first}");
            let second = format!("{second_name}: {second}");
            let bytes = put(&[&first, "X-Between: 1", &second], BODY);
            cases.push(Case::refused(format!("{first}; {second}"), bytes, why));
        }
    }
    let te = "Transfer-Encoding: chunked";
    let old = |lines: &[&str]| {
        let bytes = put(lines, BODY);
        String::from_utf8_lossy(&bytes).replace("HTTP/1.1", "HTTP/1.0").into_bytes()
    };
    let keep = "Connection: keep-alive";
    cases.extend([
        Case::refused("chunked on HTTP/1.0", old(&[te]), "chunked-on-http10"),
        Case::refused("chunked on HTTP/1.0, kept", old(&[keep, te]), "chunked-on-http10"),
        Case::refused("both on HTTP/1.0", old(&["Content-Length: 5", te]), "length-and-chunked"),
        Case::refused(
            "length 0 and chunked",
            put(&["Content-Length: 0", te], BODY),
            "length-and-chunked",
        ),
        Case::refused(
            "chunked and length 0",
            put(&[te, "Content-Length: 0"], BODY),
            "length-and-chunked",
        ),
        Case::refused(
            "chunked, empty length",
            put(&[te, "Content-Length:"], BODY),
            "bad-content-length",
        ),
        Case::refused(
            "chunked, signed length",
            put(&[te, "Content-Length: +5"], BODY),
            "bad-content-length",
        ),
        Case::refused(
            "chunked, blank length",
            put(&[te, "Content-Length : 5"], BODY),
            "blank-before-colon",
        ),
        Case::refused(
            "chunked, other length",
            put(&[te, "Content_Length: 5"], BODY),
            "lookalike-header",
        ),
        Case::refused(
            "chunked in a POST with both",
            request("POST", &[te, "Content-Length: 5"], BODY),
            "length-and-chunked",
        ),
        Case::passes(
            "a header that only looks similar",
            put(&["X-Transfer-Encoding: chunked", "Content-Length: 5"], "hello"),
        )
        .body("hello"),
        Case::passes(
            "TE is about this hop",
            put(&["TE: chunked, trailers", "Content-Length: 5"], "hello"),
        )
        .body("hello"),
    ]);
    cases
}
