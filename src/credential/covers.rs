//! Whether a CAM policy surely allows something. Pure, and careful: what it cannot judge counts as
//! not allowed, since a key that is narrowed further must never do more than the one it comes from.
//!
//! Grammar: Tencent Cloud doc 598/10603. Resources of COS: doc 436/31923.

use serde_json::{Map, Value};

/// One action on one resource; both may end in `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// `name/cos:PutObject`
    pub action: String,
    /// `qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/prefix/*`
    pub resource: String,
}

/// Why a policy does not surely allow what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// Not a policy with statements.
    #[error("the key set's own policy cannot be read, so nothing can be said to lie inside it")]
    Unreadable,
    /// No statement allows all of it.
    #[error(
        "{action} on {resource} is not allowed by the key set's own policy (a statement with a condition, or with * inside a name, is not counted)"
    )]
    NotAllowed {
        /// What is wanted.
        action: String,
        /// On what.
        resource: String,
    },
    /// A statement may deny some of it.
    #[error(
        "{action} on {resource} may meet a deny statement of the key set's own policy, which a narrowed key would not have"
    )]
    Denied {
        /// What is wanted.
        action: String,
        /// On what.
        resource: String,
    },
}

/// Whether `policy` allows all of `wanted`, and no deny statement touches any of it.
///
/// # Errors
/// [`NotCovered`] for the first permission of which that is not sure.
pub(super) fn covers(policy: &str, wanted: &[Permission]) -> Result<(), NotCovered> {
    let statements = statements(policy).ok_or(NotCovered::Unreadable)?;
    for Permission { action, resource } in wanted {
        let told = || (action.clone(), resource.clone());
        if statements.iter().any(|s| s.denies && s.may_touch(action, resource)) {
            let (action, resource) = told();
            return Err(NotCovered::Denied { action, resource });
        }
        if !statements.iter().any(|s| !s.denies && s.surely_covers(action, resource)) {
            let (action, resource) = told();
            return Err(NotCovered::NotAllowed { action, resource });
        }
    }
    Ok(())
}

struct Statement {
    denies: bool,
    /// Nothing but effect, actions and resources stands in it.
    plain: bool,
    actions: Vec<String>,
    resources: Vec<String>,
}

fn statements(policy: &str) -> Option<Vec<Statement>> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    match policy.get("statement")? {
        Value::Array(statements) => {
            statements.iter().map(|each| statement(each.as_object()?)).collect()
        }
        Value::Object(one) => Some(vec![statement(one)?]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn statement(fields: &Map<String, Value>) -> Option<Statement> {
    let effect = fields.get("effect")?.as_str()?;
    let denies = match effect.to_ascii_lowercase().as_str() {
        "allow" => false,
        "deny" => true,
        _ => return None,
    };
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    let plain = fields.iter().all(|(name, value)| match name.as_str() {
        "effect" | "action" | "resource" => true,
        "condition" => empty(value),
        _ => false,
    });
    Some(Statement {
        denies,
        plain,
        actions: texts(fields.get("action")?)?,
        resources: texts(fields.get("resource")?)?,
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

impl Statement {
    fn surely_covers(&self, action: &str, resource: &str) -> bool {
        self.plain
            && self.actions.iter().any(|own| pattern_covers(bare(own), bare(action)))
            && self.resources.iter().any(|own| resource_covers(own, resource))
    }

    fn may_touch(&self, action: &str, resource: &str) -> bool {
        !self.plain
            || self.actions.iter().any(|own| patterns_meet(bare(own), bare(action)))
                && self.resources.iter().any(|own| resources_meet(own, resource))
    }
}

/// `name/cos:X` and `cos:X` are the same action.
fn bare(action: &str) -> &str {
    action.strip_prefix("name/").unwrap_or(action)
}

/// What stands before the first `*`.
fn literal(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

/// Whether all that `wanted` matches is matched by `own`. Only a `*` at its end is understood.
fn pattern_covers(own: &str, wanted: &str) -> bool {
    match own.strip_suffix('*') {
        Some(head) if !head.contains('*') => literal(wanted).starts_with(head),
        Some(_) | None => own == wanted,
    }
}

/// Whether something may match both. Case, percent-encoding and CAM's variables count for nothing:
/// nobody says how CAM compares them.
fn patterns_meet(one: &str, other: &str) -> bool {
    let certain = |pattern: &str| {
        let head = pattern.split(['*', '%', '?', '$']).next().unwrap_or_default();
        (head.to_lowercase(), head.len() == pattern.len())
    };
    let ((one, one_whole), (other, other_whole)) = (certain(one), certain(other));
    match (one_whole, other_whole) {
        (true, true) => one == other,
        (true, false) => one.starts_with(&other),
        (false, true) => other.starts_with(&one),
        (false, false) => one.starts_with(&other) || other.starts_with(&one),
    }
}

/// `qcs:project:service:region:account:path`
fn parts(resource: &str) -> Option<[&str; 6]> {
    let parts: Vec<_> = resource.splitn(6, ':').collect();
    parts.try_into().ok()
}

fn resource_covers(own: &str, wanted: &str) -> bool {
    if own == "*" || own == wanted {
        return true;
    }
    let (Some([q, project, service, region, account, path]), Some(wanted)) =
        (parts(own), parts(wanted))
    else {
        return false;
    };
    // An empty region or account stands for all of them.
    let any_or = |own: &str, wanted: &str| own.is_empty() || pattern_covers(own, wanted);
    q == wanted[0]
        && project == wanted[1]
        && pattern_covers(service, wanted[2])
        && any_or(region, wanted[3])
        && any_or(account, wanted[4])
        && pattern_covers(&current_form(path), &current_form(wanted[5]))
}

fn resources_meet(own: &str, wanted: &str) -> bool {
    let (Some(own), Some(wanted)) = (parts(own), parts(wanted)) else { return true };
    let any_or =
        |one: &str, other: &str| one.is_empty() || other.is_empty() || patterns_meet(one, other);
    let [_, project, service, region, account, path] = own;
    any_or(project, wanted[1])
        && any_or(service, wanted[2])
        && any_or(region, wanted[3])
        && any_or(account, wanted[4])
        && patterns_meet(&current_form(path), &current_form(wanted[5]))
}

/// The older path `prefix//<appid>/<name>/<key>` means `<name>-<appid>/<key>`.
fn current_form(path: &str) -> String {
    let old = path.strip_prefix("prefix//").and_then(|rest| {
        let (appid, rest) = rest.split_once('/')?;
        let (name, key) = rest.split_once('/')?;
        Some(format!("{name}-{appid}/{key}"))
    });
    old.unwrap_or_else(|| path.to_owned())
}

#[cfg(feature = "demo")]
#[cfg(test)]
#[path = "covers_tests.rs"]
mod tests;
