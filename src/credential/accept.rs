//! Which key from a source may become the current one. Pure.

use crate::clock::Timestamp;

use super::{Credential, RefreshSettings};

/// What becomes of a key that a source gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It becomes the current key.
    Accepted,
    /// It is the current key.
    Unchanged,
}

/// Why a key that a source gave is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is over.
    #[error("the source gave a key that expired at {expires_at}")]
    Expired {
        /// Its end.
        expires_at: Timestamp,
    },
    /// It has less life than is worth a swap.
    #[error(
        "the source gave a key with only {remaining_seconds} s left; at least {least_seconds} s are asked for"
    )]
    TooShort {
        /// Whole seconds it has left.
        remaining_seconds: u64,
        /// Whole seconds asked for.
        least_seconds: u64,
    },
    /// Nobody issues keys that long: the end was misread or made up.
    #[error(
        "the source gave a key that ends at {expires_at}, further away than any temporary key lives"
    )]
    TooLong {
        /// Its end.
        expires_at: Timestamp,
    },
    /// It ends before the key that is held.
    #[error("the source gave a key that ends at {expires_at}, before the one in use")]
    OlderThanCurrent {
        /// Its end.
        expires_at: Timestamp,
    },
}

/// Judges `new` at `now`. `forced` says that the current key was rejected or a new one was asked
/// for: then any other key that lives long enough is taken, even one that ends earlier.
///
/// # Errors
/// [`Refusal`] if the current key, or none, is better than this one.
pub fn judge(
    new: &Credential,
    current: Option<&Credential>,
    now: Timestamp,
    forced: bool,
    settings: &RefreshSettings,
) -> Result<Verdict, Refusal> {
    if let Some(expires_at) = new.expires_at
        && expires_at <= now
    {
        return Err(Refusal::Expired { expires_at });
    }
    if current.is_some_and(|held| is_same(held, new)) {
        return Ok(Verdict::Unchanged);
    }
    let Some(expires_at) = new.expires_at else { return Ok(Verdict::Accepted) };
    let remaining = expires_at.since(now);
    if remaining > settings.longest_life {
        return Err(Refusal::TooLong { expires_at });
    }
    if remaining < settings.least_remaining_life {
        let remaining_seconds = remaining.as_secs();
        let least_seconds = settings.least_remaining_life.as_secs();
        return Err(Refusal::TooShort { remaining_seconds, least_seconds });
    }
    let ends_before_current = current
        .filter(|held| held.is_usable(now))
        .and_then(|held| held.expires_at)
        .is_some_and(|end| expires_at < end);
    let forced = forced && current.is_some_and(|held| held.id != new.id);
    if ends_before_current && !forced {
        return Err(Refusal::OlderThanCurrent { expires_at });
    }
    Ok(Verdict::Accepted)
}

/// All parts count: a mistyped secret may be mended while the id stays.
fn is_same(held: &Credential, new: &Credential) -> bool {
    held.id == new.id
        && held.expires_at == new.expires_at
        && held.secret == new.secret
        && held.token == new.token
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::{SecretId, SecretKey, SessionToken};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn key(id: &str, end: Option<i64>) -> Credential {
        Credential {
            id: SecretId::new(id).unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: Some(SessionToken::new("token").unwrap()),
            expires_at: end.map(|offset| {
                Timestamp::from_unix_seconds(NOW.unix_seconds().saturating_add_signed(offset))
            }),
            received_at: NOW - Duration::from_secs(1000),
        }
    }

    /// The same id and end, another secret.
    fn mended(id: &str, end: Option<i64>) -> Credential {
        Credential { secret: SecretKey::new("another").unwrap(), ..key(id, end) }
    }

    #[test]
    fn the_accept_rule_as_a_table() {
        const YEAR_2262: i64 = 9_223_372_036 - 1_700_000_000;
        let held = || key("held", Some(3000));
        let expected = |rule: &str, result: Result<Verdict, Refusal>| {
            let got = match &result {
                Ok(Verdict::Accepted) => "accepted",
                Ok(Verdict::Unchanged) => "unchanged",
                Err(Refusal::Expired { .. }) => "expired",
                Err(Refusal::TooShort { .. }) => "too short",
                Err(Refusal::TooLong { .. }) => "too long",
                Err(Refusal::OlderThanCurrent { .. }) => "older",
            };
            got == rule
        };
        for (new, current, forced, rule) in [
            (key("new", Some(7200)), None, false, "accepted"),
            (key("new", Some(7200)), Some(held()), false, "accepted"),
            (key("new", Some(60)), None, false, "accepted"),
            (key("new", Some(59)), None, false, "too short"),
            (key("new", Some(0)), None, false, "expired"),
            (key("new", Some(-5)), None, true, "expired"),
            (key("new", Some(48 * 3600)), None, false, "accepted"),
            (key("new", Some(48 * 3600 + 1)), None, false, "too long"),
            (key("new", Some(YEAR_2262)), None, true, "too long"),
            (key("new", Some(2999)), Some(held()), false, "older"),
            (key("new", Some(2999)), Some(held()), true, "accepted"),
            (key("new", Some(59)), Some(held()), true, "too short"),
            (key("held", Some(3000)), Some(held()), false, "unchanged"),
            (key("held", Some(3000)), Some(held()), true, "unchanged"),
            (key("held", Some(2999)), Some(held()), true, "older"),
            (key("held", Some(7200)), Some(held()), false, "accepted"),
            (key("held", Some(-1)), Some(key("held", Some(-1))), false, "expired"),
            (key("held", Some(30)), Some(key("held", Some(30))), false, "unchanged"),
            (key("new", Some(100)), Some(key("held", Some(-1))), false, "accepted"),
            (key("new", None), Some(held()), false, "accepted"),
            (key("new", Some(100)), Some(key("held", None)), false, "accepted"),
            (key("held", None), Some(key("held", None)), false, "unchanged"),
            (mended("held", None), Some(key("held", None)), false, "accepted"),
            (mended("held", Some(3000)), Some(held()), false, "accepted"),
        ] {
            let settings = RefreshSettings::default();
            let result = judge(&new, current.as_ref(), NOW, forced, &settings);
            let shown =
                format!("{new:?} over {current:?}, forced {forced}: {result:?}, not {rule}");
            assert!(expected(rule, result), "{shown}");
        }
    }
}
