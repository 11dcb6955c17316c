//! Settings that say nothing to the source of their key set are told, not ignored.

use super::{Problems, Set};

/// Settings of single sources. `auto` may choose some of them.
const OWN: &[(&str, &[&str])] = &[
    ("via", &["assume-role"]),
    ("tags", &["assume-role"]),
    ("provider_id", &["web-identity", "auto"]),
    ("web_identity_token_file", &["web-identity", "auto"]),
    ("role", &["instance-role", "auto"]),
    ("path", &["file"]),
    ("command", &["exec"]),
];

/// Sources whose servers take no policy: their keys may do what was decided elsewhere.
const WITHOUT_POLICY: &[&str] =
    &["static", "web-identity", "instance-role", "http", "file", "exec"];

impl Set<'_> {
    pub(super) fn check_fitting(&self, source: &str, problems: &mut Problems) {
        for (key, sources) in OWN {
            let set = self.text(key).is_some() || !self.layers.list(&self.path(key)).is_empty();
            if let [owner, ..] = sources
                && set
                && !sources.contains(&source)
            {
                let text = format!("is for {owner}, and the source of this key set is {source}");
                self.refuse(key, text, problems);
            }
        }
        self.check_narrowing(source, problems);
    }

    /// A policy, and a source that takes none.
    pub(super) fn check_narrowing(&self, source: &str, problems: &mut Problems) {
        if WITHOUT_POLICY.contains(&source) {
            let scope = self.text("scope").filter(|scope| scope != "role");
            for (key, set) in [("scope", scope), ("policy_file", self.text("policy_file"))] {
                if set.is_some() {
                    self.refuse(key, self.narrow_by_a_role(source, key), problems);
                }
            }
        }
    }

    fn narrow_by_a_role(&self, source: &str, key: &str) -> String {
        format!(
            "cannot be used with {source}, which takes no policy. To narrow its keys, let another \
             key set take a role with them: source = \"assume-role\", via = \"{}\", role_arn, and \
             there {key}",
            self.name
        )
    }
}
