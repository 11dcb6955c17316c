//! Why the proxy itself answered: one enum for header, metric, log and `docs/ERRORS.md`.

use std::borrow::Cow;

use crate::{
    credential::NoKey,
    http1::{BodyFault, HeadFault, RequestFault},
};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $status:literal, $code:literal, $connection:ident, $message:literal;)*) => {
        /// A reason; `x-cos-auth-proxy-error` carries it in kebab-case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason, for metrics and documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The kebab-case name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// HTTP status of the answer.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// COS error code of the answer.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What happened, why, and what to do.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// Whether the client's connection ends with this answer, since it is not known where
            /// the next request would begin (or that there will be one).
            #[must_use]
            pub fn closes_connection(self) -> bool {
                match self { $(Self::$variant => connection!($connection),)* }
            }
        }
    };
}

macro_rules! connection {
    (closes) => {
        true
    };
    (stays) => {
        false
    };
}

reasons! {
    // --- the request's bytes ---
    /// The request head is not HTTP/1.x.
    MalformedRequest, "malformed-request", 400, "InvalidRequest", closes,
        "The request head is not valid HTTP/1.1, so it was not forwarded. Send HTTP/1.1 with CRLF line ends.";
    /// The end of the body, or the host, can be read in two ways.
    AmbiguousRequest, "ambiguous-request", 400, "InvalidRequest", closes,
        "The request can be read in two ways (body length or host), so it was refused instead of guessed at. Send one Host and either one Content-Length or Transfer-Encoding: chunked.";
    /// A TLS handshake on the plain port.
    TlsOnPlainPort, "tls-on-plain-port", 400, "InvalidRequest", closes,
        "The client speaks TLS (https), and this port speaks plain HTTP. Use http:// towards the proxy; the proxy itself speaks https to COS.";
    /// HTTP/2 or another version.
    UnsupportedVersion, "unsupported-version", 400, "InvalidRequest", closes,
        "Only HTTP/1.1 and HTTP/1.0 are spoken here. Switch off HTTP/2 with prior knowledge in the client.";
    /// Request line or header section over a limit.
    HeadTooLarge, "head-too-large", 431, "RequestHeaderTooLarge", closes,
        "The request line or the header section is larger than this proxy reads. Send fewer or shorter headers; COS itself limits metadata to 4 KB.";
    /// The head did not arrive in time.
    HeadTimeout, "head-timeout", 408, "RequestTimeout", closes,
        "The request head did not arrive in time. Send the whole head at once.";
    /// The body stopped coming.
    BodyTimeout, "body-timeout", 408, "RequestTimeout", closes,
        "The request body came too slowly: no byte for upstream.stall_timeout, or fewer than limits.body_min_rate on average, so the upload was cut off. Send it again; if the client is slow on purpose, lower limits.body_min_rate.";
    /// The body's framing is broken.
    MalformedBody, "malformed-body", 400, "InvalidRequest", closes,
        "The chunked framing of the request body is broken, so the upload was cut off. Send Content-Length or valid chunks.";
    /// A transfer coding other than chunked.
    UnsupportedFraming, "unsupported-framing", 501, "NotImplemented", closes,
        "The request asks for a transfer coding that this proxy does not know. Use Content-Length, or Transfer-Encoding: chunked alone.";
    /// An `Expect` other than `100-continue`.
    UnsupportedExpectation, "unsupported-expectation", 417, "InvalidRequest", closes,
        "The request expects something that this proxy does not know. Send Expect: 100-continue, or no Expect.";
    /// A header that others read as one that counts.
    LookalikeHeader, "lookalike-header", 400, "InvalidRequest", closes,
        "A header's name has a _ and would count if that were a -, and some servers read it so. Write it with -, or give it another name.";

    // --- the target and the host ---
    /// The request target is not a path or an http URL.
    BadTarget, "bad-target", 400, "InvalidRequest", closes,
        "The request target is neither a path that starts with / nor an http URL with a plain host.";
    /// A `%` without two hexadecimal digits.
    BadEscape, "bad-escape", 400, "InvalidArgument", stays,
        "The path or query has a % that is not followed by two hexadecimal digits, and servers read that differently. Write a percent sign as %25.";
    /// An object's path that collapses to the bucket; a DELETE would be the bucket's.
    PathCollapses, "path-collapses", 400, "InvalidArgument", stays,
        "The path has only slashes and dot segments: COS would collapse it to / and take the bucket for the object. Ask for / if the bucket is meant.";
    /// No `Host`, or one that is not a host.
    BadHost, "bad-host", 400, "InvalidRequest", closes,
        "The request has no usable Host header. Send one, such as Host: localhost:9000.";
    /// The target names one host and `Host` another.
    HostMismatch, "host-mismatch", 400, "InvalidRequest", stays,
        "The URL in the request line and the Host header name different hosts. Send the same host in both.";
    /// A host that is neither the proxy's nor COS's.
    Misdirected, "misdirected", 421, "MisdirectedRequest", stays,
        "This proxy does not answer for the host of this request. Allow it with listen.allowed_hosts (a name of the proxy) or upstream.domains (a custom domain of a bucket).";
    /// A browser's page of another site asks.
    CrossSite, "cross-site", 403, "AccessDenied", stays,
        "A web page of another site made this request, and any page could use the proxy's keys that way. Call the proxy from a program, or from a page of the same origin.";
    /// Routes are configured, and none allows the request.
    RouteDenied, "route-denied", 403, "AccessDenied", stays,
        "No route allows this request, so it was not sent to COS. Ask for something that a route allows, or allow it with a [[route]] in the configuration.";
    /// CONNECT.
    ConnectNotSupported, "connect-not-supported", 405, "MethodNotAllowed", closes,
        "CONNECT makes an encrypted tunnel, and a request inside it cannot be signed. Use the http scheme with this proxy (http_proxy, not https_proxy; Scheme=http in COS SDKs): the proxy itself speaks https to COS.";
    /// A method that COS does not have.
    MethodNotAllowed, "method-not-allowed", 405, "MethodNotAllowed", closes,
        "COS has no such method. It knows GET, HEAD, PUT, POST, DELETE and OPTIONS, in capital letters.";

    // --- bucket and region ---
    /// The bucket's name is not `name-APPID`.
    BadBucket, "bad-bucket", 400, "InvalidArgument", stays,
        "The bucket is not named as COS names it: lower-case letters, digits and -, then the APPID, such as examplebucket-1250000000.";
    /// No bucket in the request and none configured.
    BucketMissing, "bucket-missing", 400, "InvalidRequest", stays,
        "The request names no bucket. Send /bucket-appid/key, or set upstream.bucket (--bucket) so that /key is enough.";
    /// No region in the request and none configured.
    RegionMissing, "region-missing", 400, "InvalidRequest", stays,
        "The request does not say which region the bucket is in. Set upstream.region (--region), such as ap-guangzhou, or send the bucket's COS host name.";

    // --- parameters, headers, bodies ---
    /// A query name that repeats, or equals another up to case.
    RepeatedParameter, "repeated-parameter", 400, "InvalidArgument", stays,
        "A query parameter is there twice (upper and lower case count as the same), and signers disagree about which one counts. Send it once.";
    /// More query parameters than any COS operation has.
    TooManyParameters, "too-many-parameters", 400, "InvalidArgument", stays,
        "The query has more than 256 parameters, more than any COS operation takes.";
    /// A header that counts is there twice.
    RepeatedHeader, "repeated-header", 400, "InvalidRequest", stays,
        "A header that is part of the signature is there twice, and servers read that differently. Send it once.";
    /// `x-cos-copy-source` names nothing that can be a COS object.
    BadCopySource, "bad-copy-source", 400, "InvalidArgument", stays,
        "x-cos-copy-source names no COS object. Write bucket-appid.cos.region.myqcloud.com/key, or /bucket-appid/key.";
    /// A body where COS takes none.
    UnexpectedBody, "unexpected-body", 400, "InvalidRequest", closes,
        "GET, HEAD, DELETE and OPTIONS take no body in COS. Send the request without one.";
    /// Chunked where COS wants a length.
    LengthRequired, "length-required", 411, "MissingContentLength", closes,
        "COS takes Transfer-Encoding: chunked only for PutObject, UploadPart and AppendObject. Send this request with Content-Length.";
    /// A body in aws-chunked framing.
    AwsChunked, "aws-chunked", 501, "NotImplemented", closes,
        "The body is in aws-chunked framing, which COS would store as part of the object. Set request_checksum_calculation = when_required (AWS_REQUEST_CHECKSUM_CALCULATION) in the S3 client.";
    /// A body that must be held is too large.
    HeldBodyTooLarge, "held-body-too-large", 413, "EntityTooLarge", closes,
        "This request needs a Content-MD5 and its body is too large to be held for computing one. Send Content-MD5 yourself, or raise limits.held_body_bytes.";

    // --- keys ---
    /// No usable key within the patience.
    NoKey, "no-key", 503, "ServiceUnavailable", stays,
        "There is no key to sign with now. The proxy keeps asking its key source; its log and /readyz say why it fails.";

    // --- upstream ---
    /// No connection to upstream.
    UpstreamConnect, "upstream-connect", 502, "BadGateway", stays,
        "No connection to COS could be made. Check upstream.endpoint, upstream.connect_to, DNS and the network.";
    /// TLS towards upstream failed.
    UpstreamTls, "upstream-tls", 502, "BadGateway", stays,
        "TLS with COS failed, most often because its certificate is not trusted. Check upstream.ca_file and the system's certificates.";
    /// Upstream closed or reset before an answer.
    UpstreamClosed, "upstream-closed", 502, "BadGateway", stays,
        "COS closed the connection before it answered. Send the request again.";
    /// Upstream's answer is not acceptable HTTP.
    UpstreamMalformed, "upstream-malformed", 502, "BadGateway", stays,
        "The answer from upstream is not valid HTTP. Check that upstream.endpoint and upstream.connect_to lead to COS.";
    /// Connect or TLS took too long.
    UpstreamConnectTimeout, "upstream-connect-timeout", 504, "GatewayTimeout", stays,
        "Connecting to COS took longer than upstream.connect_timeout. Check the network, or raise it.";
    /// No first byte in time.
    UpstreamFirstByteTimeout, "upstream-first-byte-timeout", 504, "GatewayTimeout", stays,
        "COS did not begin to answer within upstream.first_byte_timeout. Send the request again.";
    /// No byte in either direction.
    Stalled, "stalled", 504, "GatewayTimeout", closes,
        "No byte moved in either direction for upstream.stall_timeout, so the transfer was given up. Send the request again.";

    // --- the proxy's own state ---
    /// Draining: no new requests.
    Draining, "draining", 503, "ServiceUnavailable", closes,
        "The proxy is ending and takes no new requests. Send the request again on a new connection.";
    /// More connections or requests than the limits allow.
    Overloaded, "overloaded", 503, "SlowDown", closes,
        "The proxy has as many connections or requests as its limits allow. Send the request again a little later.";
    /// A defect of the proxy.
    Internal, "internal", 500, "InternalError", closes,
        "The proxy failed at something that should not fail. Its log says what; please report it.";
}

