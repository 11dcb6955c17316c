//! Which bodies may pass, and how they are framed towards COS.

use crate::http1::{Body, RequestHead};

use super::{Method, Operation, Reason, Refused};

/// Judges the body that `head` announces; whether it must be held to compute its digest.
pub(super) fn check(
    head: &RequestHead<'_, '_>,
    method: Method,
    operation: Operation,
    held_body_bytes: usize,
) -> Result<bool, Refused> {
    if is_aws_chunked(head) {
        return Err(Reason::AwsChunked.refused());
    }
    let takes_body = matches!(method, Method::Put | Method::Post);
    match head.body {
        Body::None | Body::Length(0) => Ok(false),
        Body::Length(_) | Body::Chunked | Body::UntilClose if !takes_body => {
            Err(Reason::UnexpectedBody.refused())
        }
        Body::Chunked if operation.takes_chunked() => Ok(false),
        Body::Chunked | Body::UntilClose => Err(Reason::LengthRequired.refused()),
        Body::Length(length) => {
            if !operation.wants_digest() || head.field("content-md5").is_some() {
                return Ok(false);
            }
            let fits = length <= u64::try_from(held_body_bytes).unwrap_or(u64::MAX);
            if !fits && operation == Operation::DeleteMultipleObjects {
                return Err(Reason::HeldBodyTooLarge.refused());
            }
            Ok(fits)
        }
    }
}

/// AWS SDKs tell the framing in up to four places, and not all of them in all.
fn is_aws_chunked(head: &RequestHead<'_, '_>) -> bool {
    head.fields.iter().any(|field| {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-encoding") {
            field
                .value
                .split(|&b| b == b',')
                .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"aws-chunked"))
        } else if is("x-amz-content-sha256") {
            field.value.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"STREAMING-"))
        } else {
            is("x-amz-decoded-content-length") || is("x-amz-trailer")
        }
    })
}

/// The framing towards COS: as sent, except that a held body has its length and that a PUT or POST
/// without a body says so (COS answers 411 otherwise).
pub(super) fn upstream(sent: Body, method: Method, held: Option<&[u8]>) -> Body {
    match (held, sent) {
        (Some(held), _) => Body::Length(u64::try_from(held.len()).unwrap_or(u64::MAX)),
        (None, Body::None) if matches!(method, Method::Put | Method::Post) => Body::Length(0),
        (None, sent) => sent,
    }
}
