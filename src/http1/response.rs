//! Answer heads.

use httparse::{Error, ParserConfig, Status};

use super::{
    Body, FieldSlots, HeadFault, HeadScanner, Limits, ResponseFault, ResponseHead, Version, fields,
    fields::Survey,
};

/// What the answer answers: decides whether it has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerTo {
    /// A HEAD request: never a body.
    Head,
    /// Any other request.
    Other,
}

/// Reads one complete answer head (`head` ends with its blank line). `limits.target_bytes` is not
/// used.
///
/// # Errors
/// [`ResponseFault`] for anything malformed, ambiguous or over a limit.
pub fn read_response<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut FieldSlots<'b>,
    limits: &Limits,
    to: AnswerTo,
) -> Result<ResponseHead<'h, 'b>, ResponseFault> {
    if head.len() > limits.head_bytes {
        return Err(HeadFault::TooLarge.into());
    }
    let room = limits.fields.min(slots.len());
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, head, &mut slots[..room]) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(unfinished(head, limits)),
        Err(error) => return Err(explain(error, head, limits)),
    }
    let (Some(minor), Some(status), Some(reason)) = (parsed.version, parsed.code, parsed.reason)
    else {
        return Err(unfinished(head, limits));
    };
    // httparse skips empty lines; the version must be what the head begins with.
    if !head.starts_with(b"HTTP/1.") {
        return Err(ResponseFault::NotHttp1);
    }
    match status {
        101 => return Err(ResponseFault::SwitchingProtocols),
        100..=599 => {}
        _ => return Err(ResponseFault::BadStatus),
    }
    let fields = &*parsed.headers;
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let survey = Survey::of(head, fields)?;
    let body = body_of(survey.framing(version)?, status, to)?;
    let keep_alive = survey.keep_alive(version) && body != Body::UntilClose;
    Ok(ResponseHead { head, version, status, reason, fields, body, keep_alive })
}

/// RFC 9112 section 6.3. A 304 and the answer to a HEAD may tell the length that a GET would have
/// had; a 1xx and a 204 may not, but an explicit 0 misleads nobody.
fn body_of(declared: Option<Body>, status: u16, to: AnswerTo) -> Result<Body, ResponseFault> {
    if matches!(status, 100..=199 | 204) && !matches!(declared, None | Some(Body::Length(0))) {
        return Err(ResponseFault::LengthWithoutBody);
    }
    if matches!(status, 100..=199 | 204 | 304) || to == AnswerTo::Head {
        return Ok(Body::None);
    }
    Ok(declared.unwrap_or(Body::UntilClose))
}

/// The fault of bytes that are not exactly one head: what the scanner says, or just that.
#[cold]
fn unfinished(head: &[u8], limits: &Limits) -> ResponseFault {
    let scanned = HeadScanner::default().scan_response(head, limits);
    scanned.err().unwrap_or(HeadFault::Incomplete.into())
}

/// The rule behind an error of httparse.
#[cold]
fn explain(error: Error, head: &[u8], limits: &Limits) -> ResponseFault {
    if let Err(fault) = HeadScanner::default().scan_response(head, limits) {
        return fault;
    }
    match error {
        Error::TooManyHeaders => HeadFault::TooManyFields.into(),
        Error::HeaderName => fields::field_line_fault(head).into(),
        Error::HeaderValue => HeadFault::FieldValue.into(),
        Error::Version => ResponseFault::UnsupportedVersion,
        Error::Token | Error::NewLine | Error::Status => ResponseFault::MalformedStatusLine,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 8192, fields: 4, target_bytes: 64 };

    fn read<T>(
        head: &str,
        to: AnswerTo,
        with: impl Fn(Result<ResponseHead<'_, '_>, ResponseFault>) -> T,
    ) -> T {
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        with(read_response(head.as_bytes(), &mut slots, &LIMITS, to))
    }

    fn body(head: &str, to: AnswerTo) -> (Body, bool) {
        read(head, to, |head| head.map(|h| (h.body, h.keep_alive)).unwrap())
    }

    #[test]
    fn status_and_request_decide_whether_there_is_a_body() {
        let length = "Content-Length: 5\r\n\r\n";
        for (line, to, expected) in [
            ("200 OK", AnswerTo::Other, Body::Length(5)),
            ("200 OK", AnswerTo::Head, Body::None),
            ("304 Not Modified", AnswerTo::Other, Body::None),
            ("404 Not Found", AnswerTo::Other, Body::Length(5)),
        ] {
            assert_eq!(body(&format!("HTTP/1.1 {line}\r\n{length}"), to), (expected, true));
        }
        assert_eq!(body("HTTP/1.1 204 No Content\r\n\r\n", AnswerTo::Other), (Body::None, true));
        assert_eq!(
            body("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", AnswerTo::Other),
            (Body::None, true)
        );
        assert_eq!(body("HTTP/1.1 100 Continue\r\n\r\n", AnswerTo::Other), (Body::None, true));
    }

    #[test]
    fn an_answer_without_framing_ends_with_the_connection() {
        assert_eq!(body("HTTP/1.1 200\r\n\r\n", AnswerTo::Other), (Body::UntilClose, false));
        assert_eq!(
            body("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", AnswerTo::Other),
            (Body::UntilClose, false)
        );
        assert_eq!(
            body("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", AnswerTo::Head),
            (Body::None, true)
        );
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", AnswerTo::Other),
            (Body::Chunked, true)
        );
        assert_eq!(
            body(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n",
                AnswerTo::Other
            ),
            (Body::Length(1), false)
        );
    }

    #[test]
    fn empty_lines_before_the_status_line_are_refused_even_without_a_scanner() {
        let fault = read("\r\nHTTP/1.1 200 OK\r\n\r\n", AnswerTo::Other, |head| {
            head.map(|_| ()).unwrap_err()
        });
        assert_eq!(fault, ResponseFault::NotHttp1);
    }
}
