//! `web-identity`: `AssumeRoleWithWebIdentity`, unsigned, with a token out of a file (Tencent Cloud doc
//! 1312/73070).

use std::{path::PathBuf, time::Duration};

use serde_json::{Map, Value};

use crate::{
    clock::Clock,
    credential::{RefreshSettings, error::SourceError, identity_settings::WebIdentitySettings},
    secret::SessionToken,
};

use super::{
    Fetched, Fetching, KeySource,
    sts_client::{Caller, Question, StsClient, session_name},
    token_file,
};

/// What STS says of a token that is expired, unreadable or not one that the role trusts.
const TOKEN_REFUSED: &str = "InvalidParameter.WebIdentityTokenError";

pub(super) struct WebIdentity {
    client: StsClient,
    token_file: PathBuf,
    /// All parameters but the token and the duration.
    parameters: Map<String, Value>,
    duration: Duration,
    deadline: Duration,
}

impl WebIdentity {
    pub(super) fn new(
        settings: WebIdentitySettings,
        refresh: &RefreshSettings,
        clock: &Clock,
    ) -> Self {
        let mut parameters = Map::new();
        parameters.insert("ProviderId".to_owned(), settings.provider_id.into());
        parameters.insert("RoleArn".to_owned(), settings.role_arn.into());
        let session_name = session_name(&settings.session_name);
        parameters.insert("RoleSessionName".to_owned(), session_name.into());
        Self {
            client: StsClient::new(&settings.sts, refresh, clock),
            token_file: settings.token_file,
            parameters,
            duration: settings.duration,
            // Up to five calls with one token, and again with another.
            deadline: refresh.attempt_timeout * 6,
        }
    }

    async fn ask(&self) -> Result<Fetched, SourceError> {
        let token = token_file::read(&self.token_file).await?;
        let refused = match self.ask_with(&token).await {
            Err(fault @ SourceError::Refused { .. }) => fault,
            answer => return answer,
        };
        if !matches!(&refused, SourceError::Refused { code, .. } if code == TOKEN_REFUSED) {
            return Err(refused);
        }
        // It may have been rewritten just now. The same token would be refused again.
        let newer = token_file::read(&self.token_file).await?;
        if newer.expose() == token.expose() {
            return Err(refused);
        }
        self.ask_with(&newer).await
    }

    async fn ask_with(&self, token: &SessionToken) -> Result<Fetched, SourceError> {
        let mut parameters = self.parameters.clone();
        parameters.insert("WebIdentityToken".to_owned(), token.expose().into());
        let question =
            Question { action: "AssumeRoleWithWebIdentity", parameters, duration: self.duration };
        self.client.ask(&question, Caller::Unsigned).await
    }
}

impl KeySource for WebIdentity {
    fn kind(&self) -> &'static str {
        "web-identity"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.ask())
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