/// A refusal with what the user should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub reason: Reason,
    /// What happened, why, and what to do: one or two sentences, no secret.
    pub message: Cow<'static, str>,
}

impl Reason {
    /// With its usual message.
    #[must_use]
    pub fn refused(self) -> Refused {
        Refused { reason: self, message: Cow::Borrowed(self.message()) }
    }

    /// With `detail` (a sentence) in front of the usual message.
    #[must_use]
    pub fn because(self, detail: &str) -> Refused {
        Refused { reason: self, message: format!("{detail} {}", self.message()).into() }
    }
}

/// A request that the codec refused.
impl From<RequestFault> for Refused {
    fn from(fault: RequestFault) -> Self {
        let reason = match fault {
            RequestFault::Head(fault) => head_reason(fault),
            RequestFault::TlsOnPlainPort => Reason::TlsOnPlainPort,
            RequestFault::Http2Preface
            | RequestFault::Http09
            | RequestFault::UnsupportedVersion => Reason::UnsupportedVersion,
            RequestFault::MalformedRequestLine | RequestFault::BadMethod => {
                Reason::MalformedRequest
            }
            RequestFault::BlankInTarget
            | RequestFault::FragmentInTarget
            | RequestFault::TargetNotUtf8 => Reason::BadTarget,
            RequestFault::TargetTooLong => Reason::HeadTooLarge,
            RequestFault::MissingHost => Reason::BadHost,
            RequestFault::DuplicateHost => Reason::AmbiguousRequest,
            RequestFault::UnsupportedExpectation => Reason::UnsupportedExpectation,
        };
        explained(reason, &fault)
    }
}

