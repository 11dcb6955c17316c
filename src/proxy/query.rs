//! The query: its parameters as they stand on the wire, and which of them a client's signature
//! brought along.

use super::{Reason, Refused, escape};

/// More than any COS operation takes; bounds the comparison of all with all.
const MOST_PARAMETERS: usize = 256;

/// The parameters of a query, read anew at each pass: nothing is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters<'b> {
    query: &'b [u8],
}

/// One parameter: raw bytes of name and value, and where they stand in the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter<'b> {
    pub(super) name: &'b [u8],
    pub(super) value: &'b [u8],
    /// Name, `=` and value as sent.
    pub(super) whole: &'b [u8],
}

impl<'b> Parameters<'b> {
    pub(super) fn new(query: &'b [u8]) -> Self {
        Self { query }
    }

    /// In the order sent; empty pieces (`a&&b`) are skipped.
    pub(super) fn iter(self) -> impl Iterator<Item = Parameter<'b>> + Clone {
        self.query.split(|&b| b == b'&').filter(|piece| !piece.is_empty()).map(|whole| {
            match memchr::memchr(b'=', whole) {
                Some(at) => {
                    let (name, value) = whole.split_at(at);
                    Parameter { name, value: value.get(1..).unwrap_or_default(), whole }
                }
                None => Parameter { name: whole, value: &[], whole },
            }
        })
    }

    /// Whether `name` is there, with or without a value; case matters.
    pub(super) fn has(self, name: &str) -> bool {
        !self.query.is_empty() && self.iter().any(|p| decoded(p.name).eq(name.bytes()))
    }

    /// The bytes of the value of `name`, as sent; case matters.
    pub(super) fn value(self, name: &str) -> Option<&'b [u8]> {
        self.iter().find(|p| decoded(p.name).eq(name.bytes())).map(|p| p.value)
    }

    fn has_ignoring_case(self, name: &str) -> bool {
        self.iter().any(|p| p.is_named(name))
    }

    /// All names, decoded. An empty query has one, which is empty.
    pub(super) fn names(self) -> impl Iterator<Item = impl Iterator<Item = u8> + Clone> {
        self.iter().map(|p| decoded(p.name))
    }

    /// Refuses what signers read in different ways: repeated names, names equal up to case.
    pub(super) fn check(self) -> Result<(), Refused> {
        if self.query.is_empty() {
            return Ok(());
        }
        let mut rest = self.iter();
        let mut count = 0;
        while let Some(parameter) = rest.next() {
            count += 1;
            if count > MOST_PARAMETERS {
                return Err(Reason::TooManyParameters.refused());
            }
            let same = |other: Parameter<'_>| same_name(parameter.name, other.name);
            if rest.clone().take(MOST_PARAMETERS).any(same) {
                let name: Vec<u8> = decoded(parameter.name).take(100).collect();
                let name = String::from_utf8_lossy(&name).into_owned();
                return Err(Reason::RepeatedParameter.because(&format!("Parameter: {name}.")));
            }
        }
        Ok(())
    }

    /// Whether a client's own signature brought some of the parameters along.
    pub(super) fn carries_authority(self) -> bool {
        if self.query.is_empty() {
            return false;
        }
        let signatures = Signatures::of(self);
        self.iter().any(|p| signatures.brought(&p))
    }

    /// The parameters without those that a client's own signature brought along.
    pub(super) fn without_authority(self) -> impl Iterator<Item = Parameter<'b>> {
        let signatures = Signatures::of(self);
        self.iter().filter(move |p| !signatures.brought(p))
    }
}

impl Parameter<'_> {
    fn is_named(&self, name: &str) -> bool {
        decoded(self.name).map(|b| b.to_ascii_lowercase()).eq(name.bytes())
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is_named(name))
    }
}

/// Which forms of signature a query carries. All names here in lower case.
#[derive(Debug, Clone, Copy)]
struct Signatures {
    cos: bool,
    v2: bool,
    v4: bool,
}

/// The pre-signed form of COS, and the extras that its JavaScript SDKs add only with it.
const COS_FORM: [&str; 10] = [
    "q-sign-algorithm",
    "q-ak",
    "q-sign-time",
    "q-key-time",
    "q-header-list",
    "q-url-param-list",
    "q-signature",
    "token",
    "clientip",
    "clientua",
];
const V2_FORM: [&str; 3] = ["awsaccesskeyid", "signature", "expires"];
const V4_FORM: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-content-sha256",
    "x-amz-user-agent",
];
/// Tokens go in every case: one that is not ours cannot be valid beside our signature.
const TOKENS: [&str; 3] = ["x-cos-security-token", "x-ci-security-token", "x-amz-security-token"];

