//! `federation-token`: `GetFederationToken` with a permanent key (Tencent Cloud doc 1312/48195).

use std::time::Duration;

use serde_json::Map;

use crate::{
    clock::Clock,
    credential::{
        RefreshSettings,
        settings::{FederationTokenSettings, ParentKey},
    },
};

use super::{
    Fetching, KeySource,
    sts_client::{Question, StsClient, session_name, url_encoded},
};

pub(super) struct FederationToken {
    client: StsClient,
    parent: ParentKey,
    question: Question,
    deadline: Duration,
}

impl FederationToken {
    pub(super) fn new(
        settings: FederationTokenSettings,
        refresh: &RefreshSettings,
        clock: &Clock,
    ) -> Self {
        let mut parameters = Map::new();
        parameters.insert("Name".to_owned(), session_name(&settings.session_name).into());
        parameters.insert("Policy".to_owned(), url_encoded(&settings.policy).into());
        Self {
            client: StsClient::new(&settings.sts, refresh, clock),
            parent: settings.parent,
            question: Question {
                action: "GetFederationToken",
                parameters,
                duration: settings.duration,
            },
            // An attempt is up to five calls: the duration may be lowered on the way.
            deadline: refresh.attempt_timeout * 3,
        }
    }
}

impl KeySource for FederationToken {
    fn kind(&self) -> &'static str {
        "federation-token"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.client.ask_with(&self.question, &self.parent))
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
