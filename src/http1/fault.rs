//! Why bytes were refused. Each has a stable kebab-case name for headers, metrics and logs.

/// Defines an enum of refusals from a table of variant, stable name and message. With
/// `: Variant(Inner)` it also takes over the refusals of another such enum.
macro_rules! faults {
    (
        $(#[$doc:meta])*
        pub enum $Fault:ident $(: $Wrap:ident($Inner:ident))? {
            $($Variant:ident = $name:literal, $message:literal;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum $Fault {
            $(
                /// The head's lines or framing, by rules that requests and answers share.
                #[error(transparent)]
                $Wrap(#[from] $Inner),
            )?
            $(
                #[doc = $message]
                #[error($message)]
                $Variant,
            )*
        }

        impl $Fault {
            /// The stable name in kebab-case.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Wrap(inner) => inner.name(),)?
                    $(Self::$Variant => $name,)*
                }
            }

            /// Every refusal of this kind, for tables and documentation.
            pub fn all() -> impl Iterator<Item = Self> {
                let own = [$(Self::$Variant),*].into_iter();
                $(let own = $Inner::all().map(Self::$Wrap).chain(own);)?
                own
            }
        }
    };
}

faults! {
    /// A head whose lines, fields or framing no two readers are sure to understand alike.
    pub enum HeadFault {
        BareLf = "bare-lf", "a line ends with LF alone instead of CR LF";
        BareCr = "bare-cr", "a CR stands alone, without LF after it";
        ControlByte = "control-byte", "the head contains a control byte";
        LeadingEmptyLine = "leading-empty-line", "an empty line stands before the head";
        TooLarge = "head-too-large", "the head is larger than the limit";
        TooManyFields = "too-many-fields", "the head has more header lines than the limit";
        Incomplete = "incomplete-head", "the head does not end with its only empty line";
        FoldedLine = "folded-line", "a header line begins with a blank (obsolete line folding)";
        BlankBeforeColon = "blank-before-colon", "a blank stands between a header name and its colon";
        MissingColon = "missing-colon", "a header line has no colon";
        FieldName = "bad-field-name", "a header name is empty or has a character that no name may have";
        FieldValue = "bad-field-value", "a header value has a byte that no value may have";
        BadContentLength = "bad-content-length", "Content-Length is not one plain decimal number below 2^63";
        DuplicateContentLength = "duplicate-content-length", "Content-Length is given more than once";
        DuplicateTransferEncoding = "duplicate-transfer-encoding", "Transfer-Encoding is given more than once";
        UnsupportedTransferEncoding = "unsupported-transfer-encoding", "Transfer-Encoding is not exactly `chunked`";
        LengthAndChunked = "length-and-chunked", "Content-Length and Transfer-Encoding are given together";
        ChunkedOnHttp10 = "chunked-on-http10", "Transfer-Encoding is given in an HTTP/1.0 message";
        BadConnection = "bad-connection", "Connection is not a list of header names";
        ConnectionNamesEndToEnd = "connection-names-end-to-end", "Connection names a header that must not be dropped on the way";
    }
}

faults! {
    /// A request that is malformed, ambiguous or too large. The connection cannot be used further.
    pub enum RequestFault: Head(HeadFault) {
        TlsOnPlainPort = "tls-on-plain-port", "the client speaks TLS (https) to a plain http port; use http://";
        Http2Preface = "http2-preface", "the client speaks HTTP/2 without being asked; use HTTP/1.1";
        Http09 = "http-0.9", "the request line has no HTTP version (HTTP/0.9); use HTTP/1.1";
        UnsupportedVersion = "unsupported-version", "the HTTP version is neither 1.0 nor 1.1";
        MalformedRequestLine = "malformed-request-line", "the request line is not `METHOD target HTTP/1.1` with single blanks";
        BadMethod = "bad-method", "the method is empty, longer than 32 bytes or not a token";
        BlankInTarget = "blank-in-target", "the request target contains a blank; encode it as %20";
        FragmentInTarget = "fragment-in-target", "the request target contains `#`; encode it as %23";
        TargetNotUtf8 = "target-not-utf8", "the request target contains bytes that are not UTF-8; percent-encode them";
        TargetTooLong = "target-too-long", "the request target is longer than the limit";
        MissingHost = "missing-host", "an HTTP/1.1 request has no Host";
        DuplicateHost = "duplicate-host", "Host is given more than once";
        UnsupportedExpectation = "unsupported-expectation", "Expect asks for something other than 100-continue";
    }
}

faults! {
    /// An answer that cannot be trusted. The upstream connection is dropped.
    pub enum ResponseFault: Head(HeadFault) {
        NotHttp1 = "not-http1", "the answer does not begin with `HTTP/1.`";
        UnsupportedVersion = "unsupported-version", "the HTTP version is neither 1.0 nor 1.1";
        MalformedStatusLine = "malformed-status-line", "the status line is not `HTTP/1.1 200 reason`";
        BadStatus = "bad-status", "the status is not between 100 and 599";
        SwitchingProtocols = "switching-protocols", "the server switches to a protocol that nobody asked for";
        LengthWithoutBody = "length-without-body", "an answer that cannot have a body (1xx, 204) declares one";
    }
}

faults! {
    /// A body whose framing is broken. The connection cannot be used further.
    pub enum BodyFault {
        ChunkSize = "bad-chunk-size", "a chunk size line is not plain hexadecimal and CR LF";
        ChunkSizeTooLarge = "chunk-size-too-large", "a chunk size has more than 16 digits or is 2^63 or more";
        ChunkExtension = "chunk-extension", "a chunk size line carries an extension";
        ChunkEnd = "bad-chunk-end", "the data of a chunk is not followed by CR LF";
        TrailerLine = "bad-trailer-line", "a trailer line is malformed";
        TrailersTooLarge = "trailers-too-large", "the trailers have more than 32 lines or 8192 bytes";
        ForbiddenTrailer = "forbidden-trailer", "a trailer names a header that decides framing, routing, authority or content";
        Truncated = "truncated-body", "the connection was closed before the body was complete";
    }
}

impl RequestFault {
    /// The status that RFC 9110 and 9112 give to this refusal: 400 unless there is a closer one.
    #[must_use]
    pub fn status(self) -> u16 {
        if self == Self::TargetTooLong {
            414
        } else if self == Self::UnsupportedExpectation {
            417
        } else if [HeadFault::TooLarge, HeadFault::TooManyFields].map(Self::Head).contains(&self) {
            431
        } else if self == Self::Head(HeadFault::UnsupportedTransferEncoding) {
            501
        } else if [Self::UnsupportedVersion, Self::Http2Preface].contains(&self) {
            505
        } else {
            400
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn check(names: impl Iterator<Item = (&'static str, String)>) {
        let mut seen = HashSet::new();
        for (name, message) in names {
            assert!(seen.insert(name), "{name} is used twice");
            assert!(
                name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')),
                "{name}"
            );
            assert!(
                !message.is_empty() && !message.contains('\n') && !message.ends_with('.'),
                "{message}"
            );
        }
        assert!(seen.len() >= 8);
    }

    #[test]
    fn every_refusal_has_a_name_of_its_own_and_a_one_line_message() {
        check(RequestFault::all().map(|f| (f.name(), f.to_string())));
        check(ResponseFault::all().map(|f| (f.name(), f.to_string())));
        check(BodyFault::all().map(|f| (f.name(), f.to_string())));
        assert_eq!(RequestFault::from(HeadFault::BareLf).name(), "bare-lf");
    }

    #[test]
    fn refusals_with_a_status_of_their_own_have_it() {
        let with = |status| RequestFault::all().filter(move |f| f.status() == status).count();
        assert_eq!((with(414), with(417), with(431), with(501), with(505)), (1, 1, 2, 1, 2));
        assert_eq!(RequestFault::all().count(), with(400) + 7);
    }
}
