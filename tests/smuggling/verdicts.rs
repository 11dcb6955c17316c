//! What each cause of a refusal looks like to the client.

use cos_auth_proxy::http1::{BodyFault, RequestFault};

/// Status, reason, and whether the client's connection ends.
pub(crate) struct Verdict {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) closes: bool,
    /// A part of the message that says exactly what is wrong.
    pub(crate) cause: String,
}

const CLOSES: bool = true;
const STAYS: bool = false;

/// Cause, status, reason, connection.
const VERDICTS: &[(&str, u16, &str, bool)] = &[
    ("tls-on-plain-port", 400, "tls-on-plain-port", CLOSES),
    ("http2-preface", 400, "unsupported-version", CLOSES),
    ("http-0.9", 400, "unsupported-version", CLOSES),
    ("unsupported-version", 400, "unsupported-version", CLOSES),
    ("malformed-request-line", 400, "malformed-request", CLOSES),
    ("bad-method", 400, "malformed-request", CLOSES),
    ("blank-in-target", 400, "bad-target", CLOSES),
    ("fragment-in-target", 400, "bad-target", CLOSES),
    ("target-not-utf8", 400, "bad-target", CLOSES),
    ("target-too-long", 431, "head-too-large", CLOSES),
    ("missing-host", 400, "bad-host", CLOSES),
    ("duplicate-host", 400, "ambiguous-request", CLOSES),
    ("unsupported-expectation", 417, "unsupported-expectation", CLOSES),
    ("bare-lf", 400, "malformed-request", CLOSES),
    ("bare-cr", 400, "malformed-request", CLOSES),
    ("control-byte", 400, "malformed-request", CLOSES),
    ("leading-empty-line", 400, "malformed-request", CLOSES),
    ("head-too-large", 431, "head-too-large", CLOSES),
    ("too-many-fields", 431, "head-too-large", CLOSES),
    ("folded-line", 400, "malformed-request", CLOSES),
    ("blank-before-colon", 400, "malformed-request", CLOSES),
    ("missing-colon", 400, "malformed-request", CLOSES),
    ("bad-field-name", 400, "malformed-request", CLOSES),
    ("bad-content-length", 400, "ambiguous-request", CLOSES),
    ("duplicate-content-length", 400, "ambiguous-request", CLOSES),
    ("duplicate-transfer-encoding", 400, "ambiguous-request", CLOSES),
    ("unsupported-transfer-encoding", 501, "unsupported-framing", CLOSES),
    ("length-and-chunked", 400, "ambiguous-request", CLOSES),
    ("chunked-on-http10", 400, "ambiguous-request", CLOSES),
    ("bad-connection", 400, "malformed-request", CLOSES),
    ("connection-names-end-to-end", 400, "ambiguous-request", CLOSES),
    // Bodies.
    ("bad-chunk-size", 400, "malformed-body", CLOSES),
    ("chunk-size-too-large", 400, "malformed-body", CLOSES),
    ("chunk-extension", 400, "malformed-body", CLOSES),
    ("bad-chunk-end", 400, "malformed-body", CLOSES),
    ("bad-trailer-line", 400, "malformed-body", CLOSES),
    ("trailers-too-large", 400, "malformed-body", CLOSES),
    ("forbidden-trailer", 400, "malformed-body", CLOSES),
    // What the steps of a request refuse.
    ("lookalike-header", 400, "lookalike-header", CLOSES),
    ("bad-target", 400, "bad-target", CLOSES),
    ("bad-escape", 400, "bad-escape", STAYS),
    ("path-collapses", 400, "path-collapses", STAYS),
    ("bad-host", 400, "bad-host", CLOSES),
    ("host-mismatch", 400, "host-mismatch", STAYS),
    ("misdirected", 421, "misdirected", STAYS),
    ("cross-site", 403, "cross-site", STAYS),
    ("connect-not-supported", 405, "connect-not-supported", CLOSES),
    ("method-not-allowed", 405, "method-not-allowed", CLOSES),
    ("repeated-parameter", 400, "repeated-parameter", STAYS),
    ("repeated-header", 400, "repeated-header", STAYS),
    ("unexpected-body", 400, "unexpected-body", CLOSES),
    ("length-required", 411, "length-required", CLOSES),
    ("aws-chunked", 501, "aws-chunked", CLOSES),
];

pub(crate) fn verdict(why: &str) -> Verdict {
    let &(_, status, reason, closes) = VERDICTS
        .iter()
        .find(|(cause, ..)| *cause == why)
        .unwrap_or_else(|| panic!("no verdict for {why}"));
    let of_heads = RequestFault::all().map(|fault| (fault.name(), fault.to_string()));
    let of_bodies = BodyFault::all().map(|fault| (fault.name(), fault.to_string()));
    let cause = of_heads.chain(of_bodies).find(|(name, _)| *name == why);
    Verdict { status, reason, closes, cause: cause.map(|(_, text)| text).unwrap_or_default() }
}

/// Every cause there is a verdict for.
pub(crate) fn causes() -> impl Iterator<Item = &'static str> {
    VERDICTS.iter().map(|(cause, ..)| *cause)
}
