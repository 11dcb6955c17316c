//! Request targets: kept byte for byte, or refused for a reason that a second look confirms; what is
//! signed is what a second decoder finds in the target that is sent.

use std::collections::BTreeSet;

use cos_auth_proxy::{
    proxy::{Gate, Operation, Reason},
    sign::canonical::{decode_form_into, decode_path_into, encode_into, encode_name_into},
};

use super::{
    gates::{self, BUCKET, PREFIX, Sent},
    plain::split,
};

/// One request target.
pub fn check(target: &[u8]) {
    check_canonical_form(target);
    // That would be a request of its own; `request_head` knows about those.
    if target.iter().any(|b| b" \r\n".contains(b)) {
        return;
    }
    let own = b"Host: localhost:9000\r\n";
    for method in ["GET", "PUT", "DELETE"] {
        check_kept(target, method, gates::key_style(), own, b"");
        let bucket = format!("/{BUCKET}");
        let in_bucket = [bucket.as_bytes(), target].concat();
        if target.starts_with(b"/") {
            check_kept(&in_bucket, method, gates::bucket_style(), own, bucket.as_bytes());
        }
        if let Ok(sent) = send(method, target, own, gates::routed()) {
            check_under_route(&sent);
        }
        // As clients of a forward proxy send it, and with COS's own name as the host.
        let _ = send(method, target, b"", gates::bucket_style());
        let cos = b"Host: test-1250000000.cos.ap-guangzhou.myqcloud.com\r\n";
        check_kept(target, method, gates::bucket_style(), cos, b"");
    }
}

fn send(method: &str, target: &[u8], host: &[u8], gate: &Gate) -> Result<Sent, Reason> {
    let line = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
    gates::send(gate, &[&line[..], host, b"\r\n"].concat())
}

/// What is encoded decodes to itself, and encoding has one result.
fn check_canonical_form(bytes: &[u8]) {
    let made = |write: fn(&[u8], &mut Vec<u8>), bytes: &[u8]| {
        let mut out = Vec::new();
        write(bytes, &mut out);
        out
    };
    let encoded = made(encode_into, bytes);
    assert_eq!(made(decode_path_into, &encoded), bytes);
    assert_eq!(made(decode_form_into, &encoded), bytes);
    assert_eq!(made(encode_name_into, bytes), encoded.to_ascii_lowercase());
    assert_eq!(made(decode_path_into, bytes), decoded(bytes));
    assert_eq!(made(decode_form_into, bytes), form_decoded(bytes));
    for decode in [decode_path_into, decode_form_into] {
        let canonical = made(encode_into, &made(decode, bytes));
        assert_eq!(made(encode_into, &made(decode, &canonical)), canonical, "not stable");
    }
}

/// `removed` stands before what is to be sent and names the bucket.
fn check_kept(target: &[u8], method: &str, gate: &Gate, host: &[u8], removed: &[u8]) {
    if !target.starts_with(b"/") {
        let _ = send(method, target, host, gate);
        return;
    }
    let rest = &target[removed.len()..];
    let (path, query) = path_and_query(rest);
    let sent = match send(method, target, host, gate) {
        Ok(sent) => sent,
        Err(reason) => return check_refused(target, path, query, reason),
    };
    let (sent_path, sent_query) = path_and_query(&sent.target);
    assert_eq!(sent_path, if path.is_empty() { b"/" } else { path }, "the path has changed");
    let asks_or_destroys = method != "PUT";
    assert!(!asks_or_destroys || sent_path == b"/" || !collapses(sent_path), "names the bucket");

    let (before, after) = (parameters(query), parameters(sent_query));
    if !before.iter().any(|p| brings_authority(p)) {
        assert_eq!(&sent.target[sent_path.len()..], without_path(rest, path), "the query changed");
    }
    assert!(!after.iter().any(|p| is_authority(p)), "a client's authority is sent on");
    let mut kept = after.iter();
    let mut next = kept.next();
    for parameter in &before {
        if next == Some(parameter) {
            next = kept.next();
        } else {
            assert!(brings_authority(parameter), "{} is lost", parameter.escape_ascii());
        }
    }
    assert_eq!(next, None, "a parameter was added, or moved");
    let names: BTreeSet<_> = before.iter().map(|p| name_of(p)).collect();
    assert_eq!(names.len(), before.len(), "a name was sent twice");
}

