//! Tells sources apart: a kept key is only used for the source that gave it.

use sha2::{Digest as _, Sha256};

use super::{
    KeySetSettings,
    settings::{RoleParent, SourceSettings},
};

/// A digest of all that decides whose key a source gives and what the key may do. No part of it can
/// be read back.
pub(super) fn identity(settings: &KeySetSettings) -> String {
    let mut digest = Digested(Sha256::new());
    digest.add(&settings.name).add(settings.source.kind());
    match &settings.source {
        SourceSettings::Static(fixed) => digest.add(fixed.key.id.as_str()),
        SourceSettings::FederationToken(federation) => digest
            .add(federation.sts.endpoint.url())
            .add(federation.parent.id.as_str())
            .add(&federation.session_name)
            .add(&federation.policy),
        SourceSettings::AssumeRole(role) => {
            digest.add(role.sts.endpoint.url());
            match &role.parent {
                RoleParent::Key(key) => digest.add("key").add(key.id.as_str()),
                RoleParent::KeySet(name) => digest.add("via").add(name),
            };
            digest.add(&role.role_arn).add(&role.session_name);
            digest.add(role.policy.as_deref().unwrap_or_default());
            digest.add(role.external_id.as_deref().unwrap_or_default());
            for tag in &role.tags {
                digest.add(&tag.key).add(&tag.value);
            }
            &mut digest
        }
        SourceSettings::Http(server) => digest
            .add(server.url.url())
            .add(format!("{:?}", server.method))
            .add(server.body.as_deref().map(String::as_str).unwrap_or_default()),
        SourceSettings::WebIdentity(identity) => digest
            .add(identity.sts.endpoint.url())
            .add(&identity.provider_id)
            .add(&identity.role_arn)
            .add(&identity.session_name),
        SourceSettings::InstanceRole(role) => {
            digest.add(role.endpoint.url()).add(role.role.as_deref().unwrap_or_default())
        }
        SourceSettings::File(file) => digest.add(file.path.to_string_lossy().as_ref()),
        SourceSettings::Exec(command) => {
            digest.add(command.program.to_string_lossy().as_ref());
            for argument in &command.arguments {
                digest.add(argument);
            }
            &mut digest
        }
    };
    digest.hex()
}

struct Digested(Sha256);

impl Digested {
    /// With its length before it, so that no two lists of fields are the same bytes.
    fn add(&mut self, field: impl AsRef<str>) -> &mut Self {
        let field = field.as_ref();
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
        self
    }

    fn hex(self) -> String {
        use std::fmt::Write as _;
        self.0.finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
