//! Keeps other users of the host out: a token that a request must show.

use std::path::PathBuf;

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::answer::{Refusal, Why};

/// Larger than any token.
const LARGEST: u64 = 8 * 1024;

/// A token in a file, read at each request, so that it can be replaced without a restart.
#[derive(Debug)]
pub(super) struct Bearer {
    file: PathBuf,
}

impl Bearer {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Whether `headers` show the token. Without a readable token nobody is let in.
    pub(super) async fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |text: &str| Refusal::new(Why::Unauthorized, text);
        let token = self.token().await.map_err(|error| {
            tracing::error!(file = %self.file.display(), %error, "key_endpoint.bearer_token_file");
            refuse("the token of the key endpoint cannot be read; its log says why")
        })?;
        let expected = token.trim_ascii();
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(sent), None) = (sent.next(), sent.next()) else {
            return Err(refuse("send the header `Authorization: Bearer TOKEN`"));
        };
        let sent = sent.as_bytes();
        let right = match sent.split_at_checked(b"bearer ".len()) {
            Some((scheme, sent)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                !expected.is_empty() && bool::from(sent.trim_ascii().ct_eq(expected))
            }
            Some(_) | None => false,
        };
        if right { Ok(()) } else { Err(refuse("the bearer token is not the right one")) }
    }

    async fn token(&self) -> std::io::Result<Zeroizing<Vec<u8>>> {
        let file = tokio::fs::File::open(&self.file).await?;
        let mut token = Zeroizing::new(Vec::with_capacity(1024));
        file.take(LARGEST).read_to_end(&mut token).await?;
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn admitted(file: Option<&str>, sent: &[&str]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        Bearer::new(path).check(&headers).await.is_ok()
    }

    #[tokio::test]
    async fn only_the_right_token_is_let_in() {
        let token = Some("right-token\n");
        for (file, sent, expected) in [
            (token, &["Bearer right-token"][..], true),
            (token, &["bearer right-token"], true),
            (token, &["Bearer wrong-token"], false),
            (token, &["Bearer right-token2"], false),
            (token, &["Bearer right-toke"], false),
            (token, &["Basic right-token"], false),
            (token, &["right-token"], false),
            (token, &["Bearer"], false),
            (token, &["Bearer "], false),
            (token, &[], false),
            (token, &["Bearer right-token", "Bearer right-token"], false),
            (Some("\n"), &["Bearer "], false),
            (Some(""), &["Bearer "], false),
            (None, &["Bearer right-token"], false),
        ] {
            assert_eq!(admitted(file, sent).await, expected, "{file:?} {sent:?}");
        }
    }
}
