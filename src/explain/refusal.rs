//! What COS's error document says: XML as in Tencent Cloud doc 436/7730, or the JSON of its gateways.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::redact::redacted;

/// How much of an error document is kept: far more than COS sends.
pub const ERROR_BYTES: usize = 16 * 1024;

/// An error of COS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// HTTP status; 0 if it is not known.
    pub status: u16,
    /// `Code`.
    pub code: String,
    /// `Message`.
    pub message: String,
    /// `StringToSign` as COS computed it.
    pub string_to_sign: Option<String>,
    /// `FormatString`: `HttpString` of the request as it reached COS.
    pub format_string: Option<String>,
    /// The document ends inside `FormatString`.
    pub cut: bool,
    /// COS's time, Unix seconds: `ServerTime`, or `Date` of the answer.
    pub server_time: Option<u64>,
    /// `RequestId`.
    pub request_id: String,
    /// `Resource`.
    pub resource: String,
}

impl Refusal {
    /// Finds the error in a text that may hold more than it. What must not be seen is taken out.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        Self::read_mended(text, |string| string)
    }

    /// As [`Self::read`]; `mend` restores what the input lost of COS's two strings.
    pub(super) fn read_mended(text: &[u8], mend: impl Fn(String) -> String) -> Option<Self> {
        let text = String::from_utf8_lossy(text.get(..ERROR_BYTES).unwrap_or(text));
        Self::from_xml(&text, mend).or_else(|| Self::from_json(&text))
    }

    /// Whether it is about the signature or its time, so that an explanation is of use.
    #[must_use]
    pub fn is_about_signature(&self) -> bool {
        self.code == "SignatureDoesNotMatch"
            || self.is_about_time()
            || (self.code == "AccessDenied" && self.message.contains("ignature"))
    }

    pub(super) fn is_about_time(&self) -> bool {
        let expired = "Request has expired";
        self.code == "RequestTimeTooSkewed"
            || self.code == expired
            || (self.code == "AccessDenied" && self.message.trim() == expired)
    }

    fn from_xml(text: &str, mend: impl Fn(String) -> String) -> Option<Self> {
        let error = text.get(text.find("<Error>")?..)?;
        let element = |name: &str| element(error, name).map(|(value, _)| value);
        let format_string = self::element(error, "FormatString");
        let shown = |name: &str| redacted(&element(name).unwrap_or_default());
        Some(Self {
            status: 0,
            code: element("Code")?,
            message: shown("Message"),
            string_to_sign: element("StringToSign").map(&mend),
            cut: format_string.as_ref().is_some_and(|(_, whole)| !whole),
            format_string: format_string.map(|(text, _)| redacted(&mend(text))),
            server_time: element("ServerTime").and_then(|text| unix_seconds(text.trim())),
            request_id: element("RequestId").unwrap_or_default(),
            resource: shown("Resource"),
        })
    }

    /// `{"code": …, "message": …, "request_id": …}`.
    fn from_json(text: &str) -> Option<Self> {
        let start = text.find('{')?;
        let mut values = serde_json::Deserializer::from_str(text.get(start..)?).into_iter();
        let value: serde_json::Value = values.next()?.ok()?;
        let text = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        let code = text("code").to_owned();
        (!code.is_empty()).then(|| Self {
            code,
            message: redacted(text("message")),
            request_id: text("request_id").to_owned(),
            ..Self::default()
        })
    }
}

/// The text of an element, and whether its end was there.
fn element(text: &str, name: &str) -> Option<(String, bool)> {
    let opening = format!("<{name}>");
    let inner = text.get(text.find(&opening)? + opening.len()..)?;
    match inner.find(&format!("</{name}>")) {
        Some(end) => Some((unescaped(inner.get(..end)?), true)),
        None => Some((unescaped(inner), false)),
    }
}

/// Entities become what they stand for; unknown ones stay.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let entity = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        match entity.and_then(|(name, tail)| Some((character(name)?, tail))) {
            Some((character, tail)) => {
                plain.push(character);
                rest = tail;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn unix_seconds(rfc3339: &str) -> Option<u64> {
    let at = humantime::parse_rfc3339(rfc3339).ok()?;
    Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The time a `Date` header tells.
pub(super) fn date(value: &str) -> Option<u64> {
    let at = httpdate::parse_http_date(value.trim()).ok()?;
    Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_in_whatever_stands_around_it() {
        let text = "< HTTP/1.1 403\n<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>SignatureDoesNotMatch</Code>\n\
            \t<Message>no</Message>\n\t<StringToSign>sha1\n1;2\nab\n</StringToSign>\n\
            \t<FormatString>get\n/a&lt;&amp;&#13;&#x9;&nbsp;&\na=&amp;b=\nhost=h\n</FormatString>\n\
            \t<ServerTime>2019-04-09T03:39:20Z</ServerTime>\n\t<RequestId>id</RequestId>\n</Error>* Connection";
        let refusal = Refusal::read(text.as_bytes()).unwrap();
        assert_eq!(refusal.code, "SignatureDoesNotMatch");
        assert_eq!(refusal.format_string.unwrap(), "get\n/a<&\r\t&nbsp;&\na=&b=\nhost=h\n");
        assert_eq!(refusal.server_time, Some(1_554_781_160));
        assert_eq!((refusal.request_id.as_str(), refusal.cut), ("id", false));
    }

    #[test]
    fn a_document_that_was_cut_off_says_so_and_json_is_read_too() {
        let cut = Refusal::read(b"<Error><Code>SignatureDoesNotMatch</Code><FormatString>get\n/a");
        let cut = cut.unwrap();
        assert!(cut.cut);
        assert_eq!(cut.format_string.unwrap(), "get\n/a");
        let json = br#"x {"code":"RequestTimeTooSkewed","message":"m","request_id":"i"}"#;
        assert!(Refusal::read(json).unwrap().is_about_signature());
        for text in ["", "<html>", "{}", "{\"message\":1}", "<Error><Code>"] {
            assert!(Refusal::read(text.as_bytes()).is_none_or(|r| r.code.is_empty()), "{text}");
        }
    }
}
