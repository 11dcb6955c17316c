//! The signature's window against COS's time.

use std::time::{Duration, UNIX_EPOCH};

use super::{Cause, Evidence, Finding, sent::Claim};

/// COS says that the time is wrong: whose clock, and by how much?
pub(super) fn judge(evidence: &Evidence) -> Finding {
    let skewed = evidence.refusal.code == "RequestTimeTooSkewed";
    let Some((start, end)) = Claim::window(&evidence.signed.sign_time) else {
        let what = "q-sign-time is not two numbers of seconds, as in 1700000000;1700003600";
        return Finding::new(Cause::SignTimeChanged, what);
    };
    let Some(now) = evidence.refusal.server_time else {
        let what = "COS did not tell its time; the signature is good from ";
        let what = format!("{what}{} to {}", instant(start), instant(end));
        return Finding::new(if skewed { Cause::ClockSkew } else { Cause::WindowOver }, what);
    };
    if now < start {
        let what = format!(
            "the signature becomes good {} after COS's time ({}): the signer's clock is ahead",
            span(start - now),
            instant(now)
        );
        return Finding::new(Cause::ClockSkew, what);
    }
    if now > end {
        let what =
            format!("the signature ended {} before COS's time ({})", span(now - end), instant(now));
        // The proxy signs right before it sends: then only a clock can be wrong.
        if let Some(signed_at) = evidence.failed_at.filter(|at| *at < now && *at <= end) {
            let behind = span(now - signed_at);
            let what = format!("{what}: the signer's clock is {behind} behind");
            return Finding::new(Cause::ClockSkew, what);
        }
        return Finding::new(Cause::WindowOver, what);
    }
    if skewed {
        let what = format!(
            "COS calls the clock wrong, although its time ({}) is inside the window",
            instant(now)
        );
        return Finding::new(Cause::ClockSkew, what);
    }
    let what = format!(
        "COS's time ({}) is inside the signature's window, so it is the temporary key that ended",
        instant(now)
    );
    Finding::new(Cause::KeyExpired, what)
}

/// A time as people and logs read it.
pub(super) fn instant(unix_seconds: u64) -> String {
    // Beyond the year 9999 nothing is meant.
    let at = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(at).to_string()
}

fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}
