//! One COS error: its status, its code, and the XML body that carries it.
//!
//! Codes and statuses are those of the official error table (Tencent Cloud doc 436/7730). The body
//! keeps the shape of doc 436/7730: single-quoted declaration, tab indents, escaped values.

use super::xml::Element;

/// A COS error answer, before it has a resource and a request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosError {
    /// HTTP status.
    pub status: u16,
    /// The `Code` of the body.
    pub code: &'static str,
    /// The `Message` of the body, not yet escaped.
    pub message: String,
    /// What the server would have signed; only with `SignatureDoesNotMatch`.
    pub string_to_sign: Option<String>,
    /// The canonical request the server computed; only with `SignatureDoesNotMatch`.
    pub format_string: Option<String>,
    /// Whether the body tells the server's time, as 403 `AccessDenied` bodies do.
    pub server_time: bool,
}

/// Where and when an error happened: what its body says besides the error itself.
#[derive(Clone, Copy, Debug)]
pub struct ErrorPlace<'a> {
    /// `bucket.cos.region.myqcloud.com/key`, as COS writes it.
    pub resource: &'a str,
    /// The `x-cos-request-id` of the same answer.
    pub request_id: &'a str,
    /// The `x-cos-trace-id` of the same answer.
    pub trace_id: &'a str,
    /// The server's clock, whole seconds since the epoch.
    pub now_unix: u64,
}

impl CosError {
    /// An error that is only status, code and message.
    #[must_use]
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            string_to_sign: None,
            format_string: None,
            server_time: false,
        }
    }

    /// 403 `AccessDenied`, which tells the server's time.
    #[must_use]
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self { server_time: true, ..Self::new(403, "AccessDenied", message) }
    }

    /// The error with this code and its usual status, as a fault that a test sets.
    #[must_use]
    pub fn of_code(code: &'static str) -> Self {
        let status = match code {
            "AccessDenied"
            | "AccessForbidden"
            | "InvalidAccessKeyId"
            | "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch" => 403,
            "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" => 404,
            "PreconditionFailed" => 412,
            "InternalError" => 500,
            "SlowDown" | "ServiceUnavailable" => 503,
            _ => 400,
        };
        Self { server_time: status == 403, ..Self::new(status, code, "Set as a fault.") }
    }

    /// An error with this status and a code that COS uses with it, as a fault that a test sets.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        let code = match status {
            403 => "AccessDenied",
            404 => "NoSuchKey",
            412 => "PreconditionFailed",
            503 => "ServiceUnavailable",
            400..=499 => "InvalidRequest",
            _ => "InternalError",
        };
        Self { status, ..Self::of_code(code) }
    }

    /// The XML body.
    #[must_use]
    pub fn to_xml(&self, place: ErrorPlace<'_>) -> String {
        let mut error =
            Element::new("Error").text("Code", self.code).text("Message", &self.message);
        if let Some(string_to_sign) = &self.string_to_sign {
            error = error.text("StringToSign", string_to_sign);
        }
        if let Some(format_string) = &self.format_string {
            error = error.text("FormatString", format_string);
        }
        if self.server_time {
            let now = crate::clock::Timestamp::from_unix_seconds(place.now_unix);
            error = error.text("ServerTime", now.to_string());
        }
        error
            .text("Resource", place.resource)
            .text("RequestId", place.request_id)
            .text("TraceId", place.trace_id)
            .into_document()
    }
}

/// 500 `InternalError`: the emulator's own folder failed it.
pub(crate) fn internal(error: &std::io::Error) -> CosError {
    CosError::new(500, "InternalError", format!("the emulator cannot reach its files: {error}"))
}

/// 400 `InvalidArgument`.
pub(crate) fn invalid_argument(message: impl Into<String>) -> CosError {
    CosError::new(400, "InvalidArgument", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_has_the_documented_shape_and_escapes_its_values() {
        let error = CosError {
            string_to_sign: Some("sha1\n1;2\nabc\n".into()),
            format_string: Some("get\n/a<b\n\nhost=x&y\n".into()),
            ..CosError::access_denied("Access Denied.")
        };
        let place = ErrorPlace {
            resource: "b-1.cos.ap-guangzhou.myqcloud.com/a<b",
            request_id: "id",
            trace_id: "",
            now_unix: 1_554_781_160,
        };
        assert_eq!(
            error.to_xml(place),
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>AccessDenied</Code>\n\
             \t<Message>Access Denied.</Message>\n\t<StringToSign>sha1\n1;2\nabc\n</StringToSign>\n\
             \t<FormatString>get\n/a&lt;b\n\nhost=x&amp;y\n</FormatString>\n\
             \t<ServerTime>2019-04-09T03:39:20Z</ServerTime>\n\
             \t<Resource>b-1.cos.ap-guangzhou.myqcloud.com/a&lt;b</Resource>\n\
             \t<RequestId>id</RequestId>\n\t<TraceId></TraceId>\n</Error>\n"
        );
    }
}
