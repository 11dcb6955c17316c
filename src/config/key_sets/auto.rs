//! `auto`: explicit environment or file, then web identity, then the instance's role.

use super::{
    Found, Problems, Set, found_key,
    web_identity::{TOKEN_FILE, WRONG_TOKEN_FILE},
};
use crate::credential::{FederationTokenSettings, SourceSettings, StsSettings};

/// What TKE's pod-identity-webhook sets, and the setting that may stand for it.
const OF_THE_WEBHOOK: [(&str, &str); 4] = [
    ("TKE_REGION", "region"),
    ("TKE_PROVIDER_ID", "provider_id"),
    (TOKEN_FILE, "web_identity_token_file"),
    ("TKE_ROLE_ARN", "role_arn"),
];

/// The source that won, where its key was found, and why those before it did not win.
pub(super) struct Chosen {
    pub(super) source: SourceSettings,
    pub(super) found_in: Vec<String>,
    pub(super) passed_over: Vec<String>,
}

impl Set<'_> {
    /// Tries the places in order. Asks no server: the instance's role is what is left.
    pub(super) fn choose(
        &self,
        sts: Option<StsSettings>,
        problems: &mut Problems,
    ) -> Option<Chosen> {
        let before = problems.len();
        let look = if found_key::is_named(self.layers, self.name) {
            let found = found_key::named(self.layers, self.name, self.environment, problems);
            found_key::Look { found, passed_over: Vec::new() }
        } else {
            found_key::usual(self.environment, problems)
        };
        let mut passed_over = look.passed_over;
        if let Some(found) = look.found {
            let (source, found_in) = self.of_a_found_key(found, sts?, problems)?;
            return Some(Chosen { source, found_in, passed_over });
        }
        if problems.len() > before {
            return None;
        }
        let absent: Vec<_> = OF_THE_WEBHOOK
            .iter()
            .filter(|(variable, key)| {
                let is_set = |variable| self.environment.get(variable).is_some();
                let misnamed = *variable == TOKEN_FILE && is_set(WRONG_TOKEN_FILE);
                !is_set(variable) && !misnamed && self.text(key).is_none()
            })
            .map(|(variable, _)| *variable)
            .collect();
        if absent.is_empty() {
            self.check_narrowing("web-identity", problems);
            let (source, found_in) = self.web_identity(sts, problems)?;
            return Some(Chosen { source, found_in, passed_over });
        }
        let are = if absent.len() == 1 { "is" } else { "are" };
        passed_over.push(format!("{} {are} not set", absent.join(", ")));
        self.check_narrowing("instance-role", problems);
        let source = self.instance_role(problems)?;
        Some(Chosen { source, found_in: Vec::new(), passed_over })
    }

    /// A triple is used as it is; a permanent key asks for narrow ones.
    fn of_a_found_key(
        &self,
        found: Found,
        sts: StsSettings,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let is_narrowed_by_hand =
            self.text("scope").is_some() || self.text("policy_file").is_some();
        let is_permanent = found.key.token.is_none() && !found.key.looks_temporary();
        if !(is_permanent && (is_narrowed_by_hand || self.is_routed())) {
            return self.automatic(found, sts, problems);
        }
        let settings = FederationTokenSettings {
            sts,
            parent: found.key,
            session_name: self.text("session_name").unwrap_or_else(|| "cos-auth-proxy".to_owned()),
            policy: self.policy(self.usual_scope(), problems)?,
            duration: self.layers.span(&self.path("duration")),
        };
        Some((SourceSettings::FederationToken(settings), found.names))
    }
}
