//! Request heads: found alike however they arrive; what is accepted says one thing only, and says
//! it again when it is written anew.

use std::mem::MaybeUninit;

use cos_auth_proxy::http1::{
    Body, HeadScan, Limits, RequestFault, RequestHead, Version, read_request,
};

use super::{
    cuts::{cuts, scan_in_pieces},
    plain::{Plain, is_token, version_text, written},
    reading::LIMITS,
};

/// So small that ordinary heads meet every limit.
const SMALL: Limits = Limits { head_bytes: 128, fields: 3, target_bytes: 24 };

/// One head, perhaps with more behind it.
pub fn check(bytes: &[u8]) {
    for limits in [LIMITS, SMALL] {
        let found = scan(bytes, &[], &limits);
        assert_eq!(scan(bytes, &cuts(bytes), &limits), found, "pieces change the result");
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(scan(bytes, &every_byte, &limits), found, "single bytes change the result");
        if let Ok(HeadScan::Complete(end)) = found {
            assert!(end <= bytes.len() && end <= limits.head_bytes, "{end}");
            let first = bytes.windows(4).position(|w| w == b"\r\n\r\n");
            assert_eq!(first.map(|at| at + 4), Some(end), "the head ends elsewhere");
            let _ = read(&bytes[..end], &limits);
        }
        if read(bytes, &limits).is_ok() {
            assert_eq!(found, Ok(HeadScan::Complete(bytes.len())), "the scanner disagrees");
        }
    }
}

fn scan(bytes: &[u8], cuts: &[usize], limits: &Limits) -> Result<HeadScan, RequestFault> {
    scan_in_pieces(bytes, cuts, |scanner, piece| scanner.scan(piece, limits))
}

/// Reads a head and, if it is accepted, holds it against the plain reading.
fn read(bytes: &[u8], limits: &Limits) -> Result<(), RequestFault> {
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let head = read_request(bytes, &mut slots, limits).inspect_err(|fault| {
        assert!((400..=505).contains(&fault.status()) && !fault.name().is_empty());
    })?;
    let plain = Plain::read(bytes);
    let line = format!("{} ", head.method).into_bytes();
    let line = [&line[..], head.target, b" ", version_text(head.version).as_bytes()].concat();
    assert_eq!(plain.start, line);
    plain.assert_same_fields(head.fields);
    check_words(&head, limits);
    check_meaning(&head, &plain);

    let again = written(&line, head.fields);
    let roomy = Limits { head_bytes: 2 * limits.head_bytes, ..*limits };
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let read_again = read_request(&again, &mut slots, &roomy).expect("what was accepted before");
    assert_eq!(format!("{head:?}"), format!("{read_again:?}"), "it means something else");
    Ok(())
}

fn check_words(head: &RequestHead<'_, '_>, limits: &Limits) {
    assert!(is_token(head.method.as_bytes()) && head.method.len() <= 32, "{}", head.method);
    let bad = |b: &u8| *b <= b' ' || *b == 0x7f || *b == b'#';
    let target = std::str::from_utf8(head.target).expect("a target is UTF-8");
    assert!(!target.is_empty() && !target.bytes().any(|b| bad(&b)), "{target:?}");
    assert!(target.len() <= limits.target_bytes && head.fields.len() <= limits.fields);
}

fn check_meaning(head: &RequestHead<'_, '_>, plain: &Plain<'_>) {
    let hosts = plain.values("host").len();
    assert!(hosts == 1 || (hosts == 0 && head.version == Version::Http10), "{hosts} hosts");
    assert_eq!(head.body, plain.framing(head.version).unwrap_or(Body::None));
    assert_eq!(head.keep_alive, plain.keep_alive(head.version));
    let expects = plain.values("expect");
    let known = |v: &&[u8]| v.is_empty() || v.eq_ignore_ascii_case(b"100-continue");
    assert!(expects.iter().all(known), "an unknown expectation was accepted");
    let waits = expects.iter().any(|v| !v.is_empty())
        && head.version == Version::Http11
        && !matches!(head.body, Body::None | Body::Length(0));
    assert_eq!(head.expects_continue, waits);
    for name in head.connection_names() {
        let kept = ["host", "content-length", "transfer-encoding", "authorization", "range"];
        assert!(!kept.iter().any(|k| name.eq_ignore_ascii_case(k)), "Connection drops {name}");
    }
}
