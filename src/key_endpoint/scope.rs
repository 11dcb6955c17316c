//! What a program asks its key to be narrowed to: the JSON array of the COS STS SDK's scope demo,
//! `[{"action": "name/cos:PutObject", "bucket": "…", "region": "…", "prefix": "a/*"}]`.

use hyper::body::Incoming;
use serde::Deserialize;

use crate::{credential::Permission, server};

use super::{
    BODY_BYTES, BODY_PATIENCE,
    answer::{Refusal, Why},
};

/// Lines of one scope. Each makes the policy longer, and STS bounds that.
const MOST: usize = 20;
/// Longest key of COS.
const LONGEST_PREFIX: usize = 850;

/// One line. Errors of serde repeat what was sent, so they are never shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    action: String,
    bucket: String,
    region: String,
    #[serde(default)]
    prefix: String,
}

/// Reads a body; an empty one asks for no narrowing.
pub(super) async fn read(body: Incoming) -> Result<Option<Vec<Permission>>, Refusal> {
    let refuse = |text: String| Refusal::new(Why::BadRequest, text);
    let body = server::read_body(body, BODY_BYTES, BODY_PATIENCE).await;
    let body = body.map_err(|fault| refuse(fault.to_string()))?;
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    permissions(&body).map(Some).map_err(refuse)
}

fn permissions(body: &[u8]) -> Result<Vec<Permission>, String> {
    let lines: Vec<Line> = serde_json::from_slice(body).map_err(|fault| {
        format!(
            "the body is not a JSON array of {{action, bucket, region, prefix}} (line {}, column {})",
            fault.line(),
            fault.column()
        )
    })?;
    if lines.is_empty() || lines.len() > MOST {
        return Err(format!("a scope has 1 to {MOST} lines; send no body for the whole key"));
    }
    lines.iter().enumerate().map(|(at, line)| permission(line, at + 1)).collect()
}

fn permission(line: &Line, number: usize) -> Result<Permission, String> {
    let Line { action, bucket, region, prefix } = line;
    let wrong = |what: &str| Err(format!("line {number} of the scope: {what}"));
    let service = match action.strip_prefix("name/").unwrap_or(action).split_once(':') {
        Some((service @ ("cos" | "ci"), name)) if is_word(name, "*") => service,
        _ => return wrong("action must be an action of COS or CI, such as name/cos:PutObject"),
    };
    let app_id = match bucket.rsplit_once('-') {
        Some((name, app_id)) if is_word(name, "-") && is_number(app_id) => app_id,
        _ => return wrong("bucket must end in -APPID, as examplebucket-1250000000 does"),
    };
    if !is_word(region, "-") {
        return wrong("region must be one, such as ap-guangzhou");
    }
    // CAM would put something else in the place of ${…}.
    if prefix.len() > LONGEST_PREFIX || prefix.contains("${") || prefix.contains(char::is_control) {
        return wrong("prefix must be the beginning of a key, perhaps with * at its end");
    }
    let prefix = prefix.trim_start_matches('/');
    let path = if service == "ci" { "bucket/" } else { "" };
    let resource = format!("qcs::{service}:{region}:uid/{app_id}:{path}{bucket}/{prefix}");
    let action = format!("name/{}", action.strip_prefix("name/").unwrap_or(action));
    Ok(Permission { action, resource })
}

fn is_word(text: &str, also: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    !text.is_empty() && text.len() <= 128 && text.chars().all(fits)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(action: &str, bucket: &str, region: &str, prefix: &str) -> String {
        serde_json::json!([{
            "action": action, "bucket": bucket, "region": region, "prefix": prefix,
        }])
        .to_string()
    }

    #[test]
    fn a_line_becomes_an_action_on_a_resource() {
        for (action, prefix, expected) in [
            (
                "name/cos:PutObject",
                "a/*",
                "name/cos:PutObject qcs::cos:ap-guangzhou:uid/1250000000:b-1-1250000000/a/*",
            ),
            (
                "cos:GetObject",
                "/a.jpg",
                "name/cos:GetObject qcs::cos:ap-guangzhou:uid/1250000000:b-1-1250000000/a.jpg",
            ),
            (
                "name/ci:CreateMediaJobs",
                "*",
                "name/ci:CreateMediaJobs \
                 qcs::ci:ap-guangzhou:uid/1250000000:bucket/b-1-1250000000/*",
            ),
        ] {
            let body = line(action, "b-1-1250000000", "ap-guangzhou", prefix);
            let made = permissions(body.as_bytes()).unwrap().remove(0);
            assert_eq!(format!("{} {}", made.action, made.resource), expected);
        }
    }

    #[test]
    fn what_could_mean_something_else_is_refused_without_repeating_it() {
        let (action, bucket, region) = ("name/cos:GetObject", "b-1250000000", "ap-guangzhou");
        for body in [
            line("*", bucket, region, "a"),
            line("name/sts:AssumeRole", bucket, region, "a"),
            line("name/cos:", bucket, region, "a"),
            line("name/cos:Get\"Object", bucket, region, "a"),
            line(action, "planted", region, "a"),
            line(action, "planted-x", region, "a"),
            line(action, "*-1250000000", region, "a"),
            line(action, "b:planted-1250000000", region, "a"),
            line(action, bucket, "*", "a"),
            line(action, bucket, "", "a"),
            line(action, bucket, "a:planted", "a"),
            line(action, bucket, region, "planted/${uin}/"),
            line(action, bucket, region, "planted\n"),
            line(action, bucket, region, &"planted".repeat(200)),
            "[]".to_owned(),
            "{}".to_owned(),
            "planted".to_owned(),
            r#"[{"action":"planted"}]"#.to_owned(),
            r#"[{"action":"name/cos:GetObject","bucket":"b-1","region":"x","planted":1}]"#
                .to_owned(),
            format!("[{}]", vec!["{}"; 30].join(",")),
        ] {
            let told = permissions(body.as_bytes()).unwrap_err();
            assert!(!told.contains("planted"), "{body}: {told}");
        }
        let line = line(action, bucket, region, "a");
        let many = format!("[{}]", vec![line.trim_matches(['[', ']']); 21].join(","));
        assert!(permissions(many.as_bytes()).unwrap_err().contains("1 to 20"));
    }
}
