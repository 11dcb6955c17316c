//! The causes there are, and the cure of each in one sentence.

use serde::{Deserialize, Serialize};

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The signer's clock and COS's differ.
    ClockSkew,
    /// The signature's window is over.
    WindowOver,
    /// The temporary key has ended.
    KeyExpired,
    /// COS does not take the key.
    KeyUnknown,
    /// A temporary key without its token.
    TokenMissing,
    /// Another token arrived than was sent.
    TokenChanged,
    /// The method was changed on the way.
    MethodChanged,
    /// `+` and space were taken for each other in the path.
    PlusInPath,
    /// `+` and space were taken for each other in the query.
    PlusInQuery,
    /// Something was percent-encoded or decoded once too often.
    DoubleEncoding,
    /// `%2f` became `%2F` or the other way round.
    EscapeCase,
    /// Slashes were merged, dot segments resolved, or a last slash added or taken.
    PathNormalised,
    /// A prefix was put before the path or taken from it, or the query became a part of it.
    PathRewritten,
    /// The path was changed in another way.
    PathChanged,
    /// A parameter was changed on the way.
    ParameterChanged,
    /// A signed parameter did not arrive.
    ParameterMissing,
    /// A parameter arrived that was not sent.
    ParameterAdded,
    /// A parameter is not covered by the signature.
    ParameterNotSigned,
    /// Parameters or headers are sorted in another way.
    Order,
    /// The request reached COS under another host than was signed.
    WrongHost,
    /// The same, and only the region differs.
    WrongRegion,
    /// A header was changed on the way.
    HeaderChanged,
    /// A signed header did not arrive, or not once.
    HeaderMissing,
    /// A header arrived that was not sent.
    HeaderAdded,
    /// A header is not covered by the signature.
    HeaderNotSigned,
    /// The length or framing of the body was changed.
    ContentLengthChanged,
    /// Blanks or line ends were added, taken or merged.
    WhiteSpace,
    /// The times in the signature are not those that COS read.
    SignTimeChanged,
    /// COS knows another secret for this id.
    WrongSecret,
    /// The client signed in another way than COS does.
    SignerDiffers,
    /// It is not the signature that COS refused.
    NotTheSignature,
    /// COS did not say enough.
    Unknown,
}

impl Cause {
    /// What to do, in one sentence.
    pub(super) fn fix(self) -> &'static str {
        match self {
            Self::ClockSkew => {
                "Set the clock of the host that signs (NTP); the proxy itself learns COS's time from \
                 each answer."
            }
            Self::WindowOver => {
                "Sign right before sending, and check the clock of the host that signs: a signature \
                 is good only inside its window."
            }
            Self::KeyExpired => {
                "Get a new key (`cos-auth-proxy refresh`; in a client, its own key source) and sign \
                 again."
            }
            Self::KeyUnknown => {
                "Check that SecretId, SecretKey and token come from one and the same answer of the \
                 key source, and that the key is neither deleted nor disabled."
            }
            Self::TokenMissing => {
                "Send the key's token as x-cos-security-token with every request, and sign it."
            }
            Self::TokenChanged => {
                "Send the token exactly as the key source gave it: raw in a header, percent-encoded \
                 once in a query."
            }
            Self::MethodChanged => {
                "Let no cache, load balancer or rewrite rule between signer and COS change methods."
            }
            Self::PlusInPath => {
                "Write a plus in a path as %2B and a space as %20, and let no hop rewrite either: a \
                 bare + means different things to different programs."
            }
            Self::PlusInQuery => {
                "Write a plus in a query as %2B and a space as %20, and let no hop rewrite either: \
                 a bare + in a query is a space to COS."
            }
            Self::DoubleEncoding => {
                "Encode exactly once: find the client or hop that encodes what is encoded already \
                 (%25 in place of %), or decodes what COS should decode."
            }
            Self::EscapeCase => {
                "Let no hop rewrite percent escapes, and write them in upper case (%2F)."
            }
            Self::PathNormalised => {
                "Switch path normalisation off in the hop before COS (merge_slashes, resolving of \
                 dot segments, redirects to a last slash)."
            }
            Self::PathRewritten => {
                "Let the hop before COS pass the target as it is, or put the prefix where the \
                 request is signed."
            }
            Self::PathChanged => "Find the hop that changes the path, and let it pass as it is.",
            Self::ParameterChanged => {
                "Find the hop that changes this parameter, and let the query pass as it is."
            }
            Self::ParameterMissing => {
                "Send every parameter that is signed, and let no hop take one away."
            }
            Self::ParameterAdded => "Let no hop between signer and COS add parameters.",
            Self::ParameterNotSigned => {
                "Sign every parameter that is sent (q-url-param-list), or send the request unsigned \
                 through the proxy."
            }
            Self::Order => "Sort by the encoded lower-case name, byte by byte, before signing.",
            Self::WrongHost => {
                "Let every hop pass Host unchanged, and sign the very host (and port) that the \
                 request is sent to."
            }
            Self::WrongRegion => {
                "Use the region the bucket is in: upstream.region (--region), or the host name of \
                 the client."
            }
            Self::HeaderChanged => "Let no hop change this header, or leave it out of the request.",
            Self::HeaderMissing => {
                "Send every header that is signed exactly once, and let no hop take it away or \
                 repeat it."
            }
            Self::HeaderAdded => {
                "Let no hop between signer and COS add this header, or send it to the proxy so that \
                 it is signed."
            }
            Self::HeaderNotSigned => {
                "Sign this header (q-header-list), leave it out, or send the request unsigned \
                 through the proxy."
            }
            Self::ContentLengthChanged => {
                "Let no hop compress, buffer or frame the body anew: length and coding are signed."
            }
            Self::WhiteSpace => {
                "Take blanks and line ends (also CRLF from a file) off the value before it is signed \
                 and sent."
            }
            Self::SignTimeChanged => "Send Authorization exactly as it was made.",
            Self::WrongSecret => {
                "Check that the SecretKey belongs to this SecretId: one stray blank, line end or \
                 missing character is enough; `cos-auth-proxy check --online` tries the key."
            }
            Self::SignerDiffers => {
                "Mend the client's signer, or send the request unsigned through the proxy."
            }
            Self::NotTheSignature => {
                "Look at the code and message of COS: policy, bucket or request are the matter, not \
                 the signature."
            }
            Self::Unknown => {
                "Repeat the request as GET with a plain answer, so that COS tells FormatString and \
                 StringToSign."
            }
        }
    }

    /// The name, as in JSON and in the log.
    #[must_use]
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).ok();
        name.as_ref().and_then(|name| name.as_str()).unwrap_or("unknown").to_owned()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub cause: Cause,
    /// What was seen.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    pub(super) fn new(cause: Cause, what: impl Into<String>) -> Self {
        Self { cause, what: what.into(), fix: cause.fix().to_owned() }
    }
}
