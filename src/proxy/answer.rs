//! Heads towards the client: COS's own with clean hop-by-hop fields, and the proxy's refusals.

use std::{
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    clock::Timestamp,
    http1::{Body, ResponseHead, Version, is_hop_by_hop},
};

use super::{Refused, fields};

/// How an answer towards the client is framed and whether its connection stays.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The client's version.
    pub version: Version,
    /// Keep the client's connection after this answer.
    pub keep_alive: bool,
    /// The request was HEAD.
    pub to_head: bool,
}

/// The interim answer that lets a client with `Expect: 100-continue` send its body.
#[must_use]
pub fn continue_100() -> &'static [u8] {
    b"HTTP/1.1 100 Continue\r\n\r\n"
}

/// Appends the client-side form of an upstream head to `out`, but for its end (see [`end_head`]),
/// and says how its body is framed towards the client.
///
/// A body whose end upstream marks by closing becomes chunked, so that a body that is cut short
/// also looks cut short here.
pub fn forward_head(upstream: &ResponseHead<'_, '_>, how: Answered, out: &mut Vec<u8>) -> Body {
    let bodiless = how.to_head || matches!(upstream.status, 100..=199 | 204 | 304);
    let body = match (upstream.body, how.version) {
        _ if bodiless => Body::None,
        (Body::None, _) => Body::Length(0),
        (Body::Length(length), _) => Body::Length(length),
        (Body::Chunked | Body::UntilClose, Version::Http11) => Body::Chunked,
        (Body::Chunked | Body::UntilClose, Version::Http10) => Body::UntilClose,
    };

    status_line(upstream.status, upstream.reason.as_bytes(), out);
    let of_this_hop = upstream.connection_names();
    let lists_any = of_this_hop.clone().next().is_some();
    let mut has_length = false;
    let mut run = Run { head: upstream.head, lines: 0..0 };
    for field in upstream.fields {
        let is_length = field.name.eq_ignore_ascii_case("content-length");
        // A length stands beside the body it is of, and in the head of a body that is not sent.
        let pass = match (is_length, body) {
            (true, Body::Length(_) | Body::None) => !has_length,
            (true, Body::Chunked | Body::UntilClose) => false,
            (false, _) => {
                let listed = lists_any && fields::is_listed(of_this_hop.clone(), field.name);
                !listed && !ends_here(field.name, body)
            }
        };
        if pass {
            has_length |= is_length;
            match upstream.plain_line(field) {
                Some(line) => run.add(line, out),
                None => {
                    run.end(out);
                    line(field.name.as_bytes(), field.value, out);
                }
            }
        }
    }
    run.end(out);
    match body {
        Body::Length(length) if !has_length => {
            line(b"Content-Length", itoa::Buffer::new().format(length).as_bytes(), out);
        }
        Body::Chunked => line(b"Transfer-Encoding", b"chunked", out),
        Body::Length(_) | Body::None | Body::UntilClose => {}
    }
    body
}

/// Ends a head whose body is framed as [`forward_head`] said, and tells whether the client's
/// connection stays: never after a body that only its close ends.
pub fn end_head(body: Body, how: Answered, out: &mut Vec<u8>) -> bool {
    let keep_alive = how.keep_alive && body != Body::UntilClose;
    connection(keep_alive, how.version, out);
    out.extend_from_slice(b"\r\n");
    keep_alive
}

