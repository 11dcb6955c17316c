//! Does an error of COS say that the key or the clock is the problem? Told by its code, whatever the
//! status.

/// What of an error body is enough to judge it: the code stands first.
pub const ENOUGH: usize = 1024;

/// Codes with which COS refuses a key itself (Tencent Cloud docs 436/7730 and 436/40105; which of
/// them an expired temporary key gets is not documented).
const CODES: [&str; 4] =
    ["InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "InvalidSecurityToken"];

/// What an error of COS blames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The key itself, with this code.
    Key(&'static str),
    /// Our clock.
    Clock,
    /// The signature's time: our clock if it differs from the server's, otherwise the key.
    Time,
}

/// What the beginning of an error body blames; `None` if neither another key nor another time
/// would help.
///
/// A plain `AccessDenied` is a matter of policy, and no new key would help.
#[must_use]
pub fn blame(body: &[u8]) -> Option<Blame> {
    let code = between(body, b"<Code>", b"</Code>")?;
    if let Some(known) = CODES.into_iter().find(|known| known.as_bytes() == code) {
        return Some(Blame::Key(known));
    }
    match code {
        b"RequestTimeTooSkewed" => Some(Blame::Clock),
        b"AccessDenied" => {
            let message = between(body, b"<Message>", b"</Message>")?.trim_ascii();
            (message == b"Request has expired").then_some(Blame::Time)
        }
        _ => None,
    }
}

fn between<'b>(body: &'b [u8], opening: &[u8], closing: &[u8]) -> Option<&'b [u8]> {
    let start = memchr::memmem::find(body, opening)? + opening.len();
    let rest = body.get(start..)?;
    rest.get(..memchr::memmem::find(rest, closing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> Vec<u8> {
        format!("<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>{code}</Code>\n\t<Message>{message}</Message>\n</Error>")
            .into_bytes()
    }

    #[test]
    fn the_code_says_whether_the_key_or_the_time_is_the_problem() {
        for code in CODES {
            assert_eq!(blame(&error(code, "whatever")), Some(Blame::Key(code)));
        }
        let expired = error("AccessDenied", "Request has expired");
        assert_eq!(blame(&expired), Some(Blame::Time));
        let skewed = error("RequestTimeTooSkewed", "The difference is too large.");
        assert_eq!(blame(&skewed), Some(Blame::Clock));
    }

    #[test]
    fn nothing_else_would_be_mended_by_another_key_or_time() {
        for (code, message) in [
            ("AccessDenied", "Access Denied."),
            ("NoSuchKey", "InvalidAccessKeyId"),
            ("AccessDenied", "Request has expired, or so it seems"),
            ("SignatureDoesNotMatch", "x"),
            ("", ""),
        ] {
            assert_eq!(blame(&error(code, message)), None, "{code}");
        }
        for body in ["", "<html>", "<Code>InvalidToken", "{\"code\":\"InvalidToken\"}"] {
            assert_eq!(blame(body.as_bytes()), None);
        }
    }
}
