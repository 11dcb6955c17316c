//! Request heads.

use httparse::{Error, Status};

use super::{
    Body, FieldSlots, HeadFault, HeadScanner, Limits, RequestFault, RequestHead, Version, fields,
    fields::Survey, syntax,
};

/// Longest method accepted; the longest registered one has 17 bytes.
pub(super) const METHOD_BYTES: usize = 32;

/// Reads one complete head (`head` ends with its blank line).
///
/// Every rule holds whether or not a [`HeadScanner`] saw the bytes before.
///
/// # Errors
/// [`RequestFault`] for anything malformed, ambiguous or over a limit.
pub fn read_request<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut FieldSlots<'b>,
    limits: &Limits,
) -> Result<RequestHead<'h, 'b>, RequestFault> {
    if head.len() > limits.head_bytes {
        return Err(HeadFault::TooLarge.into());
    }
    let room = limits.fields.min(slots.len());
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, &mut slots[..room]) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(unfinished(head, limits)),
        Err(error) => return Err(explain(error, head, limits)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(unfinished(head, limits));
    };
    // httparse skips empty lines; the method must be what the head begins with.
    if !head.starts_with(method.as_bytes()) {
        return Err(HeadFault::LeadingEmptyLine.into());
    }
    let (fields, target) = (&*parsed.headers, target.as_bytes());
    check_method_and_target(method, target, limits)?;

    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let survey = Survey::of(head, fields)?;
    check_host(survey.hosts, version)?;
    if survey.expects_other {
        return Err(RequestFault::UnsupportedExpectation);
    }
    let body = survey.framing(version)?.unwrap_or(Body::None);
    let has_body = !matches!(body, Body::None | Body::Length(0));
    let expects_continue = survey.expects_continue && has_body && version == Version::Http11;
    let keep_alive = survey.keep_alive(version);
    Ok(RequestHead { method, target, version, fields, body, keep_alive, expects_continue })
}

fn check_method_and_target(
    method: &str,
    target: &[u8],
    limits: &Limits,
) -> Result<(), RequestFault> {
    if method.len() > METHOD_BYTES {
        return Err(RequestFault::BadMethod);
    }
    if target.len() > limits.target_bytes {
        return Err(RequestFault::TargetTooLong);
    }
    if memchr::memchr(b'#', target).is_some() {
        return Err(RequestFault::FragmentInTarget);
    }
    Ok(())
}

fn check_host(hosts: usize, version: Version) -> Result<(), RequestFault> {
    match (hosts, version) {
        (1, _) | (0, Version::Http10) => Ok(()),
        (0, Version::Http11) => Err(RequestFault::MissingHost),
        _ => Err(RequestFault::DuplicateHost),
    }
}

/// The fault of bytes that are not exactly one head: what the scanner says, or just that.
#[cold]
fn unfinished(head: &[u8], limits: &Limits) -> RequestFault {
    let scanned = HeadScanner::default().scan(head, limits);
    scanned.err().unwrap_or(HeadFault::Incomplete.into())
}

/// The rule behind an error of httparse.
#[cold]
fn explain(error: Error, head: &[u8], limits: &Limits) -> RequestFault {
    if let Err(fault) = HeadScanner::default().scan(head, limits) {
        return fault;
    }
    match error {
        Error::TooManyHeaders => HeadFault::TooManyFields.into(),
        Error::HeaderName => fields::field_line_fault(head).into(),
        Error::HeaderValue => HeadFault::FieldValue.into(),
        Error::Token | Error::Version | Error::NewLine | Error::Status => {
            request_line_fault(head, limits)
        }
    }
}

fn request_line_fault(head: &[u8], limits: &Limits) -> RequestFault {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let method = line.split(|&b| b == b' ').next().unwrap_or_default();
    let target = line.get(method.len() + 1..line.len().saturating_sub(b" HTTP/1.1".len()));
    match target {
        _ if !syntax::is_token(method) || method.len() > METHOD_BYTES => RequestFault::BadMethod,
        None | Some([] | [b' ', ..] | [.., b' ']) => RequestFault::MalformedRequestLine,
        Some(target) if target.len() > limits.target_bytes => RequestFault::TargetTooLong,
        Some(target) if target.iter().any(|b| b" \t".contains(b)) => RequestFault::BlankInTarget,
        Some(target) if str::from_utf8(target).is_err() => RequestFault::TargetNotUtf8,
        Some(_) => RequestFault::MalformedRequestLine,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 8192, fields: 4, target_bytes: 64 };

    fn read<T>(head: &str, with: impl Fn(Result<RequestHead<'_, '_>, RequestFault>) -> T) -> T {
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        with(read_request(head.as_bytes(), &mut slots, &LIMITS))
    }

    #[test]
    fn a_target_keeps_the_bytes_that_browsers_and_scripts_send_raw() {
        let target = "/a|b^c(1)*'!\"<>{}\\`//./x%2f+?q=é&r=[1]";
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        read(&head, |head| assert_eq!(head.unwrap().target, target.as_bytes()));
    }

    #[test]
    fn a_whole_head_is_required_and_nothing_after_it() {
        for head in ["GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\nx", ""] {
            read(head, |head| assert_eq!(head.unwrap_err(), HeadFault::Incomplete.into()));
        }
    }

    #[test]
    fn line_ends_are_checked_even_without_a_scanner() {
        for head in [
            "GET / HTTP/1.1\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\n\n",
            "GET / HTTP/1.1\r\nA: b\nHost: h\r\n\r\n",
            "GET / HTTP/1.0\n\r\n",
        ] {
            let fault = read(head, |head| head.map(|_| ()).unwrap_err());
            assert!(
                [HeadFault::BareLf, HeadFault::Incomplete].map(RequestFault::Head).contains(&fault),
                "{head:?} {fault:?}"
            );
        }
        let skipped = "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
        read(skipped, |head| assert_eq!(head.unwrap_err(), HeadFault::LeadingEmptyLine.into()));
    }

    #[test]
    fn only_a_body_on_http11_can_wait_for_100_continue() {
        let waits = |version: &str, fields: &str| {
            let head =
                format!("PUT / HTTP/{version}\r\nHost: h\r\nExpect: 100-Continue\r\n{fields}\r\n");
            read(&head, |head| head.unwrap().expects_continue)
        };
        assert!(waits("1.1", "Content-Length: 5\r\n"));
        assert!(waits("1.1", "Transfer-Encoding: chunked\r\n"));
        assert!(!waits("1.0", "Content-Length: 5\r\n"));
        assert!(!waits("1.1", "Content-Length: 0\r\n"));
        assert!(!waits("1.1", ""));
    }

    #[test]
    fn persistence_follows_version_and_connection() {
        let keeps = |version: &str, connection: &str| {
            let head =
                format!("GET / HTTP/{version}\r\nHost: h\r\nConnection: {connection}\r\n\r\n");
            read(&head, |head| head.unwrap().keep_alive)
        };
        assert!(
            keeps("1.1", "")
                && keeps("1.1", "Upgrade, HTTP2-Settings")
                && keeps("1.0", "Keep-Alive")
        );
        assert!(
            !keeps("1.0", "") && !keeps("1.1", "x, CLOSE") && !keeps("1.0", "keep-alive, close")
        );
    }
}
