//! Calls made with the key that another key set holds at that time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    credential::{Credential, KeyReader, error::SourceError},
    secret::SecretId,
};

use super::{
    Fetched,
    sts_client::{Question, StsClient},
};

/// How long one look at the other key set lasts while nothing is to be done; then comes the next.
const ONE_WAIT: Duration = Duration::from_secs(3600);

/// The other key set.
pub(super) struct Via {
    keys: KeyReader,
    /// How long a call waits for a key of it.
    patience: Duration,
    missed: Mutex<Missed>,
}

/// What the last call would have needed from the other key set.
#[derive(Clone)]
enum Missed {
    Nothing,
    AnyKey,
    /// STS refused this one.
    OtherThan(SecretId),
}

impl Via {
    pub(super) fn new(keys: KeyReader, patience: Duration) -> Self {
        Self { keys, patience, missed: Mutex::new(Missed::Nothing) }
    }

    /// Asks with the key that is held. If STS refuses it, rings for another and asks once more.
    pub(super) async fn ask(
        &self,
        client: &StsClient,
        question: &Question,
    ) -> Result<Fetched, SourceError> {
        self.note(Missed::AnyKey);
        let key = self.keys.wait(self.patience).await;
        let key = key.map_err(|none| SourceError::ParentWithoutKey {
            name: self.keys.name().to_owned(),
            reason: none.to_string(),
        })?;
        self.note(Missed::Nothing);
        let answer = self.ask_with(&key, client, question).await;
        let Err(SourceError::ParentRefused { code, .. }) = &answer else { return answer };
        self.keys.note_rejected(&key, code);
        let refused = key.id.clone();
        // Not held while waiting, so that it can be wiped.
        drop(key);
        match self.keys.another(|key| key.id != refused, self.patience).await {
            Some(key) => self.ask_with(&key, client, question).await,
            None => answer,
        }
    }

    /// Completes when the other key set has what the last call missed.
    pub(super) async fn worth_asking_again(&self) {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match missed {
            Missed::Nothing => std::future::pending().await,
            Missed::AnyKey => while self.keys.wait(ONE_WAIT).await.is_err() {},
            Missed::OtherThan(id) => while self.keys.another_than(&id, ONE_WAIT).await.is_none() {},
        }
    }

    async fn ask_with(
        &self,
        key: &Credential,
        client: &StsClient,
        question: &Question,
    ) -> Result<Fetched, SourceError> {
        let answer = client.ask(question, key.into()).await;
        match &answer {
            Err(SourceError::Refused { endpoint, code, request_id }) if names_the_key(code) => {
                self.note(Missed::OtherThan(key.id.clone()));
                Err(SourceError::ParentRefused {
                    endpoint: endpoint.clone(),
                    name: self.keys.name().to_owned(),
                    code: code.clone(),
                    request_id: request_id.clone(),
                })
            }
            Ok(_) | Err(_) => {
                self.note(Missed::Nothing);
                answer
            }
        }
    }

    fn note(&self, missed: Missed) {
        // Each value is whole, whoever panicked while it was written.
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = missed;
    }
}

/// Whether STS refused the key that asks, rather than what is asked. The id of a temporary key may
/// be forgotten with its end.
fn names_the_key(code: &str) -> bool {
    ["AuthFailure.TokenFailure", "AuthFailure.SecretIdNotFound", "AuthFailure.InvalidSecretId"]
        .contains(&code)
}
