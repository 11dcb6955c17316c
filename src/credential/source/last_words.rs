//! The last line that a failing command said, made fit for a log.

/// Longest text that is passed on, in characters.
const LONGEST: usize = 200;
/// A run of key characters this long may be part of a key.
const SUSPICIOUS: usize = 16;

/// The last line with text in it: one line, printable, short, and without anything that looks like
/// a part of a key.
pub(super) fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let Some(line) = said.lines().rev().map(str::trim).find(|line| !line.is_empty()) else {
        return String::new();
    };
    let (mut words, mut run) = (String::new(), String::new());
    let mut secret_follows = Follows::No;
    for c in line.chars().chain([' ']) {
        let c = if c.is_control() || c == '\u{fffd}' { ' ' } else { c };
        if is_of_a_key(c) {
            run.push(c);
            continue;
        }
        if !run.is_empty() {
            let is_secret = secret_follows == Follows::Yes || may_be_of_a_key(&run);
            words.push_str(if is_secret { "…" } else { &run });
            secret_follows = Follows::after(&run);
            run.clear();
        }
        if secret_follows == Follows::IfAssigned && matches!(c, '=' | ':') {
            secret_follows = Follows::Yes;
        }
        words.push(c);
    }
    words.truncate(words.trim_end().len());
    match words.char_indices().nth(LONGEST - 1) {
        Some((end, _)) if words.chars().count() > LONGEST => {
            words.truncate(end);
            words.push('…');
            words
        }
        Some(_) | None => words,
    }
}

fn is_of_a_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '.' | '~')
}

/// Long, and mixed as only keys are: capital letters with small ones or digits. Paths and names of
/// hosts are not.
fn may_be_of_a_key(run: &str) -> bool {
    let has = |is: fn(char) -> bool| run.chars().any(is);
    let small = has(|c| c.is_ascii_lowercase());
    let digit = has(|c| c.is_ascii_digit());
    run.len() >= SUSPICIOUS && has(|c| c.is_ascii_uppercase()) && (small || digit)
}

/// Whether the next word is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    No,
    /// If it stands behind `=` or `:`.
    IfAssigned,
    Yes,
}

impl Follows {
    fn after(run: &str) -> Self {
        let mut plain = run.to_ascii_lowercase();
        plain.retain(|c| !matches!(c, '_' | '-'));
        let ends_in = |words: &[&str]| words.iter().any(|word| plain.ends_with(word));
        if plain == "bearer" {
            Self::Yes
        } else if ends_in(&["secret", "secretkey", "accesskey", "token", "password", "signature"])
            && !plain.contains('/')
        {
            Self::IfAssigned
        } else {
            Self::No
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_line_is_passed_on_without_what_looks_like_a_key() {
        for (said, expected) in [
            ("", ""),
            ("\n \n", ""),
            ("first\nvault: permission denied\n\n", "vault: permission denied"),
            (
                "dial tcp: lookup vault.prod.internal on 10.0.0.2:53: no such host",
                "dial tcp: lookup vault.prod.internal on 10.0.0.2:53: no such host",
            ),
            (
                "open /var/run/secrets/vault-token-file/token: not found",
                "open /var/run/secrets/vault-token-file/token: not found",
            ),
            ("a\tb\u{1b}[31mc\u{0}", "a b [31mc"),
            ("id AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001 refused", "id … refused"),
            ("got Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "got …"),
            ("secret_key=short and token: s.1234", "secret_key=… and token: …"),
            ("the token is not valid", "the token is not valid"),
            ("Authorization: Bearer abc", "Authorization: Bearer …"),
        ] {
            assert_eq!(last_words(said.as_bytes()), expected, "{said:?}");
        }
        let long = last_words("é ".repeat(400).as_bytes());
        assert_eq!(long.chars().count(), 200);
    }

    proptest! {
        #[test]
        fn no_key_gets_through(
            before in "[ -~]{0,30}", key in "AKID[0-9A-Za-z_-]{20,60}", after in "[ -~]{0,30}",
        ) {
            let words = last_words(format!("{before} {key} {after}").as_bytes());
            prop_assert!(!words.contains(&key));
        }

        #[test]
        fn whatever_is_said_it_is_one_short_printable_line(said in proptest::collection::vec(any::<u8>(), 0..600)) {
            let words = last_words(&said);
            prop_assert!(words.chars().count() <= 200 && !words.contains(char::is_control));
        }
    }
}
