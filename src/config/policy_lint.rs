//! Reads a policy written by hand as STS will, before STS refuses it or, worse, takes it for
//! something else. Messages name the field and its line, never a value.

use serde_json::Value;

/// One mistake in a policy, or one thing in it that is wider than most would want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// `statement[0].resource[1]`; empty for the text as a whole.
    pub(super) field: String,
    /// From 1, where it could be told.
    pub(super) line: Option<usize>,
    pub(super) text: String,
}

/// What STS or COS would refuse, or would not read as it is meant.
pub(super) fn mistakes(text: &str) -> Vec<Finding> {
    let mut lint = Lint { source: text, found: Vec::new() };
    match serde_json::from_str::<Value>(text) {
        Err(fault) => {
            let text = format!("is not JSON (column {})", fault.column());
            lint.found.push(Finding { field: String::new(), line: Some(fault.line()), text });
        }
        Ok(policy) => lint.policy(&policy),
    }
    lint.found
}

/// What allows everything of a kind.
pub(super) fn wide(text: &str) -> Vec<Finding> {
    let mut lint = Lint { source: text, found: Vec::new() };
    let policy = serde_json::from_str::<Value>(text).unwrap_or_default();
    for (at, statement) in statements(&policy).iter().enumerate() {
        if statement.get("effect").and_then(Value::as_str) == Some("allow") {
            lint.wide_statement(&format!("statement[{at}]"), statement);
        }
    }
    lint.found
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        let gap = if self.field.is_empty() { "" } else { " " };
        write!(f, "{}{gap}{}", self.field, self.text)
    }
}

struct Lint<'t> {
    source: &'t str,
    found: Vec<Finding>,
}

impl Lint<'_> {
    fn policy(&mut self, policy: &Value) {
        let Some(object) = policy.as_object() else {
            return self.add("", None, "must be a JSON object with version and statement");
        };
        for key in object.keys() {
            match key.as_str() {
                "version" | "statement" => {}
                "principal" => self.add("principal", Some(key), NO_PRINCIPAL),
                other if KNOWN.contains(&other.to_ascii_lowercase().as_str()) => {
                    self.add("", Some(key), "has a name with capital letters: CAM's are small");
                }
                _ => self.add("", Some(key), "has a name besides version and statement"),
            }
        }
        if policy.get("version").and_then(Value::as_str) != Some("2.0") {
            self.add("version", Some("version"), "must be \"2.0\"");
        }
        let statements = statements(policy);
        if statements.is_empty() {
            self.add("statement", Some("statement"), "must hold at least one statement");
        }
        for (at, statement) in statements.iter().enumerate() {
            self.statement(&format!("statement[{at}]"), statement);
        }
        let allows = |s: &Value| s.get("effect").and_then(Value::as_str) == Some("allow");
        if !statements.is_empty() && !statements.iter().any(allows) {
            self.add("statement", None, "allows nothing: no statement has the effect \"allow\"");
        }
    }

    fn statement(&mut self, field: &str, statement: &Value) {
        let Some(object) = statement.as_object() else {
            return self.add(field, None, "must be an object with effect, action and resource");
        };
        for key in object.keys() {
            match key.as_str() {
                "effect" | "action" | "resource" | "condition" => {}
                "principal" => self.add(&format!("{field}.principal"), Some(key), NO_PRINCIPAL),
                other if KNOWN.contains(&other.to_ascii_lowercase().as_str()) => {
                    self.add(field, Some(key), "has a name with capital letters: CAM's are small");
                }
                _ => self.add(field, Some(key), "has a name that CAM does not know"),
            }
        }
        if !matches!(statement.get("effect").and_then(Value::as_str), Some("allow" | "deny")) {
            self.add(&format!("{field}.effect"), Some("effect"), "must be \"allow\" or \"deny\"");
        }
        self.texts(field, "action", statement, action_fault);
        self.texts(field, "resource", statement, resource_fault);
    }

    /// A text or a list of texts, none of which may have a fault.
    fn texts(
        &mut self,
        field: &str,
        key: &str,
        statement: &Value,
        fault: impl Fn(&str) -> Option<&'static str>,
    ) {
        let field = format!("{field}.{key}");
        let values = match statement.get(key) {
            None => return self.add(&field, None, "is missing"),
            Some(Value::Array(values)) if values.is_empty() => {
                // The Python scope helper of the COS STS SDK makes these by accident.
                return self.add(&field, Some(key), "is an empty list, which matches nothing");
            }
            Some(Value::Array(values)) => values.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        for (at, value) in values.iter().enumerate() {
            let field = format!("{field}[{at}]");
            match value.as_str() {
                None => self.add(&field, Some(key), "must be text"),
                Some(text) => {
                    if let Some(fault) = fault(text) {
                        self.add(&field, Some(text), fault);
                    }
                }
            }
        }
    }

    fn wide_statement(&mut self, field: &str, statement: &Value) {
        let (actions, resources) = (texts(statement, "action"), texts(statement, "resource"));
        for (at, action) in actions.iter().enumerate() {
            if *action == "*" {
                let text = "is \"*\": every action of every service";
                self.add(&format!("{field}.action[{at}]"), Some(action), text);
            }
        }
        let only_lists_buckets = actions.iter().all(|action| bare(action) == "cos:GetService");
        let all_of_cos = actions.iter().any(|action| bare(action) == "cos:*");
        for (at, resource) in resources.iter().enumerate() {
            let field = format!("{field}.resource[{at}]");
            if *resource == "*" && !only_lists_buckets {
                self.add(&field, Some(resource), "is \"*\": everything the account has");
            } else if all_of_cos && path_of(resource) == Some("*") {
                let text = "reaches every bucket, with every action of COS";
                self.add(&field, Some(resource), text);
            }
        }
    }

    /// `near` is text that stands where the finding is.
    fn add(&mut self, field: &str, near: Option<&str>, text: &str) {
        let quoted = near.map(|near| Value::from(near).to_string());
        let at = quoted.and_then(|quoted| self.source.find(&quoted));
        let before = at.and_then(|at| self.source.get(..at));
        let line = before.map(|before| before.matches('\n').count() + 1);
        self.found.push(Finding { field: field.to_owned(), line, text: text.to_owned() });
    }
}

