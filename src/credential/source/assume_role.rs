//! `assume-role`: `AssumeRole` with a permanent or temporary key, or with that of another key set
//! (Tencent Cloud doc 1312/48197).

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{
    clock::Clock,
    credential::{
        RefreshSettings,
        settings::{AssumeRoleSettings, ParentKey},
        tags::Tag,
    },
};

use super::{
    Changed, Fetching, KeySource,
    sts_client::{Question, StsClient, session_name, url_encoded},
    via::Via,
};

pub(super) struct AssumeRole {
    client: StsClient,
    parent: Parent,
    question: Question,
    deadline: Duration,
}

/// Whose key makes the call.
pub(super) enum Parent {
    Key(ParentKey),
    KeySet(Via),
}

impl AssumeRole {
    pub(super) fn new(
        settings: AssumeRoleSettings,
        parent: Parent,
        refresh: &RefreshSettings,
        clock: &Clock,
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
            client: StsClient::new(&settings.sts, refresh, clock),
            question: Question { action: "AssumeRole", parameters, duration: settings.duration },
            // An attempt is up to five calls: the duration may be lowered on the way. With another
            // key set it may wait for its key, for another one, and call again.
            deadline: match &parent {
                Parent::Key(_) => patience * 3,
                Parent::KeySet(_) => patience * 8,
            },
            parent,
        }
    }
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
            Parent::KeySet(via) => Box::pin(via.ask(&self.client, &self.question)),
        }
    }

    fn changed(&self) -> Changed<'_> {
        match &self.parent {
            Parent::Key(_) => Box::pin(std::future::pending()),
            Parent::KeySet(via) => Box::pin(via.worth_asking_again()),
        }
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
