//! What a key set is narrowed to: its policy from the routes or from a file, and what is worth a
//! warning about it.

use super::{policy_lint, settings::Settings};
use crate::proxy::{ListForm, RouteSettings, route_policy};

/// STS refuses longer policies at a length it does not document, and the token, which every request
/// carries, grows with the policy.
const LONG_POLICY: usize = 4096;

/// The policy that `routes` make for the key set with this index.
///
/// # Errors
/// The rest of the sentence "keys.NAME.scope …".
pub(super) fn routes_policy(
    routes: &[RouteSettings],
    index: usize,
    name: &str,
    lists: ListForm,
) -> Result<String, String> {
    let policy =
        route_policy(routes, index, lists).map_err(|fault| format!("\"routes\": {fault}"))?;
    policy.ok_or_else(|| {
        format!(
            "\"routes\" needs a [[route]] with keys = \"{name}\" that allows something: without \
             one the key may do nothing"
        )
    })
}

/// The policy of a file, as it is.
///
/// # Errors
/// One text for each mistake; each continues the sentence "keys.NAME.policy_file …".
pub(super) fn written_policy(text: &str) -> Result<(), Vec<String>> {
    let found = policy_lint::mistakes(text);
    if found.is_empty() {
        return Ok(());
    }
    Err(found.iter().map(|finding| format!("is wrong: {finding}")).collect())
}

/// What works and is worth a second look: for `check` and the first log lines.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    for note in &settings.key_notes {
        let Some(policy) = &note.policy else { continue };
        for finding in policy_lint::wide(policy) {
            warnings.push(format!("keys.{}: the policy is wide: {finding}", note.set));
        }
        if policy.len() > LONG_POLICY {
            warnings.push(format!(
                "keys.{}: the policy has {} bytes: STS may refuse it as too long, and every \
                 request carries a longer token; use fewer prefixes, or several key sets",
                note.set,
                policy.len()
            ));
        }
    }
    for name in unused(settings) {
        warnings.push(format!("keys.{name}: no request is signed with this key set"));
    }
    for (at, route) in settings.proxy.routes.iter().enumerate() {
        let earlier = settings.proxy.routes.iter().take(at);
        let same = |r: &&RouteSettings| r.bucket == route.bucket && r.prefix == route.prefix;
        if earlier.into_iter().filter(same).any(|r| r.allow.with(route.allow) == r.allow) {
            warnings.push(format!(
                "route[{at}]: an earlier route of the same bucket and prefix allows all of it, so \
                 this one signs nothing"
            ));
        }
    }
    warnings
}

/// Key sets that sign no request.
#[must_use]
pub fn unused(settings: &Settings) -> Vec<&str> {
    let routes = &settings.proxy.routes;
    let signs = |at: usize| {
        if routes.is_empty() {
            at == settings.proxy.key_set
        } else {
            routes.iter().any(|route| route.keys == at)
        }
    };
    let sets = settings.keys.iter().enumerate();
    sets.filter(|(at, _)| !signs(*at)).map(|(_, set)| set.name.as_str()).collect()
}