const KNOWN: [&str; 7] =
    ["version", "statement", "effect", "action", "resource", "condition", "principal"];

const NO_PRINCIPAL: &str =
    "is for policies of buckets: a key's policy is about the key, so leave it out";

fn statements(policy: &Value) -> &[Value] {
    match policy.get("statement") {
        Some(Value::Array(statements)) => statements,
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    }
}

fn texts<'v>(statement: &'v Value, key: &str) -> Vec<&'v str> {
    match statement.get(key) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => Vec::new(),
    }
}

fn bare(action: &str) -> &str {
    action.strip_prefix("name/").unwrap_or(action)
}

/// `name/cos:PutObject`, `cos:PutObject`, `*`.
fn action_fault(action: &str) -> Option<&'static str> {
    if action == "*" {
        return None;
    }
    let fits = bare(action).split_once(':').is_some_and(|(service, name)| {
        let plain = |text: &str, also: &[u8]| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
        };
        plain(service, b"-") && plain(name, b"*")
    });
    (!fits).then_some("is not an action such as \"name/cos:GetObject\"")
}

/// `qcs::cos:REGION:uid/APPID:BUCKET-APPID/PREFIX*`: the mistakes that STS answers with
/// `GrantOtherResource` or `ResouceError` (its spelling), and those that it takes and COS refuses.
fn resource_fault(resource: &str) -> Option<&'static str> {
    if resource == "*" {
        return None;
    }
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let [qcs, _, service, region, account, path] = parts.as_slice() else {
        return Some(
            "is not six parts with colons: qcs::cos:REGION:uid/APPID:BUCKET-APPID/PREFIX*",
        );
    };
    if *qcs != "qcs" || service.is_empty() {
        return Some("must begin with qcs:: and a service, such as qcs::cos:");
    }
    if !matches!(*service, "cos" | "ci") {
        return None;
    }
    if account.starts_with("uin/") {
        return Some("has uin/, where COS wants uid/ and the APPID");
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let app_id = account.strip_prefix("uid/").unwrap_or_default();
    if !account.is_empty() && *account != "*" && !digits(app_id) {
        return Some("must have uid/APPID as its fifth part, such as uid/1250000000");
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'*');
    if !region.bytes().all(plain) {
        return Some("has a fourth part that is no region, such as ap-guangzhou");
    }
    path_fault(service, app_id, path)
}

fn path_fault(service: &str, app_id: &str, path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("names no bucket at its end: BUCKET-APPID/PREFIX*, or * for all");
    }
    if let Some(old) = path.strip_prefix("prefix//") {
        let named = old.split('/').next().unwrap_or_default();
        let other = !app_id.is_empty() && named != app_id;
        return other.then_some("names one APPID behind uid/ and another behind prefix//");
    }
    let path = if service == "ci" { path.strip_prefix("bucket/").unwrap_or(path) } else { path };
    let Some((bucket, key)) = path.split_once('/') else {
        let all = path.contains('*');
        return (!all).then_some(
            "ends at the bucket's name: BUCKET-APPID/ is the bucket, BUCKET-APPID/* its objects",
        );
    };
    if bucket.contains('*') {
        return None;
    }
    let of_bucket = bucket.rsplit_once('-').map(|(_, app_id)| app_id).unwrap_or_default();
    if of_bucket.is_empty() || !of_bucket.bytes().all(|b| b.is_ascii_digit()) {
        return Some("names a bucket without its APPID: write BUCKET-APPID");
    }
    if !app_id.is_empty() && of_bucket != app_id {
        return Some("names one APPID behind uid/ and another at the end of the bucket's name");
    }
    key.starts_with('/').then_some("has // behind the bucket: keys do not begin with /")
}

