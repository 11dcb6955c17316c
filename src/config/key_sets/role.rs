//! `assume-role` and `instance-role`.

use super::{Found, Problems, Set, found_key, readable};
use crate::credential::{
    AssumeRoleSettings, Endpoint, InstanceRoleSettings, RoleParent, SourceSettings, StsSettings,
    Tag, read_tags,
};

impl Set<'_> {
    pub(super) fn assume_role(
        &self,
        sts: StsSettings,
        problems: &mut Problems,
    ) -> Option<(SourceSettings, Vec<String>)> {
        let parent = self.role_parent(problems);
        let policy = self.policy("role", problems);
        let tags = self.tags(problems);
        let role_arn = self.text("role_arn");
        if role_arn.is_none() {
            let needs = "is not set: assume-role needs qcs::cam::uin/UIN:roleName/NAME".to_owned();
            self.refuse("role_arn", needs, problems);
        }
        let (parent, names) = parent?;
        let settings = AssumeRoleSettings {
            sts,
            parent,
            role_arn: role_arn?,
            session_name: self.session_name(),
            duration: self.layers.span(&self.path("duration")),
            policy,
            external_id: self.text("external_id"),
            tags: tags?,
        };
        Some((SourceSettings::AssumeRole(settings), names))
    }

    /// Another key set, or a key and where it was found.
    fn role_parent(&self, problems: &mut Problems) -> Option<(RoleParent, Vec<String>)> {
        if let Some(via) = self.text("via") {
            if found_key::is_named(self.layers, self.name) {
                let text = "and a key (secret_id_env and its like) are both set: keep one";
                self.refuse("via", text.to_owned(), problems);
            }
            return Some((RoleParent::KeySet(via), Vec::new()));
        }
        let Found { key, names } = self.found(problems)?;
        Some((RoleParent::Key(key), names))
    }

    fn tags(&self, problems: &mut Problems) -> Option<Vec<Tag>> {
        let texts = self.layers.list(&self.path("tags"));
        let tags = read_tags(texts.iter().map(String::as_str));
        tags.map_err(|fault| self.refuse("tags", format!("is wrong: {fault}"), problems)).ok()
    }

    /// The same over all refreshes and restarts, so that the account's audit log can be followed.
    /// `HOSTNAME` is the pod's name too, unless it shares the network of its node.
    pub(super) fn session_name(&self) -> String {
        let variable = |name| self.environment.get(name);
        self.text("session_name").unwrap_or_else(|| {
            match variable("POD_NAME").or_else(|| variable("HOSTNAME")) {
                Some(pod) => format!("cos-auth-proxy-{pod}"),
                None => "cos-auth-proxy".to_owned(),
            }
        })
    }

    pub(super) fn instance_role(&self, problems: &mut Problems) -> Option<SourceSettings> {
        let endpoint = match self.text("endpoint") {
            Some(text) => self.endpoint(&text, problems)?,
            None => Endpoint::instance_metadata(),
        };
        Some(SourceSettings::InstanceRole(InstanceRoleSettings {
            endpoint,
            role: self.text("role"),
            ca_file: readable(self.layers, &self.path("ca_file"), problems),
        }))
    }
}