fn head_reason(fault: HeadFault) -> Reason {
    match fault {
        HeadFault::TooLarge | HeadFault::TooManyFields => Reason::HeadTooLarge,
        HeadFault::UnsupportedTransferEncoding => Reason::UnsupportedFraming,
        HeadFault::BadContentLength
        | HeadFault::DuplicateContentLength
        | HeadFault::DuplicateTransferEncoding
        | HeadFault::LengthAndChunked
        | HeadFault::ChunkedOnHttp10
        | HeadFault::ConnectionNamesEndToEnd => Reason::AmbiguousRequest,
        HeadFault::BareLf
        | HeadFault::BareCr
        | HeadFault::ControlByte
        | HeadFault::LeadingEmptyLine
        | HeadFault::Incomplete
        | HeadFault::FoldedLine
        | HeadFault::BlankBeforeColon
        | HeadFault::MissingColon
        | HeadFault::FieldName
        | HeadFault::FieldValue
        | HeadFault::BadConnection => Reason::MalformedRequest,
    }
}

/// A request body that the codec refused.
impl From<BodyFault> for Refused {
    fn from(fault: BodyFault) -> Self {
        explained(Reason::MalformedBody, &fault)
    }
}

/// No key to sign with, with the cause that the key store knows.
impl From<&NoKey> for Refused {
    fn from(no_key: &NoKey) -> Self {
        explained(Reason::NoKey, no_key)
    }
}

