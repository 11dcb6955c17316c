//! Percent-encoding as COS reads it: in paths, queries and list answers.

use super::CosError;

/// Decodes a path or a copy source once; `+` stays a plus.
///
/// # Errors
/// 400 `InvalidURI` for an escape that is not two hex digits, or bytes that are not UTF-8: keys are
/// UTF-8 (Tencent Cloud doc 436/13324).
pub(crate) fn decode(text: &str) -> Result<String, CosError> {
    decode_bytes(text.bytes())
}

/// Decodes one side of a query pair; `+` is a space.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_form(text: &str) -> Result<String, CosError> {
    decode_bytes(text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }))
}

/// Encodes everything but unreserved characters and `/`: the form of `encoding-type=url` answers.
pub(crate) fn encode_key(key: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// The query of a request, decoded, in the order of the wire.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the part behind `?`.
    ///
    /// # Errors
    /// As [`decode`].
    pub(crate) fn parse(query: &str) -> Result<Self, CosError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_form(name)?, decode_form(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The first value of that name; names are case-sensitive. An absent `=` is an empty value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(listed, _)| listed == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name is there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value if it is there and not empty: clients send `marker=` for "from the start".
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A number, or `default` if the name is absent or empty.
    ///
    /// # Errors
    /// 400 `InvalidArgument` if it is not a number.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, CosError> {
        let Some(value) = self.filled(name) else { return Ok(default) };
        value.parse().map_err(|_not_a_number| {
            CosError::new(400, "InvalidArgument", format!("{name} must be a number"))
        })
    }
}

fn decode_bytes(mut bytes: impl Iterator<Item = u8>) -> Result<String, CosError> {
    let bad = || CosError::new(400, "InvalidURI", "Could not parse the specified URI.");
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(bad()) };
        decoded.push(u8::try_from(high * 16 + low).map_err(|_two_digits| bad())?);
    }
    String::from_utf8(decoded).map_err(|_not_utf8| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_encoded_key_decodes_to_itself(key in ".*") {
            proptest::prop_assert_eq!(decode(&encode_key(&key)).unwrap(), key.clone());
            proptest::prop_assert_eq!(decode_form(&encode_key(&key)).unwrap(), key);
        }
    }

    #[test]
    fn plus_is_a_space_in_a_query_only() {
        assert_eq!(decode("a+b%2Bc").unwrap(), "a+b+c");
        let query = Query::parse("prefix=a+b%2Bc&acl&&marker=").unwrap();
        assert_eq!(query.get("prefix"), Some("a b+c"));
        assert_eq!(query.get("acl"), Some(""));
        assert_eq!(query.filled("marker"), None);
        assert!(!query.has("Prefix"));
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for bad in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(bad).unwrap_err().code, "InvalidURI", "{bad}");
        }
    }
}
