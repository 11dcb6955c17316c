//! Sources that need no key to ask: the platform says who they are.

use std::{path::PathBuf, time::Duration};

use super::{endpoint::Endpoint, settings::StsSettings};

/// A `web-identity` source (Tencent Cloud doc 1312/73070): a pod in TKE.
#[derive(Debug, Clone)]
pub struct WebIdentitySettings {
    /// How to reach STS.
    pub sts: StsSettings,
    /// The identity provider's name in CAM.
    pub provider_id: String,
    /// The file with the token, which the platform rewrites; read at each call.
    pub token_file: PathBuf,
    /// `qcs::cam::uin/<uin>:roleName/<name>` or `…:role/<id>`.
    pub role_arn: String,
    /// Shown in audit logs; stable over refreshes. Cut to 128, other characters replaced.
    pub session_name: String,
    /// Life to ask for, up to 12 h; the role may allow less.
    pub duration: Duration,
}

/// An `instance-role` source (Tencent Cloud doc 213/47668): the role bound to a CVM.
#[derive(Debug, Clone)]
pub struct InstanceRoleSettings {
    /// The metadata service. A path in it replaces the usual one of the list of roles.
    pub endpoint: Endpoint,
    /// The role's name; needed only where the list has several.
    pub role: Option<String>,
    /// PEM file with a certificate authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for InstanceRoleSettings {
    /// The metadata service inside Tencent Cloud, and the only role it lists.
    fn default() -> Self {
        Self { endpoint: Endpoint::instance_metadata(), role: None, ca_file: None }
    }
}
