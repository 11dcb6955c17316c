//! `assume-role`: `AssumeRole` with a permanent or temporary key (Tencent Cloud doc 1312/48197).

use std::time::Duration;

use serde_json::Map;

use crate::{
    clock::Clock,
    credential::{
        RefreshSettings,
        settings::{AssumeRoleSettings, ParentKey},
    },
};

use super::{
    Fetching, KeySource,
    sts_client::{Question, StsClient, session_name, url_encoded},
};

pub(super) struct AssumeRole {
    client: StsClient,
    parent: ParentKey,
    question: Question,
    deadline: Duration,
}

impl AssumeRole {
    pub(super) fn new(
        settings: AssumeRoleSettings,
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
        Self {
            client: StsClient::new(&settings.sts, refresh, clock),
            parent: settings.parent,
            question: Question { action: "AssumeRole", parameters, duration: settings.duration },
            // An attempt is up to five calls: the duration may be lowered on the way.
            deadline: refresh.attempt_timeout * 3,
        }
    }
}

impl KeySource for AssumeRole {
    fn kind(&self) -> &'static str {
        "assume-role"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.client.ask(&self.question, &self.parent))
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
