//! What each key set is for, and what about that is worth a warning.

use super::{policy_lint, settings::Settings};
use crate::proxy::RouteSettings;

/// STS refuses longer policies at a length it does not document, and the token, which every request
/// carries, grows with the policy.
const LONG_POLICY: usize = 4096;

/// What works and is worth a second look: for `check` and the first log lines.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    for note in &settings.key_notes {
        warnings.extend(note.warnings.iter().map(|text| format!("keys.{}: {text}", note.set)));
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

/// Whether the key set with this index signs requests.
#[must_use]
pub fn signs(settings: &Settings, index: usize) -> bool {
    let routes = &settings.proxy.routes;
    if routes.is_empty() { index == 0 } else { routes.iter().any(|route| route.keys == index) }
}

/// Key sets that sign no request, make no calls for another and are not handed out.
pub(super) fn unused(settings: &Settings) -> Vec<&str> {
    let endpoint = &settings.key_endpoint;
    let hands_out = |name: &str| {
        !endpoint.address.is_empty() && endpoint.keys.iter().any(|known| known == name)
    };
    let calls =
        |name: &str| hands_out(name) || settings.keys.iter().any(|set| set.via() == Some(name));
    let sets = settings.keys.iter().enumerate();
    sets.filter(|(at, set)| !signs(settings, *at) && !calls(&set.name))
        .map(|(_, set)| set.name.as_str())
        .collect()
}
