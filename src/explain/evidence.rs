//! A failed request with everything that must not be seen taken out.

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use crate::sign::strict;

use super::{
    Part,
    difference::Compared,
    http_string::{self, Style},
    key_check::{KeyCheck, TestKey, check},
    lines::Lines,
    redact::redacted,
    refusal::Refusal,
    sent::Sent,
    trace::blurred,
};

/// What is known of a failed request. Safe to keep, to log and to show: tokens, customer keys and
/// signatures are replaced by their length and a short hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    /// Version of this form; also tells it from other JSON in a log.
    pub signature_failure: u32,
    /// What was asked for, if the proxy knows.
    #[serde(default)]
    pub operation: Option<String>,
    /// When it failed, Unix seconds by the signer's clock, if that is known.
    #[serde(default)]
    pub failed_at: Option<u64>,
    /// What was signed.
    pub signed: Signed,
    /// What COS said.
    pub refusal: Refusal,
    /// What a test of the signature itself showed.
    #[serde(default)]
    pub key_check: Option<KeyCheck>,
    /// The input shows unprintable bytes as dots.
    #[serde(default)]
    pub blurred: bool,
}

/// What was signed, as it is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signed {
    /// First 8 characters of the key's public name.
    pub secret_id: String,
    /// The name is longer than that of a permanent key.
    pub key_looks_temporary: bool,
    /// A token travels along.
    pub has_token: bool,
    /// `q-sign-time`.
    pub sign_time: String,
    /// `HttpString`.
    pub http_string: String,
    /// `StringToSign`.
    pub string_to_sign: String,
    /// Headers in `q-header-list`.
    pub header_list: Vec<String>,
    /// Parameters in `q-url-param-list`.
    pub parameter_list: Vec<String>,
    /// Names in the two lists that the request does not carry.
    pub not_sent: Vec<String>,
    /// Headers and parameters that count and are in neither list.
    pub not_signed: Vec<String>,
}

/// Version of [`Evidence`].
const FORM: u32 = 1;

/// One of these is in every error that is about a signature.
const WORDS: [&[u8]; 3] = [b"ignature", b"RequestTimeTooSkewed", b"Request has expired"];

/// Longest name of a permanent key.
const PERMANENT_ID: usize = 36;

impl Evidence {
    /// From a request as it was sent and COS's answer to it.
    #[must_use]
    pub fn new(sent: &Sent, refusal: Refusal) -> Self {
        Self {
            signature_failure: FORM,
            operation: None,
            failed_at: None,
            signed: Signed::new(sent),
            refusal,
            key_check: None,
            blurred: false,
        }
    }

    /// From the signed head that the proxy sent and the beginning of the body that it got; `None`
    /// if the error is not about the signature.
    #[must_use]
    pub fn of_proxy(
        head: &[u8],
        status: u16,
        body: &[u8],
        operation: &str,
        failed_at: u64,
    ) -> Option<Self> {
        // Most errors are about something else, and this is all they cost.
        let mentions = |words: &[u8]| memchr::memmem::find(body, words).is_some();
        if !WORDS.iter().any(|words| mentions(words)) {
            return None;
        }
        let mut refusal = Refusal::read(body).filter(Refusal::is_about_signature)?;
        refusal.status = status;
        let mut evidence = Self::new(&Sent::read(head).ok()?, refusal);
        evidence.operation = Some(operation.to_owned());
        evidence.failed_at = Some(failed_at);
        Some(evidence)
    }

    /// Adds what a key tells about the signature: whether it made it, and over which text.
    pub fn test_key(&mut self, sent: &Sent, key: &dyn TestKey) {
        self.key_check = Some(check(sent, key));
    }

    /// Makes what was signed look as the trace shows what was received.
    pub(super) fn blur(&mut self) {
        self.blurred = true;
        let lines = Lines::of(&self.signed.http_string, false);
        let path = blurred(lines.line(Part::Path));
        let rest = [Part::Method, Part::Parameters, Part::Headers].map(|part| lines.line(part));
        let [method, parameters, headers] = rest;
        self.signed.http_string = format!("{method}\n{path}\n{parameters}\n{headers}\n");
    }

    /// Whether the proxy itself signed the request.
    pub(super) fn is_of_proxy(&self) -> bool {
        self.failed_at.is_some()
    }

    /// Both strings, if COS told its own.
    pub(super) fn compared(&self) -> Option<Compared<'_>> {
        let theirs = self.refusal.format_string.as_deref()?;
        let cut = self.refusal.cut;
        Some(Compared {
            signed: Lines::of(&self.signed.http_string, false),
            received: Lines::of(theirs, cut),
            cut,
        })
    }

    /// What a reader must know.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.blurred {
            notes.push(
                "the trace shows unprintable and non-ASCII bytes as dots, and so they cannot be \
                 compared; `curl --trace FILE` keeps them"
                    .to_owned(),
            );
        }
        if self.refusal.cut {
            notes.push("COS's error was cut off inside FormatString".to_owned());
        }
        if self.signed.http_string.contains('{') && self.signed.http_string.contains(", sha256 ") {
            notes.push(
                "{N bytes, sha256 …} stands for a value that is not shown; offsets count this text"
                    .to_owned(),
            );
        }
        notes
    }
}

impl Signed {
    fn new(sent: &Sent) -> Self {
        let http_string = http_string::compose(sent, Style::default());
        let claim = &sent.claim;
        let counts = |name: &String| strict::signs(name.as_bytes());
        let mut not_signed: Vec<String> = sent
            .header_names()
            .into_iter()
            .filter(|name| counts(name) && !claim.headers.contains(name))
            .collect();
        let parameters = sent.parameter_names().into_iter();
        not_signed.extend(parameters.filter(|name| !claim.parameters.contains(name)));
        Self {
            secret_id: claim.secret_id.chars().take(8).collect(),
            key_looks_temporary: claim.secret_id.len() > PERMANENT_ID,
            has_token: sent.has_token(),
            sign_time: claim.sign_time.clone(),
            string_to_sign: format!("sha1\n{}\n{}\n", claim.sign_time, sha1(&http_string)),
            http_string: redacted(&String::from_utf8_lossy(&http_string)),
            header_list: claim.headers.clone(),
            parameter_list: claim.parameters.clone(),
            not_sent: sent.listed_but_not_sent(),
            not_signed,
        }
    }
}

fn sha1(text: &[u8]) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