/// The sixth part of a resource of COS.
fn path_of(resource: &str) -> Option<&str> {
    let mut parts = resource.splitn(6, ':').skip(2);
    (parts.next() == Some("cos")).then(|| parts.nth(2)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(action: &str, resource: &str) -> String {
        format!(
            "{{\n \"version\": \"2.0\",\n \"statement\": [{{\n  \"effect\": \"allow\",\n  \
             \"action\": {action},\n  \"resource\": {resource}\n }}]\n}}"
        )
    }

    const ACTION: &str = "[\"name/cos:GetObject\"]";
    const RESOURCE: &str = "[\"qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/dir/*\"]";

    #[test]
    fn policies_that_work_are_left_alone() {
        for (action, resource) in [
            (ACTION, RESOURCE),
            ("\"cos:GetObject\"", "\"qcs::cos:ap-x:uid/1250000000:b-1250000000/\""),
            (ACTION, "[\"qcs::cos:ap-x:uid/1250000000:prefix//1250000000/b/dir/*\"]"),
            ("[\"name/ci:*\"]", "[\"qcs::ci:ap-x:uid/1250000000:bucket/b-1250000000/*\"]"),
            ("[\"name/cos:GetService\"]", "[\"*\"]"),
            ("[\"name/sts:AssumeRole\"]", "[\"qcs::cam::uin/1:roleName/r\"]"),
            (ACTION, "[\"qcs::cos::uid/1250000000:b-1250000000/*\"]"),
        ] {
            let text = with(action, resource);
            assert_eq!(mistakes(&text), [], "{text}");
            assert_eq!(wide(&text), [], "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_with_field_and_line() {
        for (resource, part) in [
            ("[]", "empty list"),
            ("[\"qcs::cos:ap-x:uid/1250000001:b-1250000000/*\"]", "another at the end"),
            ("[\"qcs::cos:ap-x:uid/1250000000:b/*\"]", "without its APPID"),
            ("[\"qcs::cos:ap-x:uid/1250000000:b-1250000000\"]", "ends at the bucket's name"),
            ("[\"qcs::cos:ap-x:uin/1250000000:b-1250000000/*\"]", "uid/"),
            ("[\"qcs::cos:ap-x:1250000000:b-1250000000/*\"]", "fifth part"),
            ("[\"qcs::cos:uid/1250000000:b-1250000000/*\"]", "six parts"),
            ("[\"b-1250000000/*\"]", "six parts"),
            ("[\"arn::cos:ap-x:uid/1:b-1/*\"]", "must begin with qcs::"),
            ("[\"qcs::cos:ap-x:uid/1250000000:b-1250000000//dir/*\"]", "//"),
            ("[\"qcs::cos:ap-x:uid/1250000000:prefix//1/b/*\"]", "prefix//"),
            ("[1]", "must be text"),
        ] {
            let found = mistakes(&with(ACTION, resource));
            assert_eq!(found.len(), 1, "{resource}: {found:?}");
            assert!(found[0].text.contains(part), "{resource}: {found:?}");
            assert_eq!(found[0].line, Some(6), "{resource}");
            assert!(found[0].field.starts_with("statement[0].resource"), "{found:?}");
        }
        let told = mistakes(&with("[\"GetObject\"]", RESOURCE));
        assert_eq!(
            told[0].to_string(),
            "line 5: statement[0].action[0] is not an action such as \"name/cos:GetObject\""
        );
    }

    #[test]
    fn what_is_no_policy_of_a_key_is_refused() {
        let good = with(ACTION, RESOURCE);
        for (text, part) in [
            ("{".to_owned(), "is not JSON"),
            ("[]".to_owned(), "must be a JSON object"),
            (good.replace("2.0", "1.0"), "must be \"2.0\""),
            (good.replace("\"version\"", "\"Version\""), "capital letters"),
            (good.replace("\"effect\"", "\"Effect\""), "capital letters"),
            (good.replace("\"allow\"", "\"Allow\""), "\"allow\" or \"deny\""),
            (good.replace("\"allow\"", "\"deny\""), "allows nothing"),
            (good.replace("\"effect\"", "\"principal\": {}, \"effect\""), "leave it out"),
            (good.replace("\"version\"", "\"principal\": {}, \"version\""), "leave it out"),
            ("{\"version\": \"2.0\", \"statement\": []}".to_owned(), "at least one"),
            (good.replace("\"resource\"", "\"resources\""), "does not know"),
        ] {
            let found = mistakes(&text);
            assert!(found.iter().any(|f| f.text.contains(part)), "{part}: {found:?}");
        }
    }

    #[test]
    fn what_allows_everything_of_a_kind_is_told() {
        for (action, resource, count) in [
            ("[\"*\"]", RESOURCE, 1),
            (ACTION, "[\"*\"]", 1),
            ("\"*\"", "\"*\"", 2),
            ("[\"name/cos:*\"]", "[\"qcs::cos:ap-x:uid/1250000000:*\"]", 1),
            ("[\"name/cos:*\"]", RESOURCE, 0),
            ("[\"name/cos:GetObject\"]", "[\"qcs::cos:ap-x:uid/1250000000:*\"]", 0),
        ] {
            assert_eq!(wide(&with(action, resource)).len(), count, "{action} {resource}");
        }
        let denied = with("\"*\"", "\"*\"").replace("\"allow\"", "\"deny\"");
        assert_eq!(wide(&denied), []);
    }
}
