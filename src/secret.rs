//! Values that must not be seen: the parts of a key.
//!
//! `SecretKey` and `SessionToken` cannot be printed, cloned or serialised, and are wiped when
//! dropped. Only `sign`, the composing step of `proxy` and the STS sources read them; a test pins
//! the callers of `expose`.

use std::fmt;

use zeroize::Zeroizing;

/// Why a text is not a part of a key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Nothing is left after trimming white space.
    #[error("is empty")]
    Empty,
    /// A blank, control or non-ASCII character inside, which no HTTP header could carry.
    #[error(
        "has a character at position {position} that no key contains (blank, control or non-ASCII)"
    )]
    BadCharacter {
        /// Byte position in the trimmed text, counted from 0.
        position: usize,
    },
    /// Longer than any key Tencent Cloud issues (8 KiB).
    #[error("is longer than 8192 bytes")]
    TooLong,
}

fn checked(text: &str) -> Result<&str, BadSecret> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadSecret::Empty);
    }
    if text.len() > 8192 {
        return Err(BadSecret::TooLong);
    }
    match text.bytes().position(|b| !(0x21..0x7f).contains(&b)) {
        Some(position) => Err(BadSecret::BadCharacter { position }),
        None => Ok(text),
    }
}

/// The public name of a key (`q-ak`, `Credential=`). It travels in clear in every request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretId(String);

impl SecretId {
    /// Takes the text without surrounding white space.
    ///
    /// # Errors
    /// [`BadSecret`] if nothing is left or a character cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, BadSecret> {
        checked(text).map(|t| Self(t.to_owned()))
    }

    /// The whole id, for signing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has the look of a temporary key's: longer than the 36 characters of a permanent
    /// one.
    #[must_use]
    pub fn looks_temporary(&self) -> bool {
        self.0.len() > 36
    }

    /// The first 8 characters: enough to find the key in a console, for logs and status.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretId({}…)", self.short())
    }
}

/// The signing secret.
#[derive(PartialEq, Eq)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes the text without surrounding white space.
    ///
    /// # Errors
    /// [`BadSecret`] if nothing is left or a character cannot stand in a key.
    pub fn new(text: &str) -> Result<Self, BadSecret> {
        checked(text).map(|t| Self(Zeroizing::new(t.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// The token that makes a temporary key valid (`x-cos-security-token`, `X-TC-Token`).
#[derive(PartialEq, Eq)]
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// Takes the text without surrounding white space.
    ///
    /// # Errors
    /// [`BadSecret`] if nothing is left or a character cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, BadSecret> {
        checked(text).map(|t| Self(Zeroizing::new(t.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let key = SecretKey::new("verysecretvalue").unwrap();
        let token = SessionToken::new("verysecrettoken").unwrap();
        let id = SecretId::new("AKIDexampleexample").unwrap();
        let shown = format!("{key:?} {token:?} {id:?}");
        assert_eq!(shown, "SecretKey(redacted) SessionToken(redacted) SecretId(AKIDexam…)");
    }

    #[test]
    fn white_space_around_a_key_is_dropped_and_inside_refused() {
        assert_eq!(SecretKey::new(" abc\n").unwrap().expose(), "abc");
        assert_eq!(SecretKey::new("a b").unwrap_err(), BadSecret::BadCharacter { position: 1 });
        assert_eq!(SecretId::new(" \n").unwrap_err(), BadSecret::Empty);
        assert_eq!(
            SessionToken::new("a\r\nx: y").unwrap_err(),
            BadSecret::BadCharacter { position: 1 }
        );
    }
}
