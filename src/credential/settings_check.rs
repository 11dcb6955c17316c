//! What is wrong with a key set's settings, all of it at once.

use std::time::Duration;

use super::{
    identity_settings::{InstanceRoleSettings, WebIdentitySettings},
    refresh_settings::RefreshSettings,
    settings::{AssumeRoleSettings, FederationTokenSettings, HttpSettings, RoleParent},
    tags,
};

/// One thing to mend in the settings of a key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SettingProblem {
    /// The field, as a path below the key set: `refresh.refresh_to`, `policy`.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

fn problem(field: &'static str, problem: impl Into<String>) -> SettingProblem {
    SettingProblem { field, problem: problem.into() }
}

pub(super) fn refresh(settings: &RefreshSettings) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    let band = settings.refresh_from..=settings.refresh_to;
    if !(*band.start() > 0.0 && band.end() < &1.0 && band.start() <= band.end()) {
        problems.push(problem(
            "refresh.refresh_from",
            "refresh_from and refresh_to are shares of a key's life: 0 < refresh_from <= refresh_to < 1",
        ));
    }
    if !(0.0..1.0).contains(&settings.operator_spread) {
        problems.push(problem("refresh.operator_spread", "must be at least 0 and less than 1"));
    }
    if !(settings.critical_share >= 0.0
        && settings.critical_share <= settings.warn_share
        && settings.warn_share < 1.0)
    {
        problems.push(problem(
            "refresh.critical_share",
            "critical_share and warn_share are shares of a key's life: 0 <= critical_share <= warn_share < 1",
        ));
    }
    if settings.forced_burst == 0 {
        problems.push(problem("refresh.forced_burst", "must be at least 1"));
    }
    for (field, span) in [
        ("refresh.longest_life", settings.longest_life),
        ("refresh.connect_timeout", settings.connect_timeout),
        ("refresh.attempt_timeout", settings.attempt_timeout),
        ("refresh.transient_base", settings.transient_base),
        ("refresh.transient_cap_most", settings.transient_cap_most),
        ("refresh.transient_cap_without_key", settings.transient_cap_without_key),
        ("refresh.throttled_base", settings.throttled_base),
        ("refresh.throttled_cap", settings.throttled_cap),
        ("refresh.throttled_cap_without_key", settings.throttled_cap_without_key),
        ("refresh.operator_pause", settings.operator_pause),
        ("refresh.operator_pause_without_key", settings.operator_pause_without_key),
        ("refresh.parent_pause_most", settings.parent_pause_most),
        ("refresh.unchanged_poll", settings.unchanged_poll),
        ("refresh.unchanged_poll_near_end", settings.unchanged_poll_near_end),
        ("refresh.longest_poll", settings.longest_poll),
        ("refresh.wall_clock_tick", settings.wall_clock_tick),
    ] {
        if span.is_zero() {
            problems.push(problem(field, "must not be zero"));
        }
    }
    if settings.transient_cap_least > settings.transient_cap_most {
        problems.push(problem(
            "refresh.transient_cap_least",
            "must not be more than transient_cap_most",
        ));
    }
    if settings.parent_pause_least > settings.parent_pause_most {
        problems
            .push(problem("refresh.parent_pause_least", "must not be more than parent_pause_most"));
    }
    problems
}

pub(super) fn federation_token(settings: &FederationTokenSettings) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    if settings.parent.token.is_some() {
        problems.push(problem(
            "parent",
            "federation-token needs a permanent key: STS refuses one that has a token. Use it as it is (static) or with assume-role",
        ));
    } else if settings.parent.looks_temporary() {
        problems.push(temporary_without_token());
    }
    problems.extend(federation_duration(settings.duration));
    problems.extend(policy(&settings.policy));
    problems.extend(sts_path(settings.sts.endpoint.has_path()));
    problems
}

pub(super) fn assume_role(settings: &AssumeRoleSettings) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    if let RoleParent::Key(key) = &settings.parent
        && key.token.is_none()
        && key.looks_temporary()
    {
        problems.push(temporary_without_token());
    }
    problems.extend(role_arn(&settings.role_arn));
    problems.extend(role_duration(settings.duration));
    if settings.external_id.as_deref().is_some_and(|id| !is_external_id(id)) {
        problems.push(problem("external_id", "must be 2 to 128 letters, digits and _+=,.@-:/"));
    }
    if let Err(fault) = tags::check(&settings.tags) {
        problems.push(problem("tags", fault.to_string()));
    }
    if let Some(text) = &settings.policy {
        problems.extend(policy(text));
    }
    problems.extend(sts_path(settings.sts.endpoint.has_path()));
    problems
}

