//! `assume-role`: `AssumeRole` with a permanent or temporary key, or with that of another key set
//! (Tencent Cloud doc 1312/48197).

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    clock::Clock,
    credential::{
        Credential, KeyReader, RefreshSettings,
        error::SourceError,
        offset::ServerTime,
        settings::{AssumeRoleSettings, ParentKey},
        tags::Tag,
    },
};

use super::{
    Fetched, Fetching, KeySource,
    sts_client::{Question, StsClient, session_name, url_encoded},
};

pub(super) struct AssumeRole {
    client: StsClient,
    parent: Parent,
    question: Question,
    /// How long another key set is waited for.
    patience: Duration,
    deadline: Duration,
}

/// Whose key makes the call.
pub(super) enum Parent {
    Key(ParentKey),
    /// Another key set, read at each call.
    KeySet(KeyReader),
}

impl AssumeRole {
    pub(super) fn new(
        settings: AssumeRoleSettings,
        parent: Parent,
        refresh: &RefreshSettings,
        clock: &Clock,
        server_time: Arc<ServerTime>,
    ) -> Self {
        let mut parameters = Map::new();
        parameters.insert("RoleArn".to_owned(), settings.role_arn.into());
        let session_name = session_name(&settings.session_name);
        parameters.insert("RoleSessionName".to_owned(), session_name.into());
        if let Some(policy) = &settings.policy {
            parameters.insert("Policy".to_owned(), url_encoded(policy).into());
        }
        if let Some(external_id) = settings.external_id {
            parameters.insert("ExternalId".to_owned(), external_id.into());
        }
        if !settings.tags.is_empty() {
            parameters.insert("Tags".to_owned(), settings.tags.iter().map(tag).collect());
        }
        let patience = refresh.attempt_timeout;
        Self {
            client: StsClient::new(&settings.sts, refresh, clock, server_time),
            question: Question { action: "AssumeRole", parameters, duration: settings.duration },
            // An attempt is up to five calls: the duration may be lowered on the way. With another
            // key set it may wait for its key, for another one, and call again.
            deadline: match &parent {
                Parent::Key(_) => patience * 3,
                Parent::KeySet(_) => patience * 8,
            },
            patience,
            parent,
        }
    }

    /// Asks with the key that `keys` holds. If STS refuses it, rings for another and asks once more.
    async fn ask_with_key_of(&self, keys: &KeyReader) -> Result<Fetched, SourceError> {
        let key = keys.wait(self.patience).await;
        let key = key.map_err(|none| SourceError::ParentWithoutKey {
            name: keys.name().to_owned(),
            reason: none.to_string(),
        })?;
        let answer = self.ask_with(&key, keys).await;
        let Err(SourceError::ParentRefused { code, .. }) = &answer else { return answer };
        keys.report_rejected(&key, code);
        let id = key.id.clone();
        // Not held while waiting, so that it can be wiped.
        drop(key);
        match keys.other_than(&id, self.patience).await {
            Some(key) => self.ask_with(&key, keys).await,
            None => answer,
        }
    }

    async fn ask_with(&self, key: &Credential, keys: &KeyReader) -> Result<Fetched, SourceError> {
        let answer = self.client.ask(&self.question, key.into()).await;
        match &answer {
            Err(SourceError::Refused { endpoint, code, request_id }) if names_the_key(code) => {
                Err(SourceError::ParentRefused {
                    endpoint: endpoint.clone(),
                    name: keys.name().to_owned(),
                    code: code.clone(),
                    request_id: request_id.clone(),
                })
            }
            Ok(_) | Err(_) => answer,
        }
    }
}

/// Whether STS refused the key that asks, rather than what is asked. The id of a temporary key may
/// be forgotten with its end.
fn names_the_key(code: &str) -> bool {
    ["AuthFailure.TokenFailure", "AuthFailure.SecretIdNotFound", "AuthFailure.InvalidSecretId"]
        .contains(&code)
}

fn tag(tag: &Tag) -> Value {
    json!({"Key": tag.key, "Value": tag.value})
}

impl KeySource for AssumeRole {
    fn kind(&self) -> &'static str {
        "assume-role"
    }

    fn fetch(&self) -> Fetching<'_> {
        match &self.parent {
            Parent::Key(key) => Box::pin(self.client.ask_with(&self.question, key)),
            Parent::KeySet(keys) => Box::pin(self.ask_with_key_of(keys)),
        }
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
