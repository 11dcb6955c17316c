//! Remembers the last request whose signature COS refused, and logs each.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::Timestamp,
    explain::{self, Evidence},
    proxy::Operation,
};

/// Target of the lines about refused signatures.
const TARGET: &str = "cos_auth_proxy::signature";

/// The last refused signature of the process: one entry, tokens and signatures taken out. Touched
/// only when COS refuses.
#[derive(Clone, Default)]
pub struct SignatureErrors {
    last: Arc<Mutex<Option<Box<Evidence>>>>,
}

impl SignatureErrors {
    /// The last failure as JSON.
    #[must_use]
    pub fn last(&self) -> Option<serde_json::Value> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().and_then(|evidence| serde_json::to_value(evidence).ok())
    }

    /// Judges an error of COS: its status, the beginning of its body and the head it answers.
    pub(super) fn look_at(
        &self,
        status: u16,
        body: &[u8],
        signed: &[u8],
        operation: Operation,
        now: Timestamp,
    ) {
        let failed_at = now.unix_seconds();
        let evidence = Evidence::of_proxy(signed, status, body, operation.name(), failed_at);
        let Some(evidence) = evidence else { return };
        log(&evidence);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Box::new(evidence));
    }
}

fn log(evidence: &Evidence) {
    let finding = explain::explain(evidence.clone()).finding;
    tracing::warn!(
        target: TARGET,
        operation = evidence.operation,
        request_id = evidence.refusal.request_id,
        code = evidence.refusal.code,
        cause = finding.cause.name(),
        "COS refused a signature; `cos-auth-proxy explain-signature --last` shows why"
    );
    if tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        let failure = serde_json::to_string(evidence).unwrap_or_default();
        tracing::debug!(target: TARGET, %failure, "what was signed, and what COS received");
    }
}

impl fmt::Debug for SignatureErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureErrors").finish_non_exhaustive()
    }
}
