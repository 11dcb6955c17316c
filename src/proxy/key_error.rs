//! Does an error of COS say that the key is the problem? Told by its code, whatever the status.

/// What of an error body is enough to judge it: the code stands first.
pub const ENOUGH: usize = 1024;

/// Codes with which COS refuses a key itself (Tencent Cloud docs 436/7730 and 436/40105; which of
/// them an expired temporary key gets is not documented).
const CODES: [&str; 4] =
    ["InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "InvalidSecurityToken"];

/// The code with which the beginning of an error body refuses the key; `None` for any other error.
///
/// A plain `AccessDenied` is a matter of policy, and no new key would help.
#[must_use]
pub fn key_error(body: &[u8]) -> Option<&'static str> {
    let code = between(body, b"<Code>", b"</Code>")?;
    if let Some(known) = CODES.into_iter().find(|known| known.as_bytes() == code) {
        return Some(known);
    }
    let expired = code == b"AccessDenied"
        && between(body, b"<Message>", b"</Message>")?.trim_ascii() == b"Request has expired";
    expired.then_some("AccessDenied")
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
    fn the_key_is_the_problem_when_its_code_says_so_or_the_signature_is_out_of_time() {
        for code in CODES {
            assert_eq!(key_error(&error(code, "whatever")), Some(code));
        }
        assert_eq!(key_error(&error("AccessDenied", "Request has expired")), Some("AccessDenied"));
    }

    #[test]
    fn nothing_else_is_the_keys_fault() {
        for (code, message) in [
            ("AccessDenied", "Access Denied."),
            ("NoSuchKey", "InvalidAccessKeyId"),
            ("SignatureDoesNotMatch", "x"),
            ("", ""),
        ] {
            assert_eq!(key_error(&error(code, message)), None, "{code}");
        }
        for body in ["", "<html>", "<Code>InvalidToken", "{\"code\":\"InvalidToken\"}"] {
            assert_eq!(key_error(body.as_bytes()), None);
        }
    }
}
