//! What a person has in hand: a curl trace, a request and an error apart, or lines of our log.

use serde_json::Value;

use super::{
    Evidence, Refusal, Sent, TestKey, Unusable,
    refusal::date,
    trace::{self, Transcript},
};

/// A failed request as it was given.
#[derive(Debug)]
pub enum Input {
    /// As the proxy remembered or logged it.
    Remembered(Box<Evidence>),
    /// The request itself with the answer to it.
    Exchange {
        /// What was sent.
        sent: Box<Sent>,
        /// What COS said.
        refusal: Refusal,
        /// Unprintable bytes of the answer are dots.
        blurred: bool,
    },
}

impl Input {
    /// From one text: a curl trace, a head with an error behind it, the answer of the proxy's
    /// control, or lines of its log, of which the last failure counts.
    ///
    /// # Errors
    /// [`Unusable`] says what is missing.
    pub fn read(text: &[u8]) -> Result<Self, Unusable> {
        if let Some(evidence) = logged(&String::from_utf8_lossy(text))? {
            return Ok(Self::Remembered(Box::new(evidence)));
        }
        let found = trace::read(text);
        if let Some(reason) = answer_header(&found, "x-cos-auth-proxy-error") {
            return Err(Unusable::OfTheProxy { reason });
        }
        Self::exchange(&found, &found.body)
    }

    /// From a request and an error given apart; each may stand in a trace.
    ///
    /// # Errors
    /// [`Unusable`] says what is missing.
    pub fn of_parts(request: &[u8], error: &[u8]) -> Result<Self, Unusable> {
        let found = Transcript { body: Vec::new(), ..trace::read(request) };
        Self::exchange(&found, error)
    }

    fn exchange(found: &Transcript, error: &[u8]) -> Result<Self, Unusable> {
        let sent = Sent::read(&found.request)?;
        let mend = |text: String| {
            if found.blurred {
                trace::mended(&text, &sent.claim.headers, &sent.claim.parameters)
            } else {
                text
            }
        };
        let of_head = sent.method.eq_ignore_ascii_case("HEAD");
        let missing = if of_head { Unusable::NoErrorToHead } else { Unusable::NoError };
        let error = memchr::memmem::find(error, b"<Error>").map_or(error, |at| &error[at..]);
        let mut refusal = Refusal::read_mended(error, mend).ok_or(missing)?;
        refusal.status = status(&found.answer).unwrap_or(0);
        if refusal.server_time.is_none() {
            refusal.server_time = answer_header(found, "date").and_then(|value| date(&value));
        }
        Ok(Self::Exchange { sent: Box::new(sent), refusal, blurred: found.blurred })
    }

    /// The public name of the key that signed, where all of it is known.
    #[must_use]
    pub fn secret_id(&self) -> Option<&str> {
        match self {
            Self::Remembered(_) => None,
            Self::Exchange { sent, .. } => Some(&sent.claim.secret_id),
        }
    }

    /// What is known, tokens taken out; with a key, whether it made the signature.
    #[must_use]
    pub fn evidence(self, key: Option<&dyn TestKey>) -> Evidence {
        let (sent, refusal, blurred) = match self {
            Self::Remembered(evidence) => return *evidence,
            Self::Exchange { sent, refusal, blurred } => (sent, refusal, blurred),
        };
        let mut evidence = Evidence::new(&sent, refusal);
        if let Some(key) = key {
            evidence.test_key(&sent, key);
        }
        if blurred {
            evidence.blur();
        }
        evidence
    }
}

/// The last failure that a log tells; an error if the log tells of one and not of its strings.
fn logged(text: &str) -> Result<Option<Evidence>, Unusable> {
    if let Ok(evidence) = serde_json::from_str::<Evidence>(text) {
        return Ok(Some(evidence));
    }
    let mut warned = None;
    for line in text.lines().rev() {
        if let Some(evidence) = of_line(line) {
            return Ok(Some(evidence));
        }
        if warned.is_none() && line.contains(TARGET) {
            let line: Option<Value> = serde_json::from_str(line).ok();
            let id = line.as_ref().and_then(|line| line.get("request_id")?.as_str());
            warned = Some(id.unwrap_or("(unknown)").to_owned());
        }
    }
    match warned {
        Some(request_id) => Err(Unusable::OnlyWarning { request_id }),
        None => Ok(None),
    }
}

/// The target of the proxy's lines about refused signatures.
const TARGET: &str = "cos_auth_proxy::signature";

/// A line of JSON whose field `failure` holds the evidence as text, or a line for people that ends
/// with it.
fn of_line(line: &str) -> Option<Evidence> {
    const START: &str = "{\"signature_failure\"";
    if !line.contains("signature_failure") {
        return None;
    }
    if let Ok(fields) = serde_json::from_str::<Value>(line)
        && let Some(text) = fields.get("failure").and_then(Value::as_str)
    {
        return serde_json::from_str(text).ok();
    }
    let rest = line.get(line.find(START)?..)?;
    serde_json::Deserializer::from_str(rest).into_iter().next()?.ok()
}

fn status(answer: &[u8]) -> Option<u16> {
    let first = answer.split(|&byte| byte == b'\n').find(|line| line.starts_with(b"HTTP/"))?;
    str::from_utf8(first).ok()?.split(' ').nth(1)?.trim().parse().ok()
}

fn answer_header(found: &Transcript, name: &str) -> Option<String> {
    let lines = found.answer.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let is = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        is.then(|| String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned())
    })
}
