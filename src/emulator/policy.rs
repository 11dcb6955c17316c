//! CAM policies, version 2.0: does a temporary key's policy allow an action on a resource?
//!
//! Written from Tencent Cloud docs 598/10603 (grammar) and 436/31923 (COS actions and resources).
//! A deny wins over any allow, and what nothing allows is refused.

use std::sync::Arc;

use serde::Deserialize;

/// A parsed policy, or several that must all allow. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Every layer must allow: a role's own policy and the one given when it was assumed.
    layers: Arc<[Layer]>,
}

/// Why a policy text was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    /// Not JSON, or not of the policy grammar.
    #[error("the policy is not a CAM policy: {0}")]
    Malformed(String),
    /// Another language version than 2.0.
    #[error("the policy's version is {0:?}, only \"2.0\" is known")]
    Version(String),
    /// An effect that is neither `allow` nor `deny`.
    #[error("the policy's effect is {0:?}, only allow and deny are known")]
    Effect(String),
}

impl Policy {
    /// Reads the text of a policy as the API receives it: percent-decoded once, whether the sender
    /// encoded it or not, so that an unencoded `%` or `+` suffers as it does on the real service.
    ///
    /// A `principal` is tolerated and ignored.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let decoded = form_decode(text);
        let document: Document = serde_json::from_slice(&decoded)
            .map_err(|error| PolicyError::Malformed(error.to_string()))?;
        if document.version != "2.0" {
            return Err(PolicyError::Version(document.version));
        }
        let statements = document
            .statement
            .into_vec()
            .into_iter()
            .map(Statement::from_document)
            .collect::<Result<Vec<_>, _>>()?;
        let layer = Layer { statements, length: decoded.len() };
        Ok(Self { layers: Arc::from(vec![layer]) })
    }

    /// What both policies allow.
    #[must_use]
    pub fn narrowed_by(&self, other: &Self) -> Self {
        Self { layers: self.layers.iter().chain(other.layers.iter()).cloned().collect() }
    }

    /// Whether `action` (`name/cos:PutObject`) is allowed on `resource`
    /// (`qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/key`, the key written raw).
    ///
    /// A statement with a `condition` never allows here and always denies, since there is nothing
    /// to judge the condition by.
    #[must_use]
    pub fn allows(&self, action: &str, resource: &str) -> bool {
        self.layers.iter().all(|layer| layer.allows(action, &[resource], None))
    }

    /// Whether a list with this `prefix` parameter is allowed in `bucket`, a resource that ends in
    /// `/`: on the bucket, or on the bucket and the prefix as if that were a key. Policies are
    /// written both ways, and the documentation does not say which one COS asks for; a deny on
    /// either counts. Conditions on `cos:prefix` (doc 436/46206) are judged, others as above.
    #[must_use]
    pub fn allows_list(&self, action: &str, bucket: &str, prefix: Option<&str>) -> bool {
        let below = format!("{bucket}{}", prefix.unwrap_or_default());
        let list = List { prefix: prefix.map(encoded) };
        self.layers.iter().all(|layer| layer.allows(action, &[bucket, &below], Some(&list)))
    }

    /// The bytes of the policy's JSON; a session token grows with it.
    #[must_use]
    pub fn length(&self) -> usize {
        self.layers.iter().map(|layer| layer.length).sum()
    }
}

/// One policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    statements: Vec<Statement>,
    length: usize,
}

impl Layer {
    /// Whether one of the resources is allowed and none denied.
    fn allows(&self, action: &str, resources: &[&str], list: Option<&List>) -> bool {
        let covers = |s: &&Statement| resources.iter().any(|r| s.covers(action, r, list));
        let mut matching = self.statements.iter().filter(covers).peekable();
        matching.peek().is_some() && matching.all(|statement| statement.effect == Effect::Allow)
    }
}

/// What a list asks for, as conditions see it.
struct List {
    /// Percent-encoded: users report that a literal `/` in a condition matches no request, and that
    /// `%2F` does.
    prefix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    actions: Vec<String>,
    resources: Vec<String>,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    None,
    /// Patterns for `cos:prefix`.
    Prefix(Vec<String>),
    /// Not judged here.
    Other,
}

