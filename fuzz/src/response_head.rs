//! Answer heads: found alike however they arrive; what is accepted says one thing only, and says it
//! again when it is written anew.

use std::mem::MaybeUninit;

use cos_auth_proxy::http1::{
    AnswerTo, Body, HeadScan, Limits, ResponseFault, ResponseHead, read_response,
};

use super::{
    cuts::{cuts, scan_in_pieces},
    plain::{Plain, version_text, written},
    reading::LIMITS,
};

/// So small that ordinary heads meet every limit.
const SMALL: Limits = Limits { head_bytes: 128, fields: 3, target_bytes: 1 };

/// One answer head, perhaps with more behind it.
pub fn check(bytes: &[u8]) {
    for limits in [LIMITS, SMALL] {
        let found = scan(bytes, &[], &limits);
        assert_eq!(scan(bytes, &cuts(bytes), &limits), found, "pieces change the result");
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(scan(bytes, &every_byte, &limits), found, "single bytes change the result");
        for to in [AnswerTo::Other, AnswerTo::Head] {
            if let Ok(HeadScan::Complete(end)) = found {
                assert!(end <= bytes.len() && end <= limits.head_bytes, "{end}");
                let first = bytes.windows(4).position(|w| w == b"\r\n\r\n");
                assert_eq!(first.map(|at| at + 4), Some(end), "the head ends elsewhere");
                let _ = read(&bytes[..end], &limits, to);
            }
            if read(bytes, &limits, to).is_ok() {
                assert_eq!(found, Ok(HeadScan::Complete(bytes.len())), "the scanner disagrees");
            }
        }
    }
}

fn scan(bytes: &[u8], cuts: &[usize], limits: &Limits) -> Result<HeadScan, ResponseFault> {
    scan_in_pieces(bytes, cuts, |scanner, piece| scanner.scan_response(piece, limits))
}

/// Reads a head and, if it is accepted, holds it against the plain reading.
fn read(bytes: &[u8], limits: &Limits, to: AnswerTo) -> Result<(), ResponseFault> {
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let head = read_response(bytes, &mut slots, limits, to)?;
    let plain = Plain::read(bytes);
    let line = format!("{} {:03}", version_text(head.version), head.status);
    let reason = plain.start.strip_prefix(line.as_bytes()).expect("version and status as read");
    check_reason(reason, head.reason);
    plain.assert_same_fields(head.fields);
    assert!(head.fields.len() <= limits.fields);
    check_meaning(&head, &plain, to);

    let again = written(format!("{line} {}", head.reason).as_bytes(), head.fields);
    let roomy = Limits { head_bytes: 2 * limits.head_bytes, ..*limits };
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let read_again = read_response(&again, &mut slots, &roomy, to).expect("accepted before");
    assert_eq!(meaning(&head), meaning(&read_again), "it means something else");
    check_plain_lines(&head);
    for field in read_again.fields {
        assert!(read_again.plain_line(field).is_some(), "{field:?}");
    }
    Ok(())
}

/// All it says, without the bytes it was said in.
fn meaning(head: &ResponseHead<'_, '_>) -> String {
    let ResponseHead { head: _, version, status, reason, fields, body, keep_alive } = head;
    format!("{version:?} {status} {reason:?} {fields:?} {body:?} {keep_alive}")
}

/// A line that goes on as it is says what the field says.
fn check_plain_lines(head: &ResponseHead<'_, '_>) {
    for field in head.fields {
        if let Some(line) = head.plain_line(field) {
            let expected = [field.name.as_bytes(), b": ", field.value, b"\r\n"].concat();
            assert_eq!(head.head[line], expected, "{field:?}");
        }
    }
}

/// Nothing, or a blank and the words; words that are not ASCII are left out.
fn check_reason(sent: &[u8], read: &str) {
    let words = sent.strip_prefix(b" ").unwrap_or(sent);
    assert!(sent.is_empty() || words.len() + 1 == sent.len(), "no blank after the status");
    assert!(words == read.as_bytes() || (read.is_empty() && !words.is_ascii()), "{read:?}");
}

fn check_meaning(head: &ResponseHead<'_, '_>, plain: &Plain<'_>, to: AnswerTo) {
    assert!((100..=599).contains(&head.status) && head.status != 101, "{}", head.status);
    let declared = plain.framing(head.version);
    let never = matches!(head.status, 100..=199 | 204);
    assert!(!never || matches!(declared, None | Some(Body::Length(0))), "{}", head.status);
    // RFC 9112, section 6.3.
    let body = if never || head.status == 304 || to == AnswerTo::Head {
        Body::None
    } else {
        declared.unwrap_or(Body::UntilClose)
    };
    assert_eq!(head.body, body);
    assert_eq!(head.keep_alive, plain.keep_alive(head.version) && body != Body::UntilClose);
}
