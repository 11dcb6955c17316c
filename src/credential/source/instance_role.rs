//! `instance-role`: the role bound to a CVM, by its metadata service (Tencent Cloud doc 213/47668).
//!
//! The list of roles is read anew each time, since another role may be bound to a running instance.

use std::time::Duration;

use reqwest::{Method, Request, Url};
use serde::Deserialize;

use crate::{
    clock::Clock,
    credential::{
        error::SourceError, identity_settings::InstanceRoleSettings, settings_check::is_role_name,
    },
};

use super::{Fetched, Fetching, KeySource, Renewal, http_client::HttpClient, reply};

/// Where the list is; a role's key is below it.
const ROLES: &str = "/latest/meta-data/cam/security-credentials/";
// The service is on the same machine: what takes longer is not it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct InstanceRole {
    client: HttpClient,
    /// Ends with a slash.
    roles: Url,
    chosen: Option<String>,
    clock: Clock,
}

impl InstanceRole {
    pub(super) fn new(settings: InstanceRoleSettings, clock: Clock) -> Self {
        let mut roles = settings.endpoint.url();
        let path = if settings.endpoint.has_path() { roles.path() } else { ROLES };
        let path = format!("{}/", path.trim_end_matches('/'));
        roles.set_path(&path);
        let client = HttpClient {
            endpoint: settings.endpoint,
            ca_file: settings.ca_file,
            connect_timeout: CONNECT_TIMEOUT,
            total_timeout: TIMEOUT,
        };
        Self { client, roles, chosen: settings.role, clock }
    }

    async fn ask(&self) -> Result<Fetched, SourceError> {
        let role = self.role().await?;
        match self.key_of(&role).await {
            // Another role was bound between the two questions.
            Err(SourceError::Status { status: 404, .. }) => {
                let role = self.role().await?;
                self.key_of(&role).await
            }
            answer => answer,
        }
    }

    /// The name of the role that is bound, or of the chosen one of several.
    async fn role(&self) -> Result<String, SourceError> {
        let listed = match self.get(self.roles.clone()).await {
            Err(SourceError::Status { status: 404, .. }) => Vec::new(),
            answer => self.names(&answer?)?,
        };
        let fault = match (&self.chosen, listed.as_slice()) {
            (_, []) => {
                "shows no role: none is bound to this instance (CVM console, More, Bind role)"
                    .to_owned()
            }
            (Some(chosen), names) if names.contains(chosen) => return Ok(chosen.clone()),
            (None, [name]) => return Ok(name.clone()),
            (Some(chosen), names) => {
                format!("does not have the role {chosen}, but {}", names.join(", "))
            }
            (None, names) => {
                format!("has several roles ({}): choose one with role", names.join(", "))
            }
        };
        Err(SourceError::Role { endpoint: self.client.endpoint.to_string(), fault })
    }

    fn names(&self, list: &[u8]) -> Result<Vec<String>, SourceError> {
        let unreadable = || self.client.unreadable("that is not a list of role names");
        let text = std::str::from_utf8(list).map_err(|_no_text| unreadable())?;
        let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
        let names = names.map(|name| is_role_name(name).then(|| name.to_owned()));
        names.collect::<Option<_>>().ok_or_else(unreadable)
    }

    async fn key_of(&self, role: &str) -> Result<Fetched, SourceError> {
        let mut url = self.roles.clone();
        url.set_path(&format!("{}{role}", self.roles.path()));
        let answer = self.get(url).await?;
        let fetched = reply::parse(&answer, self.clock.now())
            .map_err(|fault| fault.from(&self.client.endpoint))?;
        let Verdict { code } = serde_json::from_slice(&answer).unwrap_or_default();
        if code.as_deref() == Some("Success") {
            return Ok(fetched);
        }
        Err(self.client.unreadable("its Code is not Success"))
    }

    async fn get(&self, url: Url) -> Result<zeroize::Zeroizing<Vec<u8>>, SourceError> {
        let answer = self.client.call(Request::new(Method::GET, url)).await?;
        Ok(answer.body)
    }
}

/// What the metadata says about its own answer.
#[derive(Default, Deserialize)]
struct Verdict {
    #[serde(rename = "Code")]
    code: Option<String>,
}

impl KeySource for InstanceRole {
    fn kind(&self) -> &'static str {
        "instance-role"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.ask())
    }

    fn renewal(&self) -> Renewal {
        Renewal::Polled
    }

    fn deadline(&self) -> Duration {
        // A list, a key, and both once more.
        TIMEOUT * 4
    }
}