impl Condition {
    fn from_document(condition: Option<&serde_json::Value>) -> Self {
        let Some(condition) = condition.filter(|condition| !is_empty(condition)) else {
            return Self::None;
        };
        let only = |value: &serde_json::Value, key: &str| {
            let object = value.as_object().filter(|object| object.len() == 1)?;
            object.get(key).cloned()
        };
        let like = only(condition, "string_like").and_then(|like| only(&like, "cos:prefix"));
        let patterns = like.and_then(|like| serde_json::from_value::<OneOrMany<String>>(like).ok());
        patterns.map_or(Self::Other, |patterns| Self::Prefix(patterns.into_vec()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

impl Statement {
    fn from_document(document: StatementDocument) -> Result<Self, PolicyError> {
        let effect = match document.effect.to_ascii_lowercase().as_str() {
            "allow" => Effect::Allow,
            "deny" => Effect::Deny,
            _ => return Err(PolicyError::Effect(document.effect)),
        };
        Ok(Self {
            effect,
            actions: document.action.into_vec(),
            resources: document.resource.into_vec(),
            condition: Condition::from_document(document.condition.as_ref()),
        })
    }

    fn covers(&self, action: &str, resource: &str, list: Option<&List>) -> bool {
        let judged = match (&self.condition, list) {
            (Condition::None, _) => true,
            (Condition::Prefix(patterns), Some(List { prefix })) => prefix
                .as_ref()
                .is_some_and(|prefix| patterns.iter().any(|p| wildcard_matches(p, prefix))),
            (Condition::Prefix(_) | Condition::Other, _) => self.effect == Effect::Deny,
        };
        judged
            && self.actions.iter().any(|pattern| action_matches(pattern, action))
            && self.resources.iter().any(|pattern| resource_matches(pattern, resource))
    }
}

fn is_empty(condition: &serde_json::Value) -> bool {
    condition.is_null() || condition.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Percent-encoded but for letters, digits and `-_.~`.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// `name/cos:X` and `cos:X` are the same action; case matters.
fn action_matches(pattern: &str, action: &str) -> bool {
    let pattern = pattern.strip_prefix("name/").unwrap_or(pattern);
    let action = action.strip_prefix("name/").unwrap_or(action);
    wildcard_matches(pattern, action)
}

/// A resource is `qcs:project:service:region:account:path`. An empty region or account in the
/// pattern means any.
fn resource_matches(pattern: &str, resource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let pattern_parts: Vec<&str> = pattern.splitn(6, ':').collect();
    let resource_parts: Vec<&str> = resource.splitn(6, ':').collect();
    let ([q1, _, s1, region1, account1, path1], [q2, _, s2, region2, account2, path2]) =
        (pattern_parts.as_slice(), resource_parts.as_slice())
    else {
        return wildcard_matches(pattern, resource);
    };
    let any_or = |pattern: &str, text: &str| pattern.is_empty() || wildcard_matches(pattern, text);
    q1 == q2
        && wildcard_matches(s1, s2)
        && any_or(region1, region2)
        && any_or(account1, account2)
        && wildcard_matches(&current_form(path1), path2)
}

/// The older path `prefix//<appid>/<name>/<key>` is still accepted; it means
/// `<name>-<appid>/<key>`.
fn current_form(path: &str) -> String {
    let old = path.strip_prefix("prefix//").and_then(|rest| {
        let (appid, rest) = rest.split_once('/')?;
        let (name, key) = rest.split_once('/')?;
        Some(format!("{name}-{appid}/{key}"))
    });
    old.unwrap_or_else(|| path.to_owned())
}

/// `*` stands for any run of characters, `/` included.
fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(tail)
}

/// Percent-decodes once, `+` meaning a space; a broken escape stays as it is.
pub(super) fn form_decode(text: &str) -> Vec<u8> {
    let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced)
}

/// Percent-decodes once; a broken escape stays as it is.
pub(super) fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(first);
            rest = tail;
        }
    }
    decoded
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[derive(Deserialize)]
struct Document {
    version: String,
    statement: OneOrMany<StatementDocument>,
}

#[derive(Deserialize)]
struct StatementDocument {
    effect: String,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
    #[serde(default)]
    condition: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/dir/a.txt";