fn explained(reason: Reason, cause: &dyn std::fmt::Display) -> Refused {
    Refused { reason, message: format!("{} ({cause})", reason.message()).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_errors_lists_exactly_the_reasons_with_status_and_code() {
        let document = include_str!("../../docs/ERRORS.md");
        let documented: Vec<String> = document
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                line.split('|').skip(1).take(4).map(str::trim).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let expected: Vec<String> = Reason::ALL
            .iter()
            .map(|r| {
                let connection = if r.closes_connection() { "closes" } else { "stays" };
                format!("`{}` {} `{}` {connection}", r.name(), r.status(), r.code())
            })
            .collect();
        assert_eq!(documented, expected);
    }

    #[test]
    fn names_are_kebab_case_and_unique() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        }
    }

    #[test]
    fn every_status_goes_with_the_code_that_cos_uses_for_it() {
        for reason in Reason::ALL {
            let codes: &[&str] = match reason.status() {
                400 => &["InvalidRequest", "InvalidArgument"],
                403 => &["AccessDenied"],
                405 => &["MethodNotAllowed"],
                408 => &["RequestTimeout"],
                411 => &["MissingContentLength"],
                413 => &["EntityTooLarge"],
                417 => &["InvalidRequest"],
                421 => &["MisdirectedRequest"],
                431 => &["RequestHeaderTooLarge"],
                500 => &["InternalError"],
                501 => &["NotImplemented"],
                502 => &["BadGateway"],
                503 => &["ServiceUnavailable", "SlowDown"],
                504 => &["GatewayTimeout"],
                other => panic!("{reason:?} has status {other}"),
            };
            assert!(codes.contains(&reason.code()), "{reason:?}");
        }
    }

    #[test]
    fn every_fault_of_the_codec_is_answered_with_its_cause_and_ends_the_connection() {
        for fault in RequestFault::all() {
            let refused = Refused::from(fault);
            assert!(refused.reason.closes_connection(), "{fault:?}");
            assert!(refused.message.contains(&fault.to_string()), "{fault:?}");
        }
        for fault in BodyFault::all() {
            assert_eq!(Refused::from(fault).reason, Reason::MalformedBody);
        }
    }

    #[test]
    fn a_missing_key_is_told_with_its_cause() {
        let refused = Refused::from(&NoKey::NotYet { reason: "the key server is slow".to_owned() });
        assert_eq!(refused.reason, Reason::NoKey);
        assert!(refused.message.contains("the key server is slow"), "{}", refused.message);
    }
}
