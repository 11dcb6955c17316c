//! Every source of keys as a user configures it, aimed at stand-in servers.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use cos_auth_proxy::{
    config::{self, Inputs, Settings},
    emulator::accounts::{Account, Accounts, Role},
};

pub(crate) const SECRET_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
pub(crate) const SECRET_KEY: &str = "ExampleSecretKeyExampleSecretKey01";
pub(crate) const BUCKET: &str = "examplebucket-1250000000";
pub(crate) const REGION: &str = "ap-guangzhou";
pub(crate) const ROLE: &str = "qcs::cam::uin/100000000001:roleName/cos-sidecar";

/// The sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Static,
    FederationToken,
    AssumeRole,
    Http,
}

impl Source {
    pub(crate) const ALL: [Self; 4] =
        [Self::Static, Self::FederationToken, Self::AssumeRole, Self::Http];

    /// Its name in `config.toml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::FederationToken => "federation-token",
            Self::AssumeRole => "assume-role",
            Self::Http => "http",
        }
    }

    /// Whether it ever gives another key than its first.
    pub(crate) fn has_many_keys(self) -> bool {
        self != Self::Static
    }
}

/// Where the stand-ins are, and a folder for what a source reads.
pub(crate) struct Place {
    /// `https://localhost:PORT` or `http://127.0.0.1:PORT` of an STS.
    pub(crate) sts: String,
    /// The same of a key server.
    pub(crate) key_server: String,
    /// What https servers are trusted by.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) folder: PathBuf,
}

impl Place {
    /// Plain HTTP to these servers.
    pub(crate) fn plain(sts: SocketAddr, key_server: SocketAddr, folder: &Path) -> Self {
        Self {
            sts: format!("http://{sts}"),
            key_server: format!("http://{key_server}"),
            ca_file: None,
            folder: folder.to_owned(),
        }
    }

    /// `config.toml` of a key set called `set`, without the settings that all sources share.
    pub(crate) fn key_set(&self, source: Source, set: &str) -> String {
        let mut lines = vec![format!("[keys.{set}]"), format!("source = \"{}\"", source.name())];
        let mut add = |name: &str, value: &str| lines.push(format!("{name} = \"{value}\""));
        match source {
            Source::Static => {}
            Source::FederationToken => add("endpoint", &self.sts),
            Source::AssumeRole => {
                add("endpoint", &self.sts);
                add("role_arn", ROLE);
                add("session_name", "reports-7");
            }
            Source::Http => add("endpoint", &format!("{}/sts?shape=B", self.key_server)),
        }
        if let (Some(ca_file), true) = (&self.ca_file, source != Source::Static) {
            add("ca_file", &ca_file.display().to_string());
        }
        lines.join("\n") + "\n"
    }

    /// The environment in which that configuration is read.
    pub(crate) fn environment(&self, source: Source) -> BTreeMap<String, String> {
        let given: &[(&str, &str)] = match source {
            Source::Http => &[],
            Source::Static | Source::FederationToken | Source::AssumeRole => {
                &[("TENCENTCLOUD_SECRET_ID", SECRET_ID), ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)]
            }
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
}
