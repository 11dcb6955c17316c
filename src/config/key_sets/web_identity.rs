//! `web-identity`: what TKE's pod-identity-webhook tells a pod, or the settings instead.

use std::path::PathBuf;

use super::{Problems, Set, found_key, readable};
use crate::credential::{Endpoint, SourceSettings, StsSettings, WebIdentitySettings};

pub(super) const TOKEN_FILE: &str = "TKE_WEB_IDENTITY_TOKEN_FILE";
// What old versions of tccli and what copied them read; the webhook never sets it, people do.
pub(super) const WRONG_TOKEN_FILE: &str = "TKE_IDENTITY_TOKEN_FILE";

impl Set<'_> {
    pub(super) fn web_identity(
        &self,
        sts: Option<StsSettings>,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let mut found_in = Vec::new();
        let provider_id = self.told("provider_id", "TKE_PROVIDER_ID", &mut found_in, problems);
        let token_file = self.token_file(&mut found_in, problems);
        let role_arn = self.told("role_arn", "TKE_ROLE_ARN", &mut found_in, problems);
        let mut sts = sts?;
        if self.text("endpoint").is_none() {
            // Pods without a way to the internet reach it, and those with one do too.
            sts.endpoint = Endpoint::internal_sts();
        }
        if let (None, Some(region)) = (self.text("region"), self.environment.get("TKE_REGION")) {
            found_in.push("TKE_REGION".to_owned());
            sts.region = region.trim().to_owned();
        }
        let settings = WebIdentitySettings {
            sts,
            provider_id: provider_id?,
            token_file: token_file?,
            role_arn: role_arn?,
            session_name: self.session_name(),
            duration: self.layers.span(&self.path("duration")),
        };
        Some((SourceSettings::WebIdentity(settings), found_in))
    }

    /// The setting, otherwise the variable.
    fn told(
        &self,
        key: &str,
        variable: &str,
        found_in: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<String> {
        if let Some(text) = self.text(key) {
            return Some(text);
        }
        let text = self.environment.get(variable);
        match &text {
            Some(_) => found_in.push(variable.to_owned()),
            None => problems.add_at(
                &self.layers.origin(&self.path("source")),
                format!(
                    "{} is not set, nor is the variable {variable}: TKE's pod-identity-webhook \
                     sets it for pods whose ServiceAccount is annotated with a role",
                    self.path(key)
                ),
            ),
        }
        text.map(|text| text.trim().to_owned())
    }

    fn token_file(&self, found_in: &mut Vec<String>, problems: &mut Problems) -> Option<PathBuf> {
        let key = "web_identity_token_file";
        if self.text(key).is_some() {
            return readable(self.layers, &self.path(key), problems);
        }
        let wrong = self.environment.get(WRONG_TOKEN_FILE);
        let (variable, path) = match (self.environment.get(TOKEN_FILE), wrong) {
            (None, Some(path)) => {
                found_in.push(format!("{WRONG_TOKEN_FILE} (its right name is {TOKEN_FILE})"));
                (WRONG_TOKEN_FILE, path)
            }
            (_, _) => (TOKEN_FILE, self.told(key, TOKEN_FILE, found_in, problems)?),
        };
        if let Err(fault) = found_key::read(&path) {
            problems.add("environment", format!("{variable} names a file that {fault}"));
        }
        Some(PathBuf::from(path))
    }
}
