//! The one door through which a whole key leaves in clear: to the key cache, to `keys once` and to
//! the key endpoint. Signing does not come here.
//!
//! A test pins the callers of [`reveal`]. What is written from a revealed key goes through
//! [`to_json`] or into a buffer that is wiped.

use std::io::{self, Write};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

use super::Credential;

/// The parts of a key in clear, borrowed from it: nothing is copied until it is written. Has no
/// `Debug` and no `Serialize` of its own, so that every shape names its fields.
pub struct Revealed<'a> {
    /// The whole public name.
    pub secret_id: &'a str,
    /// The signing secret.
    pub secret_key: &'a str,
    /// The token; `None` for a permanent key.
    pub token: Option<&'a str>,
    /// Last instant of validity, if it is known.
    pub expires_at: Option<Timestamp>,
    /// When the key reached us.
    pub received_at: Timestamp,
}

/// Opens a key.
#[must_use]
pub fn reveal(credential: &Credential) -> Revealed<'_> {
    Revealed {
        secret_id: credential.id.as_str(),
        secret_key: credential.secret.expose(),
        token: credential.token.as_ref().map(|token| token.expose()),
        expires_at: credential.expires_at,
        received_at: credential.received_at,
    }
}

/// JSON of `shape` in one buffer that never grows, so that no copy of a key stays behind, and is
/// wiped when dropped.
///
/// # Errors
/// What `shape` refuses to be written as; a struct of texts and numbers refuses nothing.
pub fn to_json(shape: &impl Serialize) -> Result<Zeroizing<String>, serde_json::Error> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, shape)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, shape)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    Ok(Zeroizing::new(text.expect("JSON is UTF-8")))
}

/// Counts what is written and keeps nothing of it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SecretId, SecretKey, SessionToken};

    #[derive(Serialize)]
    struct Shape<'a> {
        id: &'a str,
        secret: &'a str,
        token: Option<&'a str>,
        end: Option<u64>,
    }

    #[test]
    fn a_key_is_written_whole_into_a_buffer_of_its_exact_size() {
        let key = Credential {
            id: SecretId::new("AKIDexample").unwrap(),
            secret: SecretKey::new("sec\"ret\\").unwrap(),
            token: Some(SessionToken::new("token").unwrap()),
            expires_at: Some(Timestamp::from_unix_seconds(1_700_007_200)),
            received_at: Timestamp::from_unix_seconds(1_700_000_000),
        };
        let open = reveal(&key);
        let text = to_json(&Shape {
            id: open.secret_id,
            secret: open.secret_key,
            token: open.token,
            end: open.expires_at.map(Timestamp::unix_seconds),
        })
        .unwrap();
        let expected =
            r#"{"id":"AKIDexample","secret":"sec\"ret\\","token":"token","end":1700007200}"#;
        assert_eq!(text.as_str(), expected);
        assert_eq!(text.capacity(), expected.len(), "it grew, and left a copy behind");
        assert_eq!(open.received_at.unix_seconds(), 1_700_000_000);
    }
}
