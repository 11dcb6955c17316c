//! When it is the key: COS refuses it, or the strings are equal and the signature is not.

use super::{Cause, Evidence, Finding, KeyCheck, judge::listed_but_not_sent, screen::quoted};

/// COS refused the key itself.
pub(super) fn refused_key(evidence: &Evidence) -> Option<Finding> {
    let (signed, code) = (&evidence.signed, evidence.refusal.code.as_str());
    match code {
        "ExpiredToken" => {
            Some(Finding::new(Cause::KeyExpired, "COS says that the temporary key has ended"))
        }
        "InvalidAccessKeyId" | "InvalidToken" | "InvalidSecurityToken" => {
            let id = format!("{}…", signed.secret_id);
            if !signed.has_token && signed.key_looks_temporary {
                let what = format!(
                    "the key {} is a temporary one by its length, and no token was sent with it",
                    quoted(&id)
                );
                return Some(Finding::new(Cause::TokenMissing, what));
            }
            let token = if signed.has_token { "with this token" } else { "without a token" };
            let what = format!("COS does not take the key {} {token} ({code})", quoted(&id));
            Some(Finding::new(Cause::KeyUnknown, what))
        }
        _ => None,
    }
}

/// What was signed is what COS received, and yet the signatures differ.
pub(super) fn equal_strings(evidence: &Evidence) -> Finding {
    let signed = &evidence.signed;
    if let Some(finding) = listed_but_not_sent(evidence) {
        return finding;
    }
    let read = evidence.refusal.string_to_sign.as_deref().and_then(|text| text.lines().nth(1));
    if let Some(read) = read.filter(|read| *read != signed.sign_time) {
        let what =
            format!("q-sign-time is {}, and COS read {}", quoted(&signed.sign_time), quoted(read));
        return Finding::new(Cause::SignTimeChanged, what);
    }
    let equal = "what was signed is what COS received";
    match &evidence.key_check {
        Some(KeyCheck::Matches) => {
            let what = format!(
                "{equal}, and the configured key makes this very signature: COS knows another secret for this SecretId"
            );
            Finding::new(Cause::WrongSecret, what)
        }
        Some(KeyCheck::MatchesOtherText { cause, how }) => {
            let what = format!("{how} (proven with the configured key)");
            let fix = Cause::SignerDiffers.fix().to_owned();
            Finding { cause: *cause, what, fix }
        }
        Some(KeyCheck::Differs) => {
            let what = format!(
                "{equal}, and the configured key, which has the same SecretId, makes another signature: the request was signed with another secret"
            );
            Finding::new(Cause::WrongSecret, what)
        }
        Some(KeyCheck::OtherKey(configured)) => {
            let what = format!(
                "{equal}: the secret is not that of this SecretId (the configured key is another one, {}…)",
                quoted(configured)
            );
            Finding::new(Cause::WrongSecret, what)
        }
        None if evidence.is_of_proxy() => {
            let what = format!("{equal}: the secret is not that of this SecretId");
            Finding::new(Cause::WrongSecret, what)
        }
        None => {
            let what = format!(
                "{equal}: the secret is not that of this SecretId, or the client signed another text than it sent (--check-key tells which)"
            );
            Finding::new(Cause::WrongSecret, what)
        }
    }
}
