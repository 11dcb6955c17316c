//! The policy of a key set, derived from the routes that it signs: what the gate refuses, COS refuses
//! too. A pure function of the same routes that the gate enforces.
//!
//! A policy cannot make an exception from an exception, since a deny wins over every allow. Such
//! routes are refused unless the inner one has keys of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::{
    Operation, RouteSettings,
    allow::{Allow, Reach},
};

/// How a policy limits lists to a prefix. Both forms stand in Tencent Cloud's documents (436/30580
/// and 436/46206), and neither page says for which requests which one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListForm {
    /// By the resource: `BUCKET/PREFIX*`.
    #[default]
    Prefix,
    /// By a condition on the request parameter: `cos:prefix`.
    Condition,
}

/// Routes that no policy can express.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the routes allow {action} for keys {keys} below \"{outer}\", except below \"{hole}\", and again below \"{inner}\", which no policy can say: a deny wins over every allow. Give the route of \"{inner}\" another key set"
)]
pub struct Inexpressible {
    /// What is allowed.
    pub action: &'static str,
    /// The key set.
    pub keys: String,
    /// Where it is allowed.
    pub outer: String,
    /// Where it is not.
    pub hole: String,
    /// Where it is again.
    pub inner: String,
}

/// The policy of the key set with index `keys`, as JSON; `None` if no route gives it anything to do.
///
/// # Errors
/// [`Inexpressible`] routes.
pub fn route_policy(
    routes: &[RouteSettings],
    keys: usize,
    lists: ListForm,
) -> Result<Option<String>, Inexpressible> {
    let mut draft = Draft { lists, grants: BTreeMap::new() };
    let buckets: BTreeSet<(&str, &str)> =
        routes.iter().map(|r| (r.bucket.as_str(), r.region.as_str())).collect();
    for (bucket, region) in buckets {
        let bucket = Bucket {
            resource: format!("qcs::cos:{region}:uid/{}:{bucket}/", app_id(bucket)),
            ci_resource: format!("qcs::ci:{region}:uid/{}:bucket/{bucket}/*", app_id(bucket)),
            routes: routes.iter().filter(|r| r.bucket == bucket && r.region == region).collect(),
        };
        draft.bucket(&bucket, keys)?;
    }
    let lists_buckets = |r: &RouteSettings| r.keys == keys && r.allow.allows(Operation::GetService);
    if routes.iter().any(lists_buckets) {
        let action = routes_allow(Operation::GetService);
        draft.grant(Effect::Allow, "*".to_owned(), None, action);
    }
    Ok(draft.json())
}

struct Bucket<'r> {
    /// Ends in `/`.
    resource: String,
    ci_resource: String,
    routes: Vec<&'r RouteSettings>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Allow,
    Deny,
}

/// Where a statement holds: a resource, or lists of a bucket by the parameter `prefix`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    resource: String,
    list_pattern: Option<String>,
}

/// The actions by effect and target.
struct Draft {
    lists: ListForm,
    grants: BTreeMap<(Effect, Target), Allow>,
}

/// One prefix with what the key set may do below it, and what a deny above it took away.
struct Level<'r> {
    prefix: &'r str,
    own: Allow,
    denied: Vec<(Allow, &'r str)>,
    parent: Option<usize>,
}

impl Draft {
    fn bucket(&mut self, bucket: &Bucket<'_>, keys: usize) -> Result<(), Inexpressible> {
        let mine = || bucket.routes.iter().filter(|r| r.keys == keys);
        let whole = mine().filter(|r| r.prefix.is_empty()).fold(Allow::default(), both);
        let has_prefix = bucket.routes.iter().any(|r| !r.prefix.is_empty());
        let anywhere = mine().fold(Allow::default(), both);

        let of_bucket = whole.only(|o| Reach::of(o) == Reach::Bucket);
        let heads = anywhere.only(|o| Reach::of(o) == Reach::AnyOfBucket);
        self.grant(Effect::Allow, bucket.resource.clone(), None, of_bucket.with(heads));
        let processing = whole.only(|o| Reach::of(o) == Reach::Processing);
        self.grant(Effect::Allow, bucket.ci_resource.clone(), None, processing);
        if !has_prefix {
            let form = whole.only(|o| Reach::of(o) == Reach::Form);
            self.grant(Effect::Allow, format!("{}*", bucket.resource), None, form);
        }
        self.prefixes(bucket, keys)
    }