/// A refusal of a well-formed origin-form target must have a cause that stands in the target.
fn check_refused(target: &[u8], path: &[u8], query: &[u8], reason: Reason) {
    let visible = target.iter().all(|b| *b > b' ' && *b != 0x7f && *b != b'#');
    if !visible || std::str::from_utf8(target).is_err() || target.len() > 8 * 1024 {
        return;
    }
    let parameters = parameters(query);
    let names: BTreeSet<_> = parameters.iter().map(|p| name_of(p)).collect();
    let causes = [
        (Reason::BadEscape, has_bad_escape(target)),
        (Reason::PathCollapses, collapses(path)),
        (Reason::RepeatedParameter, names.len() < parameters.len()),
        (Reason::TooManyParameters, parameters.len() > 256),
    ];
    let right = causes.contains(&(reason, true));
    assert!(right, "refused without a cause: {reason:?}");
}

/// Nothing outside the prefix of the route is touched.
fn check_under_route(sent: &Sent) {
    let (path, query) = path_and_query(&sent.target);
    let path = decoded(path);
    if path != b"/" {
        let key = path.strip_prefix(b"/").expect("a path");
        assert!(key.starts_with(PREFIX.as_bytes()), "outside: {}", key.escape_ascii());
        let dots = |segment: &&[u8]| *segment == b"." || *segment == b"..";
        assert!(!split(key, b"/").iter().any(dots), "leaves: {}", key.escape_ascii());
        return;
    }
    if sent.operation == Operation::HeadBucket {
        return;
    }
    let prefix = parameters(query).into_iter().find(|p| raw_name(p) == b"prefix");
    let prefix = prefix.map(|p| form_decoded(p.get(name_len(p) + 1..).unwrap_or_default()));
    let under = prefix.as_ref().is_some_and(|p| p.starts_with(PREFIX.as_bytes()));
    assert!(under, "{:?} of {prefix:?}", sent.operation);
}

fn path_and_query(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|&b| b == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, b""),
    }
}

fn without_path<'b>(target: &'b [u8], path: &[u8]) -> &'b [u8] {
    &target[path.len()..]
}

fn parameters(query: &[u8]) -> Vec<&[u8]> {
    split(query, b"&").into_iter().filter(|p| !p.is_empty()).collect()
}

fn name_len(parameter: &[u8]) -> usize {
    parameter.iter().position(|&b| b == b'=').unwrap_or(parameter.len())
}

/// The decoded name; case as sent.
fn raw_name(parameter: &[u8]) -> Vec<u8> {
    form_decoded(&parameter[..name_len(parameter)])
}

/// The name as signers compare it.
fn name_of(parameter: &[u8]) -> Vec<u8> {
    raw_name(parameter).to_ascii_lowercase()
}

/// Whether a parameter may be cut out, because it can belong to a client's own signature.
fn brings_authority(parameter: &[u8]) -> bool {
    let name = name_of(parameter);
    let extras =
        ["token", "clientip", "clientua", "awsaccesskeyid", "signature", "expires", "sign"];
    let prefixes = [&b"q-"[..], b"x-amz-", b"x-cos-security-", b"x-ci-security-"];
    extras.iter().any(|extra| extra.as_bytes() == name)
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a parameter is authority for certain, and must not be sent on.
fn is_authority(parameter: &[u8]) -> bool {
    let name = name_of(parameter);
    let always = [
        "q-signature",
        "q-ak",
        "q-sign-algorithm",
        "x-cos-security-token",
        "x-ci-security-token",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-credential",
    ];
    always.iter().any(|one| one.as_bytes() == name)
}

/// Whether dot segments and empty segments leave nothing of a path.
fn collapses(path: &[u8]) -> bool {
    let decoded = decoded(path);
    let mut stack = Vec::new();
    for segment in split(&decoded, b"/") {
        match segment {
            b"" | b"." => {}
            b".." => drop(stack.pop()),
            name => stack.push(name),
        }
    }
    stack.is_empty()
}

fn has_bad_escape(text: &[u8]) -> bool {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    (0..text.len()).any(|at| text[at] == b'%' && !(digit(at + 1) && digit(at + 2)))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        match digits.and_then(|d| std::str::from_utf8(d).ok()) {
            Some(digits) if text[at] == b'%' => {
                out.push(u8::from_str_radix(digits, 16).expect("two digits"));
                at += 3;
            }
            _ => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

fn form_decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    decoded(&spaced)
}
