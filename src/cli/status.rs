//! `status` for people: a few lines and a table of key sets.

use serde_json::Value;

/// Lays out the answer of `GET /status`. What is missing shows as `-`.
pub(super) fn table(status: &Value) -> String {
    let state = if status["draining"] == true { "draining" } else { "serving" };
    let mut lines = vec![
        format!(
            "cos-auth-proxy {} {state} on {}, up {}",
            text(&status["version"]),
            listed(&status["listen"]),
            seconds(&status["uptime_seconds"]),
        ),
        format!(
            "requests {} ({} in flight), client connections {}, clock offset {} ms",
            text(&status["requests_total"]),
            text(&status["requests_in_flight"]),
            text(&status["client_connections"]),
            text(&status["clock_offset_millis"]),
        ),
        String::new(),
    ];
    let head = ["KEYS", "SOURCE", "USABLE", "SECRET ID", "AGE", "EXPIRES IN", "NEXT REFRESH"];
    let head = head.iter().chain(&["SWAPS", "FORCED"]).map(|name| (*name).to_owned()).collect();
    let empty = Vec::new();
    let keys = status["keys"].as_array().unwrap_or(&empty);
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(keys.iter().map(row)).collect();
    lines.extend(align(&rows));
    lines.extend(keys.iter().filter_map(last_error));
    lines.join("\n")
}

/// Too long for a column. The text has STS's RequestId where STS gave one.
fn last_error(key: &Value) -> Option<String> {
    key["last_error"].as_str()?;
    let error = text(&key["last_error"]);
    let class = match key["last_error_class"].as_str() {
        Some(class) => format!(" ({class}, {} in a row)", text(&key["failures"])),
        None => String::new(),
    };
    let at = match key["last_error_at"].as_str() {
        Some(at) => format!(" at {at}"),
        None => String::new(),
    };
    Some(format!("\n{}: last attempt failed{at}{class}: {error}", text(&key["name"])))
}

fn row(key: &Value) -> Vec<String> {
    vec![
        text(&key["name"]),
        text(&key["source"]),
        if key["usable"] == true { "yes" } else { "no" }.to_owned(),
        text(&key["secret_id"]),
        seconds(&key["age_seconds"]),
        seconds(&key["expires_in_seconds"]),
        seconds(&key["next_refresh_in_seconds"]),
        text(&key["swaps"]),
        text(&key["forced_refreshes"]),
    ]
}

fn align(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(i, cell)| format!("{cell:<w$}", w = width(i)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Text and numbers as they are, without anything that would move the cursor.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => "-".to_owned(),
    }
}

fn listed(value: &Value) -> String {
    let empty = Vec::new();
    value.as_array().unwrap_or(&empty).iter().map(text).collect::<Vec<_>>().join(", ")
}

pub(super) fn seconds(value: &Value) -> String {
    match value.as_i64() {
        None => "-".to_owned(),
        Some(seconds) => {
            let span = std::time::Duration::from_secs(seconds.unsigned_abs());
            let ago = if seconds < 0 { " ago" } else { "" };
            format!("{}{ago}", humantime::format_duration(span))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_key_set_and_tells_the_last_error() {
        let status = serde_json::json!({
            "version": "0.1.0", "uptime_seconds": 61, "listen": ["127.0.0.1:9000"],
            "draining": false, "requests_in_flight": 1, "requests_total": 7,
            "client_connections": 2, "clock_offset_millis": -3,
            "keys": [
                {"name": "default", "source": "http", "usable": true, "secret_id": "AKIDexam",
                 "age_seconds": 600, "expires_in_seconds": 3600, "swaps": 4,
                 "forced_refreshes": 1, "next_refresh_in_seconds": 1234, "last_error": null},
                {"name": "late", "source": "http", "usable": false, "expires_in_seconds": -5,
                 "last_error": "no answer\u{1b}[2J", "last_error_at": "2026-01-01T00:00:00Z",
                 "last_error_class": "transient", "failures": 3},
            ],
        });
        let shown = table(&status);
        assert!(shown.contains("up 1m 1s"), "{shown}");
        let cells = ["default", "http", "yes", "AKIDexam", "10m", "1h", "20m 34s", "4", "1"];
        let row = shown.lines().find(|line| line.starts_with("default")).unwrap();
        assert_eq!(
            row.split("  ").filter(|c| !c.is_empty()).map(str::trim).collect::<Vec<_>>(),
            cells
        );
        assert!(shown.contains("5s ago"), "{shown}");
        let told = "late: last attempt failed at 2026-01-01T00:00:00Z (transient, 3 in a row): no answer[2J";
        assert!(shown.contains(told), "{shown}");
    }
}
