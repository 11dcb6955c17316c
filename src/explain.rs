//! Why COS refused a signature: what was signed beside what COS received, the first byte that
//! differs, the likely cause and its cure.
//!
//! Pure: strings in, findings out. [`Evidence`] is a failed request with everything that must not
//! be seen taken out; it is what a running proxy remembers, what its log holds and what is made of
//! a curl trace. [`explain`] judges it.

mod cause;
mod difference;
mod evidence;
mod http_string;
mod input;
mod judge;
mod judge_key;
mod judge_time;
mod key_check;
mod lines;
mod redact;
mod refusal;
mod relation;
mod screen;
mod sent;
mod show;
mod trace;

use serde::Serialize;

pub use cause::{Cause, Finding};
pub use difference::{Difference, Part};
pub use evidence::{Evidence, Signed};
pub use input::Input;
pub use key_check::{KeyCheck, TestKey};
pub use refusal::{ERROR_BYTES, Refusal};
pub use sent::Sent;
pub use show::show;

/// What is wrong with a request, and what it was told from.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The likely cause.
    pub finding: Finding,
    /// Whatever else differs.
    pub also: Vec<Finding>,
    /// The first byte at which the two strings differ; `None` if they are equal, or if COS did not
    /// tell its own.
    pub difference: Option<Difference>,
    /// What a reader must know about the strings: cut off, unprintable bytes lost.
    pub notes: Vec<String>,
    /// The failed request.
    pub evidence: Evidence,
}

/// Names the cause of a failure.
#[must_use]
pub fn explain(evidence: Evidence) -> Explanation {
    let (finding, also, difference) = {
        let compared = evidence.compared();
        let mut findings = judge::judge(&evidence, compared.as_ref());
        let first = findings.remove(0);
        let difference = compared.as_ref().and_then(difference::first);
        (first, findings, difference)
    };
    Explanation { finding, also, difference, notes: evidence.notes(), evidence }
}

/// Why an input cannot be explained: what is missing from it, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No request line.
    #[error(
        "no request was found: give the output of `curl -v … 2>&1` or `curl --trace FILE …`, or \
         --request with a request line and its headers"
    )]
    NoRequest,
    /// The request carries no signature of COS's own kind.
    #[error(
        "the request carries no COS signature (Authorization with q-sign-algorithm): if it went \
         through the proxy, which signs it, use `cos-auth-proxy explain-signature --last`"
    )]
    NoSignature,
    /// Its signature lacks a field.
    #[error("the signature of the request has no {field}, so nobody can tell what it covers")]
    BadSignature {
        /// The missing field.
        field: &'static str,
    },
    /// The proxy refused the request itself.
    #[error(
        "the proxy answered by itself ({reason}) and COS never saw the request: docs/ERRORS.md \
         says why and what to do"
    )]
    OfTheProxy {
        /// As in `x-cos-auth-proxy-error`.
        reason: String,
    },
    /// No error of COS.
    #[error(
        "no error of COS was found (XML with <Error> and <Code>): keep the body of the answer in \
         the trace (no -o, no -f), or give it with --error"
    )]
    NoError,
    /// The answer to a HEAD has no body.
    #[error(
        "the answer to a HEAD has no body, and so no error of COS: send the same request as GET"
    )]
    NoErrorToHead,
    /// Our log, without what is needed.
    #[error(
        "the log has the warning about request {request_id} but not its strings: set log.level to \
         \"info,cos_auth_proxy::signature=debug\" and repeat the request, or ask the running proxy \
         with --last"
    )]
    OnlyWarning {
        /// COS's request id.
        request_id: String,
    },
}
