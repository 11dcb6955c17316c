//! `refresh` for people: one line for each key set, and the exit code that fits them all.

use serde_json::Value;

use super::{
    CLEAN, OUT_OF_TIME, UNAVAILABLE,
    status::{seconds, text},
};

/// What to print where, and the exit code.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) code: u8,
    /// Key sets with a good key.
    pub(super) good: String,
    /// Key sets without a new key, and why.
    pub(super) bad: String,
}

/// Reads the answer of `POST /refresh`; `None` if it is not one.
pub(super) fn report(answer: &Value) -> Option<Report> {
    let mut report = Report { code: CLEAN, ..Report::default() };
    for keys in answer.get("keys")?.as_array()? {
        let (code, line) = line(keys);
        let lines = if code == CLEAN { &mut report.good } else { &mut report.bad };
        lines.push_str(&line);
        lines.push('\n');
        report.code = worse(report.code, code);
    }
    Some(report)
}

/// A failure is worse than a refusal to try, and that is worse than success.
fn worse(one: u8, other: u8) -> u8 {
    if [one, other].contains(&UNAVAILABLE) { UNAVAILABLE } else { one.max(other) }
}

fn line(keys: &Value) -> (u8, String) {
    let name = text(&keys["name"]);
    let error = text(&keys["error"]);
    let key = held(keys);
    let next = next_try(keys);
    match keys["outcome"].as_str() {
        Some("swapped") => (CLEAN, format!("{name}: a new key, {key}; next refresh {next}")),
        Some("unchanged") => {
            (CLEAN, format!("{name}: the source gave the key in use again, {key}; next try {next}"))
        }
        Some("limited") => (OUT_OF_TIME, format!("{name}: not asked: {error}; in use: {key}")),
        Some("pending") => (OUT_OF_TIME, format!("{name}: {error}; in use: {key}")),
        _ if keys["usable"] == true => {
            (UNAVAILABLE, format!("{name}: no new key: {error}; in use: {key}; next try {next}"))
        }
        _ => {
            let text = format!("{name}: no key: {error}; requests are refused; next try {next}");
            (UNAVAILABLE, text)
        }
    }
}

fn held(keys: &Value) -> String {
    if keys["usable"] != true {
        return "none".to_owned();
    }
    let id = text(&keys["secret_id"]);
    match keys["expires_in_seconds"].as_i64() {
        Some(_) => format!("{id}…, expires in {}", seconds(&keys["expires_in_seconds"])),
        None => format!("{id}…, without a known end"),
    }
}

fn next_try(keys: &Value) -> String {
    match keys["next_refresh_in_seconds"].as_i64() {
        None => "none is planned".to_owned(),
        Some(left) if left <= 0 => "now".to_owned(),
        Some(_) => format!("in {}", seconds(&keys["next_refresh_in_seconds"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(outcome: &str, usable: bool) -> Value {
        serde_json::json!({
            "name": "reports", "outcome": outcome, "usable": usable, "secret_id": "AKIDexam",
            "expires_in_seconds": 7140, "next_refresh_in_seconds": 61,
            "error": "https://sts.example refused with code X (request r-1)",
        })
    }

    #[test]
    fn each_outcome_has_its_words_and_its_exit_code() {
        for (outcome, usable, code, words) in [
            ("swapped", true, 0, "a new key, AKIDexam…, expires in 1h 59m; next refresh in 1m 1s"),
            ("unchanged", true, 0, "the source gave the key in use again, AKIDexam…"),
            (
                "failed",
                true,
                69,
                "(request r-1); in use: AKIDexam…, expires in 1h 59m; next try in",
            ),
            ("failed", false, 69, "requests are refused; next try in 1m 1s"),
            ("limited", true, 75, "not asked: https://sts.example"),
            ("pending", true, 75, "in use: AKIDexam…"),
            ("of a later version", true, 69, "no new key"),
        ] {
            let report = report(&serde_json::json!({"keys": [keys(outcome, usable)]})).unwrap();
            assert_eq!(report.code, code, "{outcome}");
            let said = if code == 0 { &report.good } else { &report.bad };
            assert!(said.starts_with("reports: ") && said.contains(words), "{outcome}: {said}");
        }
    }

    #[test]
    fn the_worst_outcome_gives_the_exit_code_and_each_has_its_line() {
        let all = serde_json::json!({"keys": [
            keys("limited", true), keys("swapped", true), keys("failed", true), keys("limited", true),
        ]});
        let report = report(&all).unwrap();
        assert_eq!(report.code, 69);
        assert_eq!((report.good.lines().count(), report.bad.lines().count()), (1, 3));
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_success() {
        assert_eq!(report(&serde_json::json!({})), None);
        assert_eq!(report(&serde_json::json!({"keys": 3})), None);
    }
}
