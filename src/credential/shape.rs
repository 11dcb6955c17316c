//! A key as other programs read one: the shapes of the key endpoint and of `keys once`.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

use super::{
    Credential,
    reveal::{Revealed, reveal, to_json},
};

/// What a key is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShape {
    /// JSON as the COS STS SDKs return it.
    Sts,
    /// JSON as CVM's metadata answers it.
    Metadata,
    /// Lines for a shell: `export NAME='value';`.
    Env,
    /// JSON of an AWS credential process, version 1.
    CredentialProcess,
}

/// Writes `credential`, whole and in clear, into a buffer that is wiped when dropped.
///
/// `expires_at` is the end that is told; never later than the key's own. `request_id` stands in the
/// one shape that has such a field.
#[must_use]
pub fn write_key(
    credential: &Credential,
    shape: KeyShape,
    expires_at: Option<Timestamp>,
    request_id: &str,
) -> Zeroizing<String> {
    let key = reveal(credential);
    let end = match (expires_at, key.expires_at) {
        (Some(told), Some(own)) => Some(told.min(own)),
        (told, own) => told.or(own),
    };
    let expired_time = end.map(Timestamp::unix_seconds);
    let expiration = end.map(|end| end.to_string());
    let json = match shape {
        KeyShape::Env => return shell(&key),
        KeyShape::Sts => to_json(&Sts {
            credentials: StsCredentials {
                tmp_secret_id: key.secret_id,
                tmp_secret_key: key.secret_key,
                session_token: key.token,
            },
            start_time: key.received_at.unix_seconds(),
            expired_time,
            expiration,
            request_id,
        }),
        KeyShape::Metadata => to_json(&Metadata {
            tmp_secret_id: key.secret_id,
            tmp_secret_key: key.secret_key,
            expired_time,
            expiration,
            token: key.token,
            code: "Success",
        }),
        KeyShape::CredentialProcess => to_json(&Process {
            version: 1,
            access_key_id: key.secret_id,
            secret_access_key: key.secret_key,
            session_token: key.token,
            expiration,
        }),
    };
    json.expect("texts and numbers are always serialisable")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sts<'a> {
    credentials: StsCredentials<'a>,
    start_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StsCredentials<'a> {
    tmp_secret_id: &'a str,
    tmp_secret_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    tmp_secret_id: &'a str,
    tmp_secret_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    code: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
}

/// Each line ends in `;`, so that an `eval` that joins them runs them all the same. Without a token
/// an older one is unset: it would spoil the key.
fn shell(key: &Revealed<'_>) -> Zeroizing<String> {
    let parts = [
        ("TENCENTCLOUD_SECRET_ID", Some(key.secret_id)),
        ("TENCENTCLOUD_SECRET_KEY", Some(key.secret_key)),
        ("TENCENTCLOUD_TOKEN", key.token),
    ];
    // Four bytes for a quote, at worst every one: the buffer must not grow and leave a copy.
    let longest = |(name, value): &(&str, Option<&str>)| {
        name.len() + value.map_or(0, |value| 4 * value.len()) + "export =''; \n".len()
    };
    let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(longest).sum()));
    for (name, value) in parts {
        let Some(value) = value else {
            text.push_str("unset ");
            text.push_str(name);
            text.push_str(";\n");
            continue;
        };
        text.push_str("export ");
        text.push_str(name);
        text.push_str("='");
        for c in value.chars() {
            if c == '\'' { text.push_str("'\\''") } else { text.push(c) }
        }
        text.push_str("';\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SecretId, SecretKey, SessionToken};

    const END: Timestamp = Timestamp::from_unix_seconds(1_700_007_200);

    fn key(secret: &str, token: Option<&str>) -> Credential {
        Credential {
            id: SecretId::new("AKIDexample").unwrap(),
            secret: SecretKey::new(secret).unwrap(),
            token: token.map(|token| SessionToken::new(token).unwrap()),
            expires_at: Some(END),
            received_at: Timestamp::from_unix_seconds(1_700_000_000),
        }
    }

    #[test]
    fn each_shape_has_the_fields_its_readers_look_for() {
        let write = |shape| {
            let told = Timestamp::from_unix_seconds(1_700_007_140);
            write_key(&key("s", Some("t")), shape, Some(told), "r-1").to_string()
        };
        assert_eq!(
            write(KeyShape::Sts),
            r#"{"credentials":{"tmpSecretId":"AKIDexample","tmpSecretKey":"s","sessionToken":"t"},"startTime":1700000000,"expiredTime":1700007140,"expiration":"2023-11-15T00:12:20Z","requestId":"r-1"}"#
        );
        assert_eq!(
            write(KeyShape::Metadata),
            r#"{"TmpSecretId":"AKIDexample","TmpSecretKey":"s","ExpiredTime":1700007140,"Expiration":"2023-11-15T00:12:20Z","Token":"t","Code":"Success"}"#
        );
        assert_eq!(
            write(KeyShape::CredentialProcess),
            r#"{"Version":1,"AccessKeyId":"AKIDexample","SecretAccessKey":"s","SessionToken":"t","Expiration":"2023-11-15T00:12:20Z"}"#
        );
        assert_eq!(
            write(KeyShape::Env),
            "export TENCENTCLOUD_SECRET_ID='AKIDexample';\nexport TENCENTCLOUD_SECRET_KEY='s';\n\
             export TENCENTCLOUD_TOKEN='t';\n"
        );
    }

    #[test]
    fn the_end_that_is_told_is_never_later_than_the_truth() {
        let late = END + std::time::Duration::from_secs(60);
        let text = write_key(&key("s", Some("t")), KeyShape::Sts, Some(late), "-");
        assert!(text.contains("\"expiredTime\":1700007200,"), "{}", *text);
    }

    #[test]
    fn what_a_shell_reads_is_what_the_key_is() {
        for secret in ["a'b", "'''", "$(id)`id`\\\"!*", "plain/+="] {
            let text = write_key(&key(secret, None), KeyShape::Env, None, "-");
            assert!(text.ends_with("unset TENCENTCLOUD_TOKEN;\n"), "{}", *text);
            for script in [text.to_string(), text.replace('\n', " ")] {
                let shown = std::process::Command::new("/bin/sh")
                    .arg("-c")
                    .arg(format!(
                        "{script}\nprintf %s \"$TENCENTCLOUD_SECRET_KEY$TENCENTCLOUD_TOKEN\""
                    ))
                    .env("TENCENTCLOUD_TOKEN", "an older one")
                    .output()
                    .unwrap();
                assert_eq!(String::from_utf8(shown.stdout).unwrap(), secret);
            }
        }
    }
}