    fn policy(effect: &str, action: &str, resource: &str) -> Policy {
        Policy::parse(&format!(
            r#"{{"version":"2.0","statement":{{"effect":"{effect}","action":{action},"resource":{resource}}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn actions_match_by_name_and_wildcard_with_or_without_the_name_prefix() {
        let asked = "name/cos:PutObject";
        for (pattern, allowed) in [
            (r#""name/cos:PutObject""#, true),
            (r#""cos:PutObject""#, true),
            (r#"["name/cos:GetObject","name/cos:PutObject"]"#, true),
            (r#""name/cos:*""#, true),
            (r#""cos:*""#, true),
            (r#""*""#, true),
            (r#""name/cos:Put*""#, true),
            (r#""name/cos:putobject""#, false),
            (r#""name/cos:PutObjectACL""#, false),
            (r#""name/ci:*""#, false),
            ("[]", false),
        ] {
            let policy = policy("allow", pattern, r#""*""#);
            assert_eq!(policy.allows(asked, KEY), allowed, "{pattern}");
        }
    }

    #[test]
    fn resources_match_by_prefix_region_and_account() {
        for (pattern, allowed) in [
            (r#""*""#, true),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/*""#, true),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/dir/*""#, true),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/dir/a.txt""#, true),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/*.txt""#, true),
            (r#""qcs::cos::uid/1250000000:bucket-1250000000/*""#, true),
            (r#""qcs::cos:ap-guangzhou::bucket-1250000000/*""#, true),
            (r#""qcs::cos:*:uid/1250000000:*""#, true),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:prefix//1250000000/bucket/dir/*""#, true),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:prefix//1250000000/other/dir/*""#, false),
            (r#""qcs::cos:ap-beijing:uid/1250000000:bucket-1250000000/*""#, false),
            (r#""qcs::cos:ap-guangzhou:uid/1250000001:bucket-1250000000/*""#, false),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/di""#, false),
            (r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/other/*""#, false),
            (r#""qcs::ci:ap-guangzhou:uid/1250000000:bucket-1250000000/*""#, false),
            ("[]", false),
        ] {
            let policy = policy("allow", r#""name/cos:*""#, pattern);
            assert_eq!(policy.allows("name/cos:GetObject", KEY), allowed, "{pattern}");
        }
    }

    #[test]
    fn a_bucket_wide_wildcard_covers_the_bucket_itself() {
        let policy = policy(
            "allow",
            r#""name/cos:GetBucket""#,
            r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/*""#,
        );
        let bucket = "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/";
        assert!(policy.allows("name/cos:GetBucket", bucket));
    }

    #[test]
    fn a_deny_wins_over_any_allow() {
        let text = r#"{"version":"2.0","statement":[
            {"effect":"allow","action":"*","resource":"*"},
            {"effect":"deny","action":"name/cos:DeleteObject","resource":"*"}]}"#;
        let policy = Policy::parse(text).unwrap();
        assert!(policy.allows("name/cos:PutObject", KEY));
        assert!(!policy.allows("name/cos:DeleteObject", KEY));
    }

    #[test]
    fn a_conditional_statement_never_allows_and_always_denies() {
        let with = |effect: &str| {
            Policy::parse(&format!(
                r#"{{"version":"2.0","statement":[{{"effect":"allow","action":"cos:GetObject","resource":"*"}},
                {{"effect":"{effect}","action":"*","resource":"*","condition":{{"ip_equal":{{"qcs:ip":"10.0.0.0/8"}}}}}}]}}"#
            ))
            .unwrap()
        };
        assert!(with("allow").allows("cos:GetObject", KEY));
        assert!(!with("allow").allows("cos:PutObject", KEY));
        assert!(!with("deny").allows("cos:GetObject", KEY));
    }

    #[test]
    fn a_list_is_judged_on_the_bucket_or_below_it_and_by_its_prefix() {
        let bucket = "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/";
        let policy = |statements: &str| {
            Policy::parse(&format!(r#"{{"version":"2.0","statement":[{statements}]}}"#)).unwrap()
        };
        let statement = |effect: &str, key: &str, condition: &str| {
            format!(
                r#"{{"effect":"{effect}","action":"cos:GetBucket","resource":"{bucket}{key}","condition":{condition}}}"#
            )
        };
        let lists = |policy: &Policy, prefix| policy.allows_list("cos:GetBucket", bucket, prefix);
        let below = policy(&statement("allow", "dir/*", "{}"));
        assert!(lists(&below, Some("dir/")) && lists(&below, Some("dir/a")));
        assert!(!lists(&below, Some("di")) && !lists(&below, None));
        let hole = statement("deny", "dir/*", "{}");
        let except = policy(&format!("{},{hole}", statement("allow", "*", "{}")));
        assert!(lists(&except, Some("di")) && !lists(&except, Some("dir/a")));
        // A `%` in a policy is decoded once on its way in, so it is written as %25.
        let by_prefix = r#"{"string_like":{"cos:prefix":["dir%252F*","x"]}}"#;
        let conditional = policy(&statement("allow", "*", by_prefix));
        assert!(lists(&conditional, Some("dir/a")) && lists(&conditional, Some("x")));
        assert!(!lists(&conditional, Some("xy")) && !lists(&conditional, None));
        assert!(!conditional.allows("cos:GetBucket", &format!("{bucket}dir/a")));
        let denied = statement("deny", "*", by_prefix);
        let except = policy(&format!("{},{denied}", statement("allow", "*", "{}")));
        assert!(lists(&except, Some("di")) && lists(&except, None));
        assert!(!lists(&except, Some("dir/a")));
    }

    #[test]
    fn narrowing_allows_only_what_both_allow() {
        let role = policy("allow", r#"["cos:GetObject","cos:PutObject"]"#, r#""*""#);
        let session = policy("allow", r#"["cos:GetObject","cos:DeleteObject"]"#, r#""*""#);
        let both = role.narrowed_by(&session);
        assert!(both.allows("cos:GetObject", KEY));
        assert!(!both.allows("cos:PutObject", KEY));
        assert!(!both.allows("cos:DeleteObject", KEY));
    }

    #[test]
    fn a_policy_is_decoded_exactly_once() {
        let encoded = "%7B%22version%22%3A%222.0%22%2C%22statement%22%3A%5B%7B%22effect%22%3A%22allow\
                       %22%2C%22action%22%3A%5B%22name/cos%3AGetObject%22%5D%2C%22resource%22%3A%5B%22\
                       qcs%3A%3Acos%3Aap-guangzhou%3Auid/1250000000%3Abucket-1250000000/dir/%2A%22%5D%7D%5D%7D";
        assert!(Policy::parse(encoded).unwrap().allows("name/cos:GetObject", KEY));

        let plus = r#""qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/a+b""#;
        let unencoded = policy("allow", r#""*""#, plus);
        let wanted = "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/a+b";
        assert!(!unencoded.allows("cos:GetObject", wanted), "an unencoded plus became a space");
    }

    #[test]
    fn what_is_not_a_policy_is_refused() {
        for text in ["", "{}", "[]", "null", r#"{"version":"2.0"}"#, "%7B"] {
            assert!(matches!(Policy::parse(text), Err(PolicyError::Malformed(_))), "{text:?}");
        }
        let version = r#"{"version":"1.0","statement":[]}"#;
        assert_eq!(Policy::parse(version), Err(PolicyError::Version("1.0".to_owned())));
        let effect =
            r#"{"version":"2.0","statement":[{"effect":"maybe","action":"*","resource":"*"}]}"#;
        assert_eq!(Policy::parse(effect), Err(PolicyError::Effect("maybe".to_owned())));
        let nothing = Policy::parse(r#"{"version":"2.0","statement":[]}"#).unwrap();
        assert!(!nothing.allows("cos:GetObject", KEY));
    }

    #[test]
    fn wildcards_match_runs_of_any_length() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "ab", false),
            ("a*a", "a", false),
            ("*b*", "abc", true),
            ("a**c", "abc", true),
            ("a*b*c", "axbyc", true),
            ("a*b*c", "axcyb", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(wildcard_matches(pattern, text), matches, "{pattern} {text}");
        }
    }
}