    /// What depends on the key, from the shortest prefix to the longest: each differs from the next
    /// shorter one by an allow or a deny.
    fn prefixes(&mut self, bucket: &Bucket<'_>, keys: usize) -> Result<(), Inexpressible> {
        let mut prefixes: Vec<&str> = bucket.routes.iter().map(|r| r.prefix.as_str()).collect();
        prefixes.sort_by_key(|prefix| (prefix.len(), *prefix));
        prefixes.dedup();
        let mut levels: Vec<Level<'_>> = Vec::new();
        for prefix in prefixes {
            let mine = bucket.routes.iter().filter(|r| r.keys == keys && r.prefix == prefix);
            let own = mine.fold(Allow::default(), both).only(by_key);
            // Shorter ones stand in front, so the last that begins this prefix is the longest.
            let parent = levels.iter().rposition(|level| prefix.starts_with(level.prefix));
            let mut level = Level { prefix, own, denied: Vec::new(), parent };
            let mut inherited = Allow::default();
            if let Some(above) = parent.and_then(|at| levels.get(at)) {
                inherited = above.own;
                level.denied.clone_from(&above.denied);
            }
            check(&levels, &level, bucket)?;
            let taken = inherited.without(own);
            if !taken.is_empty() {
                level.denied.push((taken, prefix));
            }
            self.below(Effect::Allow, bucket, prefix, own.without(inherited));
            self.below(Effect::Deny, bucket, prefix, taken);
            levels.push(level);
        }
        Ok(())
    }

    fn below(&mut self, effect: Effect, bucket: &Bucket<'_>, prefix: &str, allow: Allow) {
        let lists = allow.only(|o| Reach::of(o) == Reach::List);
        let resource = format!("{}{prefix}*", bucket.resource);
        match self.lists {
            ListForm::Condition if !prefix.is_empty() => {
                self.grant(effect, resource, None, allow.without(lists));
                let pattern = format!("{}*", encoded(prefix));
                self.grant(effect, format!("{}*", bucket.resource), Some(pattern), lists);
            }
            ListForm::Prefix | ListForm::Condition => self.grant(effect, resource, None, allow),
        }
    }

    fn grant(
        &mut self,
        effect: Effect,
        resource: String,
        list_pattern: Option<String>,
        allow: Allow,
    ) {
        if !allow.is_empty() {
            let target = Target { resource, list_pattern };
            let granted = self.grants.entry((effect, target)).or_default();
            *granted = granted.with(allow);
        }
    }

    /// One statement for all targets of the same actions.
    fn json(self) -> Option<String> {
        let mut statements: Vec<Statement> = Vec::new();
        for ((effect, target), allow) in self.grants {
            let mut actions: Vec<&'static str> = allow.policy_names().collect();
            actions.sort_unstable();
            let same = statements
                .iter_mut()
                .find(|s| s.effect == effect && s.actions == actions && s.takes(&target));
            let Target { resource, list_pattern } = target;
            match (same, list_pattern) {
                (Some(statement), Some(pattern)) => statement.patterns.push(pattern),
                (Some(statement), None) => statement.resources.push(resource),
                (None, pattern) => statements.push(Statement {
                    effect,
                    actions,
                    resources: vec![resource],
                    patterns: Vec::from_iter(pattern),
                }),
            }
        }
        if !statements.iter().any(|statement| statement.effect == Effect::Allow) {
            return None;
        }
        let statements: Vec<Value> = statements.into_iter().map(Statement::json).collect();
        Some(json!({ "version": "2.0", "statement": statements }).to_string())
    }
}

struct Statement {
    effect: Effect,
    actions: Vec<&'static str>,
    resources: Vec<String>,
    /// For `cos:prefix`; then there is one resource.
    patterns: Vec<String>,
}

impl Statement {
    /// Whether a target can be added without changing what the others mean.
    fn takes(&self, target: &Target) -> bool {
        match target.list_pattern {
            Some(_) => !self.patterns.is_empty() && self.resources.contains(&target.resource),
            None => self.patterns.is_empty(),
        }
    }

