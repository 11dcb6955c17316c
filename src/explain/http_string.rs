//! `HttpString` of a request as it was sent, written as COS writes it or in another way that
//! signers are known to write it.

use std::borrow::Cow;

use crate::sign::canonical::trim_blanks;

use super::sent::{Sent, encoded, encoded_name, form_decoded, path_decoded};

/// How a signer writes `HttpString`. The default is COS's way; each field is one known deviation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) upper_case_method: bool,
    pub(super) path: PathStyle,
    pub(super) parameters: ParameterStyle,
    pub(super) names_keep_case: bool,
    pub(super) escapes: Escapes,
    pub(super) header_values_plain: bool,
    pub(super) header_values_untrimmed: bool,
    pub(super) host_without_port: bool,
    pub(super) sorted_by_plain_name: bool,
    pub(super) no_last_line_end: bool,
}

/// How the path is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PathStyle {
    #[default]
    Decoded,
    AsSent,
    PlusIsSpace,
    DecodedTwice,
}

/// How names and values of the query are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ParameterStyle {
    #[default]
    FormDecoded,
    PlusIsPlus,
    /// Even an encoded plus is read as a space.
    PlusIsSpace,
    /// Encoded once more instead of decoded first.
    EncodedTwice,
    AsSent,
    /// The query takes no part.
    LeftOut,
    /// Every parameter takes part, listed or not.
    AllOfThem,
}

/// How names and values are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Escapes {
    #[default]
    UpperCase,
    LowerCase,
    /// A space is a `+`, as in forms.
    SpaceIsPlus,
    /// `! \' ( ) *` stay, as with JavaScript's `encodeURIComponent`.
    MarksStay,
    /// `/` stays, as with Python's `quote`.
    SlashStays,
    /// `~` is encoded, as encoders older than RFC 3986 do.
    TildeEncoded,
}

/// A pair as it is written, and its plain name.
struct Pair {
    plain_name: Vec<u8>,
    name: String,
    value: String,
}

/// `HttpString` over exactly what the signature lists.
pub(super) fn compose(sent: &Sent, style: Style) -> Vec<u8> {
    let mut text = if style.upper_case_method {
        sent.method.clone().into_bytes()
    } else {
        sent.method.to_ascii_lowercase().into_bytes()
    };
    text.push(b'\n');
    text.extend(path(sent, style.path));
    text.push(b'\n');
    text.extend_from_slice(joined(parameters(sent, style), style).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(joined(headers(sent, style), style).as_bytes());
    if !style.no_last_line_end {
        text.push(b'\n');
    }
    text
}

fn path(sent: &Sent, style: PathStyle) -> Vec<u8> {
    match style {
        PathStyle::Decoded => path_decoded(&sent.path),
        PathStyle::AsSent => sent.path.clone(),
        PathStyle::PlusIsSpace => form_decoded(&sent.path),
        PathStyle::DecodedTwice => path_decoded(&path_decoded(&sent.path)),
    }
}

fn parameters(sent: &Sent, style: Style) -> Vec<Pair> {
    let read = |wire: &[u8]| match style.parameters {
        ParameterStyle::PlusIsPlus => path_decoded(wire),
        ParameterStyle::EncodedTwice | ParameterStyle::AsSent => wire.to_vec(),
        ParameterStyle::PlusIsSpace => {
            let plain = form_decoded(wire);
            plain.into_iter().map(|byte| if byte == b'+' { b' ' } else { byte }).collect()
        }
        ParameterStyle::FormDecoded | ParameterStyle::LeftOut | ParameterStyle::AllOfThem => {
            form_decoded(wire)
        }
    };
    let takes_part = |name: &[u8]| match style.parameters {
        ParameterStyle::LeftOut => false,
        ParameterStyle::AllOfThem => true,
        ParameterStyle::FormDecoded
        | ParameterStyle::PlusIsPlus
        | ParameterStyle::PlusIsSpace
        | ParameterStyle::EncodedTwice
        | ParameterStyle::AsSent => {
            sent.claim.parameters.contains(&encoded_name(&form_decoded(name)))
        }
    };
    let pair = |(name, value): (&[u8], &[u8])| {
        let plain_name = read(name);
        let value = match style.parameters {
            ParameterStyle::AsSent => String::from_utf8_lossy(value).into_owned(),
            ParameterStyle::FormDecoded
            | ParameterStyle::PlusIsPlus
            | ParameterStyle::PlusIsSpace
            | ParameterStyle::EncodedTwice
            | ParameterStyle::LeftOut
            | ParameterStyle::AllOfThem => encoded(&read(value)),
        };
        let name = if style.names_keep_case {
            encoded(&plain_name.to_ascii_lowercase())
        } else {
            encoded_name(&plain_name)
        };
        Pair { plain_name: plain_name.to_ascii_lowercase(), name, value }
    };
    sent.parameters().filter(|(name, _)| takes_part(name)).map(pair).collect()
}

fn headers(sent: &Sent, style: Style) -> Vec<Pair> {
    let listed = |name: &[u8]| sent.claim.headers.contains(&encoded_name(name));
    let pair = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let mut value: Cow<'_, [u8]> = if style.header_values_untrimmed {
            value.as_slice().into()
        } else {
            trim_blanks(value).into()
        };
        if style.host_without_port && name.eq_ignore_ascii_case(b"host") {
            let end = memchr::memrchr(b':', &value).unwrap_or(value.len());
            value = value[..end].to_vec().into();
        }
        let value = if style.header_values_plain {
            String::from_utf8_lossy(&value).into_owned()
        } else {
            encoded(&value)
        };
        Pair { plain_name: name.to_ascii_lowercase(), name: encoded_name(name), value }
    };
    sent.headers.iter().filter(|(name, _)| listed(name)).map(pair).collect()
}

fn joined(mut pairs: Vec<Pair>, style: Style) -> String {
    if style.sorted_by_plain_name {
        pairs.sort_by(|a, b| a.plain_name.cmp(&b.plain_name));
    } else {
        pairs.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let write = |pair: &Pair| {
        let text = format!("{}={}", pair.name, pair.value);
        match style.escapes {
            Escapes::UpperCase => text,
            Escapes::LowerCase => escapes_lowered(&text),
            Escapes::SpaceIsPlus => text.replace("%20", "+"),
            Escapes::MarksStay => ["!", "'", "(", ")", "*"]
                .iter()
                .fold(text, |text, mark| text.replace(&encoded(mark.as_bytes()), mark)),
            Escapes::SlashStays => text.replace("%2F", "/"),
            Escapes::TildeEncoded => text.replace('~', "%7E"),
        }
    };
    pairs.iter().map(write).collect::<Vec<_>>().join("&")
}

/// `%2F` as `%2f`.
fn escapes_lowered(text: &str) -> String {
    let mut left = 0;
    text.chars()
        .map(|c| {
            if c == '%' {
                left = 2;
                c
            } else if left > 0 {
                left -= 1;
                c.to_ascii_lowercase()
            } else {
                c
            }
        })
        .collect()
}