impl Signatures {
    fn of(query: Parameters<'_>) -> Self {
        let has = |name| query.has_ignoring_case(name);
        Self {
            cos: has("q-sign-algorithm") || has("q-signature") || has("q-ak"),
            v2: has("awsaccesskeyid") && has("signature"),
            v4: has("x-amz-signature") || has("x-amz-algorithm") || has("x-amz-credential"),
        }
    }

    fn brought(self, parameter: &Parameter<'_>) -> bool {
        parameter.is_one_of(&TOKENS)
            || (self.cos && parameter.is_one_of(&COS_FORM))
            || (self.v2 && parameter.is_one_of(&V2_FORM))
            || (self.v4 && parameter.is_one_of(&V4_FORM))
            || (parameter.is_named("sign") && is_whole_authorization(parameter.value))
    }
}

/// `sign=<the whole authorization, encoded>`, or an empty one; a user's own `sign` stays.
fn is_whole_authorization(value: &[u8]) -> bool {
    if value.is_empty() {
        return true;
    }
    let value: Vec<u8> = decoded(value).map(|b| b.to_ascii_lowercase()).collect();
    memchr::memmem::find(&value, b"q-signature=").is_some()
        || memchr::memmem::find(&value, b"q-sign-algorithm=").is_some()
}

fn same_name(one: &[u8], other: &[u8]) -> bool {
    let lower = |name| decoded(name).map(|b: u8| b.to_ascii_lowercase());
    lower(one).eq(lower(other))
}

/// The bytes of a name or value as COS reads them: escapes decoded once, `+` is a space.
fn decoded(wire: &[u8]) -> impl Iterator<Item = u8> + Clone {
    escape::decoded(wire).map(|(byte, escaped)| if byte == b'+' && !escaped { b' ' } else { byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(query: &str) -> String {
        let kept: Vec<&[u8]> =
            Parameters::new(query.as_bytes()).without_authority().map(|p| p.whole).collect();
        String::from_utf8(kept.join(&b'&')).unwrap()
    }

    #[test]
    fn every_form_of_client_signature_is_cut_out_and_the_rest_keeps_its_bytes() {
        for (query, left) in [
            ("", ""),
            ("prefix=a+b%2f/&marker=&acl", "prefix=a+b%2f/&marker=&acl"),
            (
                "acl&q-sign-algorithm=sha1&q-ak=a&q-sign-time=1%3B2&q-key-time=1;2&q-header-list=host&q-url-param-list=&q-signature=f&x=1",
                "acl&x=1",
            ),
            ("Q-Sign-Algorithm=sha1&q%2Dak=a&k", "k"),
            ("q-signature=f&token=t&clientIP=1&clientUA=u&versionId=3", "versionId=3"),
            ("token=t&clientIP=1&clientUA=u", "token=t&clientIP=1&clientUA=u"),
            ("x-cos-security-token=t&a=b", "a=b"),
            ("X-CI-Security-Token=t&a=b", "a=b"),
            ("sign=q-sign-algorithm%3Dsha1%26q-ak%3Da%26q-signature%3Df&a=b", "a=b"),
            ("sign=&a=b", "a=b"),
            ("sign=libra&a=b", "sign=libra&a=b"),
            ("AWSAccessKeyId=a&Signature=b%3D&Expires=1&a=b", "a=b"),
            ("Expires=1&Signature=b", "Expires=1&Signature=b"),
            (
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&X-Amz-Signature=s&versionId=3",
                "versionId=3",
            ),
            ("x-id=PutObject", "x-id=PutObject"),
        ] {
            assert_eq!(kept(query), left, "{query}");
        }
    }

    #[test]
    fn names_that_repeat_or_differ_only_in_case_are_refused() {
        for query in ["a=1&a=2", "a&b&a", "Prefix=B&prefix=a", "a%62=1&ab=2", "a+b&a%20b"] {
            let refused = Parameters::new(query.as_bytes()).check().unwrap_err();
            assert_eq!(refused.reason, Reason::RepeatedParameter, "{query}");
        }
        for query in ["", "a=1&b=1&c", "a&&b&", "a%2Bb&a+b", "x[0]&x1"] {
            assert_eq!(Parameters::new(query.as_bytes()).check(), Ok(()), "{query}");
        }
        let many: Vec<String> = (0..257).map(|n| format!("p{n}")).collect();
        let refused = Parameters::new(many.join("&").as_bytes()).check().unwrap_err();
        assert_eq!(refused.reason, Reason::TooManyParameters);
        assert_eq!(Parameters::new(many[1..].join("&").as_bytes()).check(), Ok(()));
    }
}
