//! Every source of keys as a user configures it, aimed at stand-in servers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::spoilt::{point, write};

use cos_auth_proxy::{
    config::{self, Inputs, Settings},
    emulator::{
        accounts::{Account, Accounts, KeyServerRules, Role, WebIdentity},
        faults::Service,
    },
};

pub(crate) const SECRET_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
pub(crate) const SECRET_KEY: &str = "ExampleSecretKeyExampleSecretKey01";
pub(crate) const BUCKET: &str = "examplebucket-1250000000";
pub(crate) const REGION: &str = "ap-guangzhou";
const ROLE: &str = "qcs::cam::uin/100000000001:roleName/cos-sidecar";
const PROVIDER: &str = "tke-cluster-1";
/// What the platform writes into the file of a pod, and a team into that of its key server.
pub(crate) const IDENTITY_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.ExampleIdentityToken.signature";
pub(crate) const BEARER_TOKEN: &str = "ExampleBearerToken0123456789";

/// The sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// `static` out of the environment: one key for ever.
    Static,
    /// `static` with each part in a file of its own, as a mounted Kubernetes secret has them.
    StaticFiles,
    FederationToken,
    AssumeRole,
    /// `assume-role` with the key of another key set, whose source is `http`.
    AssumeRoleVia,
    WebIdentity,
    InstanceRole,
    Http,
    File,
    Exec,
    /// `auto` where it finds no key and no pod's identity, and is left with the instance's role.
    Auto,
}

impl Source {
    pub(crate) const ALL: [Self; 11] = [
        Self::Static,
        Self::StaticFiles,
        Self::FederationToken,
        Self::AssumeRole,
        Self::AssumeRoleVia,
        Self::WebIdentity,
        Self::InstanceRole,
        Self::Http,
        Self::File,
        Self::Exec,
        Self::Auto,
    ];

    /// Its name in logs and status.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Static | Self::StaticFiles => "static",
            Self::FederationToken => "federation-token",
            Self::AssumeRole | Self::AssumeRoleVia => "assume-role",
            Self::WebIdentity => "web-identity",
            Self::InstanceRole | Self::Auto => "instance-role",
            Self::Http => "http",
            Self::File => "file",
            Self::Exec => "exec",
        }
    }

    /// Its name in `config.toml`.
    fn configured(self) -> &'static str {
        if self == Self::Auto { "auto" } else { self.kind() }
    }

    /// A name of its own.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StaticFiles => "static-files",
            Self::AssumeRoleVia => "assume-role-via",
            Self::Static
            | Self::FederationToken
            | Self::AssumeRole
            | Self::WebIdentity
            | Self::InstanceRole
            | Self::Http
            | Self::File
            | Self::Exec
            | Self::Auto => self.configured(),
        }
    }

    /// The server that it asks.
    pub(crate) fn server(self) -> Option<Service> {
        match self {
            Self::Static | Self::StaticFiles | Self::File | Self::Exec => None,
            Self::FederationToken | Self::AssumeRole | Self::AssumeRoleVia | Self::WebIdentity => {
                Some(Service::Sts)
            }
            Self::InstanceRole | Self::Http | Self::Auto => Some(Service::KeyServer),
        }
    }

    /// Whether somebody else writes its keys where it finds them.
    pub(crate) fn is_written_to(self) -> bool {
        matches!(self, Self::StaticFiles | Self::File | Self::Exec)
    }

    /// Whether it has another key after a trouble: not so where a key stands still for a while.
    pub(crate) fn has_another_key_after_a_trouble(self) -> bool {
        !matches!(self, Self::Static | Self::InstanceRole | Self::Auto)
    }

    /// Whether it ever gives another key than its first.
    pub(crate) fn has_many_keys(self) -> bool {
        self != Self::Static
    }
}

/// Where the stand-ins are, and a folder for what a source reads.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `https://localhost:PORT` or `http://127.0.0.1:PORT` of an STS.
    pub(crate) sts: String,
    /// The same of a key server.
    pub(crate) key_server: String,
    /// What the server that is asked is trusted by.
    pub(crate) ca_file: Option<PathBuf>,
    /// The deadline of a command, which `[refresh]` does not give.
    pub(crate) exec_timeout: &'static str,
    pub(crate) folder: PathBuf,
}

/// Files in the folder.
impl Place {
    /// A pod's token.
    fn identity(&self) -> PathBuf {
        self.folder.join("identity")
    }

    /// What a key server wants to see.
    fn bearer(&self) -> PathBuf {
        self.folder.join("bearer")
    }

    /// A key that somebody writes down: `file` watches it, the command of `exec` prints it.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// A mounted secret: a link to a folder with a file for each part.
    pub(crate) fn parts(&self) -> PathBuf {
        self.folder.join("parts")
    }