/// Appends a whole answer of our own (head and COS-shaped XML body; no body for HEAD).
///
/// `resource` is what was asked for, as sent; at most 1024 bytes of it are shown. Whether the
/// connection stays is for `how` to say: see [`super::Reason::closes_connection`].
pub fn own_answer(
    refused: &Refused,
    how: Answered,
    resource: &[u8],
    now: Timestamp,
    out: &mut Vec<u8>,
) {
    let reason = refused.reason;
    let request_id = request_id(now);
    let body = error_xml(refused, resource, &request_id);
    status_line(reason.status(), phrase(reason.status()).as_bytes(), out);
    line(b"Content-Type", b"application/xml", out);
    line(b"Content-Length", itoa::Buffer::new().format(body.len()).as_bytes(), out);
    line(b"Date", httpdate::fmt_http_date(now.to_system_time()).as_bytes(), out);
    line(b"Server", b"cos-auth-proxy", out);
    line(b"x-cos-request-id", request_id.as_bytes(), out);
    line(OWN_ERROR.as_bytes(), reason.name().as_bytes(), out);
    match reason.status() {
        405 => line(b"Allow", b"GET, HEAD, PUT, POST, DELETE, OPTIONS", out),
        503 => line(b"Retry-After", b"5", out),
        _ => {}
    }
    connection(how.keep_alive, how.version, out);
    out.extend_from_slice(b"\r\n");
    if !how.to_head {
        out.extend_from_slice(&body);
    }
}

/// Only the proxy says this, so it is not taken from upstream.
const OWN_ERROR: &str = "x-cos-auth-proxy-error";

/// Hop-by-hop; but trailers go on where the framing towards the client can carry them.
fn ends_here(name: &str, body: Body) -> bool {
    if name.eq_ignore_ascii_case("trailer") {
        return body != Body::Chunked;
    }
    is_hop_by_hop(name) || name.eq_ignore_ascii_case(OWN_ERROR)
}

/// Lines of a head that follow one another and go on as they are: copied at once.
struct Run<'b> {
    head: &'b [u8],
    lines: Range<usize>,
}

impl Run<'_> {
    fn add(&mut self, line: Range<usize>, out: &mut Vec<u8>) {
        if line.start != self.lines.end {
            self.end(out);
            self.lines.start = line.start;
        }
        self.lines.end = line.end;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.get(self.lines.clone()).unwrap_or_default());
        self.lines.start = self.lines.end;
    }
}

