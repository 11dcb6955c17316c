//! How roles are used: which are bound to the instance, and with which tags sessions were opened.

use super::{Accounts, Role};

/// Roles of the instance.
impl Accounts {
    /// Binds the roles with these arns to the instance, `None`: the one with the smallest arn, as at
    /// first. A real instance has one at most.
    pub fn bind_instance_roles(&self, arns: Option<Vec<String>>) {
        self.lock().instance_roles = arns;
    }

    /// From now on the instance metadata shows another key once the one before is this old, in
    /// seconds; `None`: once it has lived for half its life, as at first.
    pub fn set_instance_key_age(&self, seconds: Option<u64>) {
        self.lock().instance_key_age = seconds;
    }

    /// How old the key of the instance metadata becomes that lives `life` seconds.
    pub(crate) fn instance_key_age(&self, life: u64) -> u64 {
        self.lock().instance_key_age.unwrap_or(life.div_ceil(2))
    }

    /// The roles that the instance metadata shows.
    #[must_use]
    pub fn instance_roles(&self) -> Vec<Role> {
        let known = self.lock();
        match &known.instance_roles {
            Some(arns) => arns.iter().filter_map(|arn| known.roles.get(arn)).cloned().collect(),
            None => {
                known.roles.values().min_by(|a, b| a.arn.cmp(&b.arn)).cloned().into_iter().collect()
            }
        }
    }
}

/// Tags of sessions.
impl Accounts {
    /// Remembers the tags that the session of this key was opened with.
    pub fn tag_session(&self, secret_id: &str, tags: Vec<(String, String)>) {
        if !tags.is_empty() {
            self.lock().session_tags.insert(secret_id.to_owned(), tags);
        }
    }

    /// The tags that the session of this key was opened with, in the order they were given.
    #[must_use]
    pub fn session_tags(&self, secret_id: &str) -> Vec<(String, String)> {
        self.lock().session_tags.get(secret_id).cloned().unwrap_or_default()
    }
}