    /// The program of `exec`, and what it runs.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("program")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.folder.join("script")
    }

    /// Writes all but the key.
    pub(crate) fn write_files(&self) {
        write(&self.identity(), &format!("{IDENTITY_TOKEN}\n"));
        write(&self.bearer(), &format!("{BEARER_TOKEN}\n"));
        point(&self.program(), Path::new("/bin/sh"));
        write(&self.script(), &format!("exec cat '{}'", self.key().display()));
    }

    /// The file that a source reads for each call.
    pub(crate) fn file(&self, source: Source) -> Option<PathBuf> {
        match source {
            Source::WebIdentity => Some(self.identity()),
            Source::Http => Some(self.bearer()),
            Source::File | Source::Exec => Some(self.key()),
            Source::StaticFiles => Some(self.parts().join("secret_key")),
            Source::Static
            | Source::FederationToken
            | Source::AssumeRole
            | Source::AssumeRoleVia
            | Source::InstanceRole
            | Source::Auto => None,
        }
    }
}

/// What a user writes.
impl Place {
    /// `config.toml` of a key set called `set`, without the settings that all sources share.
    pub(crate) fn key_set(&self, source: Source, set: &str) -> String {
        let mut lines =
            vec![format!("[keys.{set}]"), format!("source = \"{}\"", source.configured())];
        let mut add = |text: String| lines.push(text);
        let setting = |name: &str, value: &str| format!("{name} = \"{value}\"");
        let key_server = format!("{}/sts?shape=B", self.key_server);
        if source.server() == Some(Service::Sts) {
            add(setting("endpoint", &self.sts));
        }
        match source {
            Source::Static | Source::FederationToken | Source::WebIdentity => {}
            Source::StaticFiles => {
                for part in ["secret_id", "secret_key", "token"] {
                    let file = self.parts().join(part).display().to_string();
                    add(setting(&format!("{part}_file"), &file));
                }
            }
            Source::AssumeRole => add(setting("role_arn", ROLE)),
            Source::AssumeRoleVia => {
                add(setting("role_arn", ROLE));
                add(setting("via", &format!("{set}-caller")));
            }
            Source::InstanceRole | Source::Auto => add(setting("endpoint", &self.key_server)),
            Source::Http => {
                add(setting("endpoint", &key_server));
                add(setting("bearer_token_file", &self.bearer().display().to_string()));
            }
            Source::File => add(setting("path", &self.key().display().to_string())),
            Source::Exec => {
                add(setting("timeout", self.exec_timeout));
                let (program, script) = (self.program(), self.script());
                add(format!("command = [{program:?}, {script:?}]"));
            }
        }
        if let (Some(ca_file), Some(_)) = (&self.ca_file, source.server()) {
            add(setting("ca_file", &ca_file.display().to_string()));
        }
        if source == Source::AssumeRoleVia {
            lines.push(format!(
                "[keys.{set}-caller]\nsource = \"http\"\nendpoint = \"{key_server}\"\n\
                 bearer_token_file = {:?}",
                self.bearer()
            ));
        }
        lines.join("\n") + "\n"
    }

    /// The environment in which that configuration is read.
    fn environment(&self, source: Source) -> BTreeMap<String, String> {
        let key = [("TENCENTCLOUD_SECRET_ID", SECRET_ID), ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)];
        let identity = self.identity().display().to_string();
        // As the pod-identity-webhook of TKE sets them.
        let pod = [
            ("TKE_REGION", REGION),
            ("TKE_PROVIDER_ID", PROVIDER),
            ("TKE_ROLE_ARN", ROLE),
            ("TKE_WEB_IDENTITY_TOKEN_FILE", &identity),
        ];
        let given: &[(&str, &str)] = match source {
            Source::Static | Source::FederationToken | Source::AssumeRole => &key,
            Source::WebIdentity => &pod,
            Source::StaticFiles
            | Source::AssumeRoleVia
            | Source::InstanceRole
            | Source::Http
            | Source::File
            | Source::Exec
            | Source::Auto => &[],
        };
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Reads `text` as `config.toml`, as a user's would be.
    ///
    /// # Errors
    /// What the user would be told.
    pub(crate) fn load(&self, source: Source, text: &str) -> Result<Settings, String> {
        let file = self.folder.join("config.toml");
        std::fs::write(&file, text).unwrap();
        let environment = self.environment(source);
        config::load(&Inputs { file: Some(file), flags: Vec::new(), environment: &environment })
            .map_err(|problems| problems.to_string())
    }
}

/// Everybody whom the sources ask or become.
pub(crate) fn introduce(accounts: &Accounts) {
    accounts.add_account(Account::example(SECRET_ID, SECRET_KEY));
    accounts.add_role(Role::unlimited(ROLE));
    accounts.add_web_identity(WebIdentity {
        provider_id: PROVIDER.to_owned(),
        token: IDENTITY_TOKEN.to_owned(),
        role_arn: ROLE.to_owned(),
    });
    let bearer = Some(BEARER_TOKEN.to_owned());
    accounts.set_key_server_rules(KeyServerRules { bearer, policy: None });
}
