//! A pod of TKE beside the stand: a role, and the file with the pod's token.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]
#![allow(dead_code, reason = "each test uses its own part of it")]

use std::{path::PathBuf, time::Duration};

use cos_auth_proxy::{
    credential::{SourceSettings, StsSettings, WebIdentitySettings},
    emulator::accounts::{Role, WebIdentity},
};

use crate::stand::Stand;

pub(crate) const PROVIDER: &str = "my-cluster";
pub(crate) const POD_ROLE: &str = "qcs::cam::uin/100000000001:roleName/pod";

/// A stand that knows a role for pods, and the file with a pod's token.
pub(crate) struct Pod {
    pub(crate) stand: Stand,
    pub(crate) folder: tempfile::TempDir,
}

impl Pod {
    pub(crate) async fn open() -> Self {
        let stand = Stand::open().await;
        stand.accounts.add_role(Role::unlimited(POD_ROLE));
        Self { stand, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// The kubelet writes this token, and STS takes it.
    pub(crate) fn trusts(&self, token: &str) {
        self.stand.accounts.add_web_identity(WebIdentity {
            provider_id: PROVIDER.to_owned(),
            token: token.to_owned(),
            role_arn: POD_ROLE.to_owned(),
        });
        self.writes(token);
    }

    pub(crate) fn writes(&self, token: &str) {
        std::fs::write(self.token_file(), format!("{token}\n")).unwrap();
    }

    pub(crate) fn settings(&self) -> WebIdentitySettings {
        WebIdentitySettings {
            sts: StsSettings { region: "ap-singapore".to_owned(), ..self.stand.sts_settings() },
            provider_id: PROVIDER.to_owned(),
            token_file: self.token_file(),
            role_arn: POD_ROLE.to_owned(),
            session_name: "cos-auth-proxy-reports-7d9f".to_owned(),
            duration: Duration::from_secs(7200),
        }
    }

    pub(crate) fn source(&self) -> SourceSettings {
        SourceSettings::WebIdentity(self.settings())
    }
}