fn status_line(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Says only what is not the version's default.
fn connection(keep_alive: bool, version: Version, out: &mut Vec<u8>) {
    match (keep_alive, version) {
        (false, _) => line(b"Connection", b"close", out),
        (true, Version::Http10) => line(b"Connection", b"keep-alive", out),
        (true, Version::Http11) => {}
    }
}

/// The standard phrases of the statuses that reasons have (RFC 9110).
fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

/// In the form of COS's own ids, base64 of `time_process_count_`: unique across restarts and
/// hosts as far as 32 random bits go. SDKs take an answer without one for a hijack.
fn request_id(now: Timestamp) -> String {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let process = *PROCESS.get_or_init(|| fastrand::u32(..));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    STANDARD.encode(format!("{:08x}_{process:08x}_{count:08x}_proxy", now.unix_seconds()))
}

/// The shape of Tencent Cloud document 436/7730.
fn error_xml(refused: &Refused, resource: &[u8], request_id: &str) -> Vec<u8> {
    let mut xml = Vec::with_capacity(512);
    xml.extend_from_slice(b"<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n");
    let mut element = |name: &str, text: &[u8]| {
        xml.extend_from_slice(format!("\t<{name}>").as_bytes());
        escape_into(text, &mut xml);
        xml.extend_from_slice(format!("</{name}>\n").as_bytes());
    };
    element("Code", refused.reason.code().as_bytes());
    element("Message", refused.message.as_bytes());
    element("Resource", resource.get(..1024).unwrap_or(resource));
    element("RequestId", request_id.as_bytes());
    xml.extend_from_slice(b"</Error>\n");
    xml
}

/// Text that XML 1.0 can hold: bytes that are not UTF-8 and control characters become `U+FFFD`.
fn escape_into(text: &[u8], xml: &mut Vec<u8>) {
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '&' => xml.extend_from_slice(b"&amp;"),
            '<' => xml.extend_from_slice(b"&lt;"),
            '>' => xml.extend_from_slice(b"&gt;"),
            '"' => xml.extend_from_slice(b"&quot;"),
            '\'' => xml.extend_from_slice(b"&apos;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                xml.extend_from_slice("\u{fffd}".as_bytes());
            }
            plain => xml.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http1::Field, proxy::Reason};

    const KEPT: Answered = Answered { version: Version::Http11, keep_alive: true, to_head: false };
    const OLD: Answered = Answered { version: Version::Http10, keep_alive: true, to_head: false };
    const TO_HEAD: Answered =
        Answered { version: Version::Http11, keep_alive: true, to_head: true };

    /// However upstream sets its blanks, the client gets the same.
    fn forward(
        status: u16,
        fields: &[(&'static str, &'static str)],
        body: Body,
        how: Answered,
    ) -> (String, Body, bool) {
        let plain = forward_as(": ", "", status, fields, body, how);
        for (before, after) in [(":", ""), (":\t", ""), (":\t ", " "), (": ", " "), (":", "   ")] {
            assert_eq!(forward_as(before, after, status, fields, body, how), plain, "{before:?}");
        }
        plain
    }

    fn forward_as(
        before: &str,
        after: &str,
        status: u16,
        fields: &[(&'static str, &'static str)],
        body: Body,
        how: Answered,
    ) -> (String, Body, bool) {
        let mut head = String::from("HTTP/1.1 200 Fine\r\n");
        let mut places = Vec::new();
        for (name, value) in fields {
            let name_at = head.len();
            head += &format!("{name}{before}{value}{after}\r\n");
            let value_at = name_at + name.len() + before.len();
            places.push((name_at..name_at + name.len(), value_at..value_at + value.len()));
        }
        head += "\r\n";
        let field = |(name, value): &(Range<usize>, Range<usize>)| Field {
            name: head.get(name.clone()).unwrap(),
            value: head.get(value.clone()).unwrap().as_bytes(),
        };
        let fields: Vec<Field<'_>> = places.iter().map(field).collect();
        let upstream = ResponseHead {
            head: head.as_bytes(),
            version: Version::Http11,
            status,
            reason: "Fine",
            fields: &fields,
            body,
            keep_alive: true,
        };
        let mut out = Vec::new();
        let body = forward_head(&upstream, how, &mut out);
        let keep_alive = end_head(body, how, &mut out);
        (String::from_utf8(out).unwrap(), body, keep_alive)
    }

    #[test]
    fn what_cos_says_passes_untouched_and_what_the_hop_says_does_not() {
        let (head, body, keep_alive) = forward(
            200,
            &[
                ("ETag", "\"abc-2\""),
                ("x-cos-hash-crc64ecma", "123"),
                ("Connection", "keep-alive, X-Hop"),
                ("Keep-Alive", "timeout=60"),
                ("X-Hop", "1"),
                ("Content-Length", "5"),
                ("x-cos-auth-proxy-error", "no-key"),
                ("X-Cos-Meta-Empty", ""),
                ("Upgrade", "h2c"),
            ],
            Body::Length(5),
            KEPT,
        );
        assert_eq!(
            head,
            "HTTP/1.1 200 Fine\r\nETag: \"abc-2\"\r\nx-cos-hash-crc64ecma: 123\r\nContent-Length: 5\r\nX-Cos-Meta-Empty: \r\n\r\n"
        );
        assert_eq!((body, keep_alive), (Body::Length(5), true));
    }

    #[test]
    fn the_end_of_a_body_can_be_seen_by_every_client() {
        let chunked = [("Transfer-Encoding", "chunked"), ("Trailer", "x-a")];
        for (fields, sent, how, end, framing, kept) in [
            (
                &chunked[..],
                Body::Chunked,
                KEPT,
                "Trailer: x-a\r\nTransfer-Encoding: chunked\r\n\r\n",
                Body::Chunked,
                true,
            ),
            (
                &chunked[..],
                Body::Chunked,
                OLD,
                "Connection: close\r\n\r\n",
                Body::UntilClose,
                false,
            ),
            (
                &[],
                Body::UntilClose,
                KEPT,
                "Transfer-Encoding: chunked\r\n\r\n",
                Body::Chunked,
                true,
            ),
            (&[], Body::UntilClose, OLD, "Connection: close\r\n\r\n", Body::UntilClose, false),
            (
                &[("Content-Length", "3")],
                Body::Length(3),
                OLD,
                "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n",
                Body::Length(3),
                true,
            ),
            (&[], Body::None, KEPT, "Content-Length: 0\r\n\r\n", Body::Length(0), true),
        ] {
            let (head, body, keep_alive) = forward(200, fields, sent, how);
            assert_eq!(head, format!("HTTP/1.1 200 Fine\r\n{end}"), "{sent:?} {how:?}");
            assert_eq!((body, keep_alive), (framing, kept), "{sent:?} {how:?}");
        }
    }

    #[test]
    fn an_answer_without_a_body_keeps_the_length_it_states() {
        for (status, how) in [(200, TO_HEAD), (304, KEPT)] {
            let (head, body, _) = forward(status, &[("Content-Length", "1234")], Body::None, how);
            assert!(head.ends_with("\r\nContent-Length: 1234\r\n\r\n"), "{head}");
            assert_eq!(body, Body::None);
        }
        let (head, body, _) = forward(204, &[], Body::None, KEPT);
        assert_eq!((head.as_str(), body), ("HTTP/1.1 204 Fine\r\n\r\n", Body::None));
        let (head, _, _) = forward(200, &[("Transfer-Encoding", "chunked")], Body::None, TO_HEAD);
        assert_eq!(head, "HTTP/1.1 200 Fine\r\n\r\n");
    }

    fn own(refused: &Refused, how: Answered, resource: &[u8]) -> String {
        let mut out = Vec::new();
        own_answer(refused, how, resource, Timestamp::from_unix_seconds(1_700_000_000), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_of_our_own_looks_like_one_of_cos_and_says_who_spoke() {
        let answer = own(&Reason::NoKey.refused(), KEPT, b"/a");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        for line in [
            "Content-Type: application/xml",
            "Date: Tue, 14 Nov 2023 22:13:20 GMT",
            "Retry-After: 5",
            "x-cos-auth-proxy-error: no-key",
            &format!("Content-Length: {}", body.len()),
        ] {
            assert!(head.lines().any(|l| l == line), "{line} in {head}");
        }
        let id = head.lines().find_map(|l| l.strip_prefix("x-cos-request-id: ")).unwrap();
        assert!(body.contains(&format!("<RequestId>{id}</RequestId>")), "{body}");
        assert!(
            body.contains("<Code>ServiceUnavailable</Code>")
                && body.contains("<Resource>/a</Resource>")
        );
        assert!(!own(&Reason::NoKey.refused(), KEPT, b"/a").contains(id), "ids do not repeat");
    }

    #[test]
    fn a_refusal_of_a_head_request_has_no_body() {
        let answer = own(&Reason::BadHost.refused(), TO_HEAD, b"/a");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("<Error>"), "{answer}");
    }

    #[test]
    fn hostile_text_cannot_leave_its_element() {
        let mut resource = b"/<x>&\"'\r\n\0\xff]]>".to_vec();
        resource.resize(100_000, b'a');
        let refused = Reason::Misdirected.because("Host: <script>.");
        let answer = own(&refused, Answered { keep_alive: false, ..KEPT }, &resource);
        assert!(answer.len() < 3000);
        assert!(answer.contains("\r\nConnection: close\r\n"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            body.contains("/&lt;x&gt;&amp;&quot;&apos;\u{fffd}\u{fffd}\u{fffd}\u{fffd}]]&gt;aaa"),
            "{body}"
        );
        assert!(body.contains("Host: &lt;script&gt;."), "{body}");
    }
}
