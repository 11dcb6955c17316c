//! Why the proxy itself answered: one enum for header, metric, log and `docs/ERRORS.md`.

/// A reason; `x-cos-auth-proxy-error` carries it in kebab-case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request head is not HTTP/1.x.
    MalformedRequest,
    /// No usable key within the patience.
    NoKey,
    /// No connection to upstream.
    UpstreamConnect,
    /// TLS towards upstream failed.
    UpstreamTls,
    /// Upstream closed or reset before an answer.
    UpstreamClosed,
    /// Upstream's answer is not acceptable HTTP.
    UpstreamMalformed,
    /// Connect or TLS took too long.
    UpstreamConnectTimeout,
    /// No first byte in time.
    UpstreamFirstByteTimeout,
    /// No byte in either direction.
    Stalled,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The body's framing is broken.
    MalformedBody,
    /// A body that must be held is too large.
    HeldBodyTooLarge,
    /// Draining: no new requests.
    Draining,
}

/// A refusal with what the user should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub reason: Reason,
    /// What happened, why, and what to do: one or two sentences, no secret.
    pub message: std::borrow::Cow<'static, str>,
}

impl Reason {
    /// The kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        unimplemented!()
    }
    /// HTTP status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        unimplemented!()
    }
    /// COS error code of the answer.
    #[must_use]
    pub fn code(self) -> &'static str {
        unimplemented!()
    }
    /// With its usual message.
    #[must_use]
    pub fn refused(self) -> Refused {
        unimplemented!()
    }
}

impl From<crate::http1::RequestFault> for Refused {
    fn from(_: crate::http1::RequestFault) -> Self {
        unimplemented!()
    }
}