    fn json(self) -> Value {
        let effect = match self.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        };
        let mut statement =
            json!({ "effect": effect, "action": self.actions, "resource": self.resources });
        if !self.patterns.is_empty() {
            statement["condition"] = json!({ "string_like": { "cos:prefix": self.patterns } });
        }
        statement
    }
}

/// Refuses what is allowed again below a deny.
fn check(
    levels: &[Level<'_>],
    level: &Level<'_>,
    bucket: &Bucket<'_>,
) -> Result<(), Inexpressible> {
    for (taken, hole) in &level.denied {
        let again = level.own.and(*taken);
        let Some(action) = again.actions().next() else { continue };
        let mut above = level.parent.and_then(|at| levels.get(at));
        let mut outer = "";
        while let Some(level) = above {
            if level.prefix.len() < hole.len() && !level.own.and(again).is_empty() {
                outer = level.prefix;
                break;
            }
            above = level.parent.and_then(|at| levels.get(at));
        }
        let inner = bucket
            .routes
            .iter()
            .find(|r| r.prefix == level.prefix && !r.allow.and(again).is_empty());
        return Err(Inexpressible {
            action,
            keys: inner.map(|r| r.keys_name.clone()).unwrap_or_default(),
            outer: outer.to_owned(),
            hole: (*hole).to_owned(),
            inner: level.prefix.to_owned(),
        });
    }
    Ok(())
}

fn both(all: Allow, route: &&RouteSettings) -> Allow {
    all.with(route.allow)
}

fn by_key(operation: Operation) -> bool {
    matches!(Reach::of(operation), Reach::Object | Reach::List | Reach::ManyObjects)
}

fn routes_allow(operation: Operation) -> Allow {
    operation.cam_action().and_then(|action| Allow::word(action).ok()).unwrap_or_default()
}

fn app_id(bucket: &str) -> &str {
    bucket.rsplit_once('-').map_or("", |(_, app_id)| app_id)
}

/// Conditions on `cos:prefix` are compared with the parameter as it is encoded: with a literal `/`
/// COS refused every list, as several users report, and `%2F` worked.
fn encoded(prefix: &str) -> String {
    let mut text = String::with_capacity(prefix.len());
    for byte in prefix.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(prefix: &str, allow: &[&str], keys: usize) -> RouteSettings {
        RouteSettings {
            bucket: "b-125".to_owned(),
            region: "ap-x".to_owned(),
            prefix: prefix.to_owned(),
            allow: allow
                .iter()
                .fold(Allow::default(), |all, word| all.with(Allow::word(word).unwrap())),
            keys,
            keys_name: format!("set{keys}"),
        }
    }

    fn policy(routes: &[RouteSettings], keys: usize, lists: ListForm) -> Value {
        serde_json::from_str(&route_policy(routes, keys, lists).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_route_becomes_its_actions_on_its_prefix() {
        let routes = [route("reports/", &["read", "list"], 0), route("out/", &["read"], 0)];
        let said = policy(&routes, 0, ListForm::Prefix);
        assert_eq!(
            said,
            json!({"version": "2.0", "statement": [
                {"effect": "allow", "action": ["name/cos:HeadBucket"],
                 "resource": ["qcs::cos:ap-x:uid/125:b-125/"]},
                {"effect": "allow",
                 "action": ["name/cos:GetObject", "name/cos:GetObjectTagging",
                            "name/cos:HeadObject", "name/cos:OptionsObject"],
                 "resource": ["qcs::cos:ap-x:uid/125:b-125/out/*"]},
                {"effect": "allow",
                 "action": ["name/cos:GetBucket", "name/cos:GetBucketObjectVersions",
                            "name/cos:GetObject", "name/cos:GetObjectTagging",
                            "name/cos:HeadObject", "name/cos:ListMultipartUploads",
                            "name/cos:ListParts", "name/cos:OptionsObject"],
                 "resource": ["qcs::cos:ap-x:uid/125:b-125/reports/*"]},
            ]})
        );
    }

    #[test]
    fn an_exception_becomes_a_deny_and_prefixes_of_the_same_actions_share_a_statement() {
        let routes = [
            route("", &["name/cos:GetObject"], 0),
            route("a/", &[], 0),
            route("b/", &[], 1),
            route("c/", &["name/cos:GetObject", "name/cos:PutObjectACL"], 0),
        ];
        let resource = |key: &str| format!("qcs::cos:ap-x:uid/125:b-125/{key}");
        assert_eq!(
            policy(&routes, 0, ListForm::Prefix)["statement"],
            json!([
                {"effect": "allow", "action": ["name/cos:GetObject"], "resource": [resource("*")]},
                {"effect": "allow", "action": ["name/cos:PutObjectACL"], "resource": [resource("c/*")]},
                {"effect": "deny", "action": ["name/cos:GetObject"],
                 "resource": [resource("a/*"), resource("b/*")]},
            ])
        );
        assert_eq!(route_policy(&routes, 1, ListForm::Prefix), Ok(None));
    }

    #[test]
    fn an_exception_from_an_exception_needs_other_keys() {
        let mut routes = vec![
            route("", &["read"], 0),
            route("a/", &[], 0),
            route("a/b/", &["name/cos:PutObject"], 0),
            route("a/b/c/", &["read"], 0),
        ];
        let refused = route_policy(&routes, 0, ListForm::Prefix).unwrap_err();
        assert_eq!((refused.outer.as_str(), refused.hole.as_str()), ("", "a/"));
        assert_eq!((refused.inner.as_str(), refused.action), ("a/b/c/", "name/cos:GetObject"));
        routes[3].keys = 1;
        assert!(route_policy(&routes, 0, ListForm::Prefix).is_ok());
        assert!(route_policy(&routes, 1, ListForm::Prefix).is_ok());
    }

    #[test]
    fn lists_can_be_limited_by_a_condition() {
        let list = &["name/cos:GetBucket"];
        let routes = [route("a b/", list, 0), route("目/", list, 0), route("a b/x", &[], 0)];
        let bucket = "qcs::cos:ap-x:uid/125:b-125/*";
        assert_eq!(
            policy(&routes, 0, ListForm::Condition)["statement"],
            json!([
                {"effect": "allow", "action": list, "resource": [bucket],
                 "condition": {"string_like": {"cos:prefix": ["%E7%9B%AE%2F*", "a%20b%2F*"]}}},
                {"effect": "deny", "action": list, "resource": [bucket],
                 "condition": {"string_like": {"cos:prefix": ["a%20b%2Fx*"]}}},
            ])
        );
        let whole = policy(&[route("", list, 0)], 0, ListForm::Condition);
        assert_eq!(whole["statement"][0].get("condition"), None);
    }

    #[test]
    fn what_concerns_the_bucket_or_the_account_has_its_own_resource() {
        let allow =
            &["name/cos:GetBucketACL", "name/cos:GetService", "name/ci:*", "name/cos:PostObject"];
        let said = policy(&[route("", allow, 0)], 0, ListForm::Prefix);
        let on = |action: &str| {
            let statements = said["statement"].as_array().unwrap();
            let has = |s: &&Value| s["action"].as_array().unwrap().contains(&json!(action));
            statements.iter().find(has).map(|s| s["resource"][0].as_str().unwrap().to_owned())
        };
        assert_eq!(on("name/cos:GetBucketACL").unwrap(), "qcs::cos:ap-x:uid/125:b-125/");
        assert_eq!(on("name/cos:GetService").unwrap(), "*");
        assert_eq!(on("name/ci:*").unwrap(), "qcs::ci:ap-x:uid/125:bucket/b-125/*");
        assert_eq!(on("name/cos:PostObject").unwrap(), "qcs::cos:ap-x:uid/125:b-125/*");
        let split = [route("", &["write"], 0), route("a/", &["write"], 0)];
        let said = policy(&split, 0, ListForm::Prefix).to_string();
        assert!(!said.contains("PostObject") && said.contains("PutObject"), "{said}");
    }

    #[test]
    fn the_order_of_the_routes_makes_no_difference() {
        let mut routes = vec![
            route("", &["read"], 0),
            route("a/", &["write"], 0),
            route("b", &["read", "delete"], 0),
            route("ab", &[], 0),
        ];
        let first = route_policy(&routes, 0, ListForm::Condition);
        routes.reverse();
        assert_eq!(route_policy(&routes, 0, ListForm::Condition), first);
    }
}
