//! Answers, each in the form that the readers of its shape know.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::asked::Shape;

/// Why no key is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    WrongHost,
    Browser,
    Unauthorized,
    NotFound,
    WrongMethod { allow: &'static str },
    BadRequest,
    ScopeNotAllowed,
    NoKey,
    TooManyScopes,
}

impl Why {
    /// The value of the label `outcome`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::WrongHost => "wrong_host",
            Self::Browser => "browser",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::WrongMethod { .. } | Self::BadRequest => "bad_request",
            Self::ScopeNotAllowed => "scope_not_allowed",
            Self::NoKey => "no_key",
            Self::TooManyScopes => "too_many_scopes",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Browser | Self::ScopeNotAllowed => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::TooManyScopes => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error code in the body.
    fn code(self) -> &'static str {
        match self {
            Self::WrongHost => "MisdirectedRequest",
            Self::Browser => "AccessDenied",
            Self::Unauthorized => "Unauthorized",
            Self::NotFound => "NotFound",
            Self::WrongMethod { .. } => "MethodNotAllowed",
            Self::BadRequest => "InvalidRequest",
            // As the COS STS SDK's scope demo names it.
            Self::ScopeNotAllowed => "ScopeNotAllowed",
            Self::NoKey => "ServiceUnavailable",
            Self::TooManyScopes => "SlowDown",
        }
    }
}

/// An answer without a key.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: Why,
    /// For the caller and the log: no secret, and no text of the request but what was checked.
    pub(super) text: String,
    retry_in: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(why: Why, text: impl Into<String>) -> Self {
        Self { why, text: text.into(), retry_in: None }
    }

    /// One that may end differently after a while.
    pub(super) fn later(why: Why, text: impl Into<String>, retry_in: Duration) -> Self {
        Self { why, text: text.into(), retry_in: Some(retry_in) }
    }
}

// A client that is told to wait longer may sleep through the first key that comes.
const LONGEST_WAIT: u64 = 30;

/// `refusal` in the form of `shape`.
pub(super) fn refused(
    shape: Option<Shape>,
    refusal: &Refusal,
    request_id: &str,
) -> Response<Full<Bytes>> {
    let Refusal { why, text, retry_in } = refusal;
    let (code, status) = (why.code(), why.status());
    let body = match shape {
        // The fields of the SDK's demo servers: readers of either spelling find a failure.
        Some(Shape::Sts) => serde_json::json!({
            "code": 10000, "codeDesc": code, "message": text, "requestId": request_id,
        }),
        Some(Shape::Metadata) | None => serde_json::json!({
            "Code": code, "Message": text, "RequestId": request_id,
        }),
    };
    let mut response = whole("application/json", format!("{body}\n").into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(retry_in) = retry_in {
        headers.insert(header::RETRY_AFTER, (retry_in.as_secs() + 1).min(LONGEST_WAIT).into());
    }
    if let Why::WrongMethod { allow } = *why {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if *why == Why::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The roles' names, one a line, as CVM's metadata lists them.
pub(super) fn roles(names: &[&str]) -> Response<Full<Bytes>> {
    whole("text/plain", names.join("\n").into())
}

/// A key; its bytes are wiped once they are sent.
pub(super) fn key(json: Zeroizing<String>) -> Response<Full<Bytes>> {
    whole("application/json", Bytes::from_owner(json))
}

fn whole(media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
