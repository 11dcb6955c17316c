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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::explain::{Cause, Input};

    /// A writer whose lines a test reads.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const HEAD: &[u8] = b"GET /a%2Bb HTTP/1.1\r\nHost: h\r\nx-cos-security-token: plantedtoken\r\n\
        Authorization: q-sign-algorithm=sha1&q-ak=AKIDexampleexample&q-sign-time=1;2&q-key-time=1;2&\
        q-header-list=host;x-cos-security-token&q-url-param-list=&q-signature=plantedsignature\r\n\r\n";

    const BODY: &[u8] = b"<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message>\
        <FormatString>get\n/a b\n\nhost=h&amp;x-cos-security-token=plantedtoken\n</FormatString>\
        <RequestId>NjV</RequestId></Error>";

    /// What is logged at `level` when COS answers `body`, as JSON or for people.
    fn logged(level: tracing::Level, json: bool, body: &[u8]) -> (String, SignatureErrors) {
        let (lines, errors) = (Lines::default(), SignatureErrors::default());
        let writer = lines.clone();
        let format = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
        let look = || {
            let now = Timestamp::from_unix_seconds(1);
            errors.look_at(403, body, HEAD, Operation::GetObject, now);
        };
        if json {
            let format = format.json().flatten_event(true).with_writer(move || writer.clone());
            tracing::subscriber::with_default(format.finish(), look);
        } else {
            let format = format.with_writer(move || writer.clone());
            tracing::subscriber::with_default(format.finish(), look);
        }
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        (text, errors)
    }

    #[test]
    fn a_refused_signature_is_a_warning_and_its_strings_are_for_debugging() {
        let (text, errors) = logged(tracing::Level::WARN, true, BODY);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (field, value) in [
            ("level", "WARN"),
            ("target", TARGET),
            ("operation", "GetObject"),
            ("request_id", "NjV"),
            ("code", "SignatureDoesNotMatch"),
            ("cause", "plus-in-path"),
        ] {
            assert_eq!(line[field], value, "{text}");
        }
        assert!(!text.contains("planted") && !text.contains("/a"), "{text}");
        assert_eq!(errors.last().unwrap()["refusal"]["status"], 403);
        assert!(!errors.last().unwrap().to_string().contains("planted"));
    }

    #[test]
    fn the_lines_of_the_log_can_be_explained() {
        for json in [true, false] {
            let (text, _) = logged(tracing::Level::DEBUG, json, BODY);
            assert!(!text.contains("planted"), "{text}");
            let text = format!("an older line\n{text}a later line\n");
            let evidence = Input::read(text.as_bytes()).unwrap().evidence(None);
            let told = explain::explain(evidence);
            assert_eq!(told.finding.cause, Cause::PlusInPath, "{text}");
        }
        let (text, _) = logged(tracing::Level::WARN, true, BODY);
        let refused = Input::read(text.as_bytes()).unwrap_err();
        assert!(refused.to_string().contains("NjV"), "{refused}");
    }

    #[test]
    fn other_errors_are_neither_logged_nor_remembered() {
        for body in [
            &b"<Error><Code>NoSuchKey</Code></Error>"[..],
            b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>",
            b"<Error><Code>NoSuchKey</Code><Message>SignatureDoesNotMatch</Message></Error>",
            b"",
        ] {
            let (text, errors) = logged(tracing::Level::DEBUG, true, body);
            assert_eq!((text.as_str(), errors.last()), ("", None));
        }
    }
}
