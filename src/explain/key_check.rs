//! Does a key make the very signature that was sent, and over which text?

use serde::{Deserialize, Serialize};

use super::{
    Cause,
    http_string::{Escapes, ParameterStyle, PathStyle, Style, compose},
    sent::Sent,
};

/// A key that can sign, without being seen.
pub trait TestKey {
    /// Its public name.
    fn id(&self) -> &str;
    /// The signature of `http_string` in the window `key_time`, 40 hex digits; `None` if that is
    /// no window.
    fn signature(&self, key_time: &str, http_string: &[u8]) -> Option<String>;
}

/// What the test showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyCheck {
    /// The request was signed with another key: the first 8 characters of the configured one.
    OtherKey(String),
    /// The key makes this signature over the request as COS reads it.
    Matches,
    /// The key makes this signature over another text.
    MatchesOtherText {
        /// What is wrong with that text.
        cause: Cause,
        /// In words.
        how: String,
    },
    /// The key makes this signature over none of the texts that were tried.
    Differs,
}

/// Tries the key on the text as COS reads it and on the texts that signers are known to sign.
pub(super) fn check(sent: &Sent, key: &dyn TestKey) -> KeyCheck {
    if key.id() != sent.claim.secret_id {
        return KeyCheck::OtherKey(key.id().chars().take(8).collect());
    }
    let makes_it = |style: Style| {
        let made = key.signature(&sent.claim.key_time, &compose(sent, style));
        made.as_ref() == Some(&sent.claim.signature)
    };
    if makes_it(Style::default()) {
        return KeyCheck::Matches;
    }
    let found = deviations().into_iter().find(|(style, _, _)| makes_it(*style));
    found.map_or(KeyCheck::Differs, |(_, cause, how)| KeyCheck::MatchesOtherText {
        cause,
        how: how.to_owned(),
    })
}

/// Texts that signers are known to sign instead.
fn deviations() -> Vec<(Style, Cause, &'static str)> {
    let usual = Style::default();
    let path = |path| Style { path, ..usual };
    let parameters = |parameters| Style { parameters, ..usual };
    let escapes = |escapes| Style { escapes, ..usual };
    vec![
        (
            path(PathStyle::AsSent),
            Cause::DoubleEncoding,
            "the path was signed percent-encoded; COS signs it decoded",
        ),
        (
            path(PathStyle::PlusIsSpace),
            Cause::PlusInPath,
            "a + of the path was signed as a space; in a path it is a plus",
        ),
        (path(PathStyle::DecodedTwice), Cause::DoubleEncoding, "the path was signed decoded twice"),
        (
            parameters(ParameterStyle::PlusIsPlus),
            Cause::PlusInQuery,
            "a + of the query was signed as a plus; in a query it is a space",
        ),
        (
            parameters(ParameterStyle::PlusIsSpace),
            Cause::PlusInQuery,
            "an encoded plus (%2B) of the query was signed as a space",
        ),
        (
            escapes(Escapes::SpaceIsPlus),
            Cause::PlusInQuery,
            "spaces were signed as +; they are signed as %20",
        ),
        (
            escapes(Escapes::MarksStay),
            Cause::SignerDiffers,
            "! ' ( ) * were signed as they are; they are signed percent-encoded",
        ),
        (
            escapes(Escapes::SlashStays),
            Cause::SignerDiffers,
            "/ was signed as it is in names and values; there it is signed as %2F",
        ),
        (
            escapes(Escapes::TildeEncoded),
            Cause::SignerDiffers,
            "~ was signed as %7E; it is signed as it is",
        ),
        (
            parameters(ParameterStyle::EncodedTwice),
            Cause::DoubleEncoding,
            "the query was encoded once more before signing",
        ),
        (
            parameters(ParameterStyle::AsSent),
            Cause::DoubleEncoding,
            "the query's values were signed as they stand on the wire, not encoded as COS does",
        ),
        (
            parameters(ParameterStyle::LeftOut),
            Cause::ParameterNotSigned,
            "q-url-param-list names parameters that were not signed",
        ),
        (
            parameters(ParameterStyle::AllOfThem),
            Cause::ParameterNotSigned,
            "more parameters were signed than q-url-param-list names",
        ),
        (
            Style { names_keep_case: true, ..usual },
            Cause::EscapeCase,
            "escapes in names were signed in upper case; names are lower-cased after encoding",
        ),
        (
            escapes(Escapes::LowerCase),
            Cause::EscapeCase,
            "escapes were signed in lower case; values have them in upper case (%2F)",
        ),
        (
            Style { header_values_plain: true, ..usual },
            Cause::SignerDiffers,
            "header values were signed without percent-encoding",
        ),
        (
            Style { header_values_untrimmed: true, ..usual },
            Cause::WhiteSpace,
            "header values were signed with the blanks around them",
        ),
        (
            Style { host_without_port: true, ..usual },
            Cause::WrongHost,
            "Host was signed without the port it was sent with",
        ),
        (
            Style { sorted_by_plain_name: true, ..usual },
            Cause::Order,
            "names were sorted before they were encoded",
        ),
        (
            Style { upper_case_method: true, ..usual },
            Cause::SignerDiffers,
            "the method was signed in upper case",
        ),
        (
            Style { no_last_line_end: true, ..usual },
            Cause::SignerDiffers,
            "the last line end of HttpString was left out",
        ),
    ]
}