pub(super) fn http(settings: &HttpSettings) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    if settings.timeout.is_some_and(|t| t.is_zero()) {
        problems.push(problem("timeout", "must not be zero"));
    }
    let get = settings.method == super::settings::HttpMethod::Get;
    if get && settings.body.is_some() {
        problems.push(problem("body", "a GET has no body: set method = \"POST\""));
    }
    problems
}

pub(super) fn web_identity(settings: &WebIdentitySettings) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    if settings.provider_id.is_empty() {
        problems.push(problem("provider_id", "must name the identity provider in CAM"));
    }
    problems.extend(role_arn(&settings.role_arn));
    problems.extend(role_duration(settings.duration));
    problems.extend(sts_path(settings.sts.endpoint.has_path()));
    problems
}

pub(super) fn instance_role(settings: &InstanceRoleSettings) -> Vec<SettingProblem> {
    let unfit = settings.role.as_deref().is_some_and(|role| !is_role_name(role));
    let problem = problem(
        "role",
        "must be the name of a role (not its arn): 1 to 128 letters, digits and _+=,.@-",
    );
    unfit.then_some(problem).into_iter().collect()
}

/// A name that CAM gives to a role and that can stand in a path.
pub(super) fn is_role_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(fits) && text.bytes().any(|b| b != b'.')
}

/// What to say to someone whose keys live so long or so shortly. Keys of less than five minutes are
/// renewed all the time, and nobody documents that STS gives them.
#[must_use]
pub fn short_life(life: Duration) -> Option<&'static str> {
    (life < Duration::from_secs(300))
        .then_some("keys that live less than 5m do not outlast the shortest outage; 2h is usual")
}

fn role_arn(arn: &str) -> Option<SettingProblem> {
    (!arn.starts_with("qcs::cam::uin/")).then(|| {
        problem(
            "role_arn",
            "must look like qcs::cam::uin/100000000001:roleName/NAME (CAM console, Roles)",
        )
    })
}

fn is_external_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-:/".contains(&b);
    (2..=128).contains(&text.len()) && text.bytes().all(fits)
}

fn temporary_without_token() -> SettingProblem {
    problem(
        "parent",
        "the secret id is longer than a permanent one, so the key is temporary, but its token is missing",
    )
}

// The limits of Tencent Cloud docs 1312/48195 and 1312/48197. That a key is a root account's cannot
// be seen: STS says so when it is asked.
fn federation_duration(asked: Duration) -> Option<SettingProblem> {
    let whose = "36h, the most STS gives a federation token (2h with a root account's key)";
    duration(asked, Duration::from_secs(129_600), whose)
}

fn role_duration(asked: Duration) -> Option<SettingProblem> {
    let whose = "12h, the most STS gives a role's session (the role itself may allow less)";
    duration(asked, Duration::from_secs(43_200), whose)
}

fn duration(asked: Duration, most: Duration, whose: &str) -> Option<SettingProblem> {
    (asked < Duration::from_secs(1) || asked > most)
        .then(|| problem("duration", format!("must be between 1s and {whose}")))
}

fn policy(text: &str) -> Option<SettingProblem> {
    let fault = match serde_json::from_str::<serde_json::Value>(text) {
        Err(fault) => {
            format!("is not JSON (line {}, column {})", fault.line(), fault.column())
        }
        Ok(policy) => {
            let statements = policy.get("statement").and_then(|s| s.as_array())?;
            let empty = |s: &serde_json::Value| {
                s.get("resource").and_then(|r| r.as_array()).is_some_and(Vec::is_empty)
            };
            if !statements.iter().any(empty) {
                return None;
            }
            // The Python scope helper of the COS STS SDK makes these by accident.
            "has a statement with an empty resource list, which allows nothing".to_owned()
        }
    };
    Some(problem("policy", fault))
}

fn sts_path(has_path: bool) -> Option<SettingProblem> {
    has_path.then(|| problem("endpoint", "STS is asked at /: give scheme, host and port only"))
}
