//! `static`: a key that is given, permanent or a ready-made triple.

use std::time::Duration;

use crate::{
    clock::{Clock, Timestamp},
    credential::{
        Credential,
        settings::{ParentKey, StaticSettings},
    },
    secret::{BadSecret, SecretKey, SessionToken},
};

use super::{Fetched, Fetching, KeySource, Renewal, SourceError};

pub(super) struct Fixed {
    settings: StaticSettings,
    clock: Clock,
}

impl Fixed {
    pub(super) fn new(settings: StaticSettings, clock: Clock) -> Self {
        Self { settings, clock }
    }
}

/// A credential of its own with the parts of `key`.
pub(super) fn copy(
    key: &ParentKey,
    expires_at: Option<Timestamp>,
    received_at: Timestamp,
) -> Result<Credential, SourceError> {
    let copied = || -> Result<Credential, BadSecret> {
        let token = key.token.as_ref().map(|token| SessionToken::new(token.expose()));
        Ok(Credential {
            id: key.id.clone(),
            secret: SecretKey::new(key.secret.expose())?,
            token: token.transpose()?,
            expires_at,
            received_at,
        })
    };
    copied().map_err(|fault| SourceError::Unreadable {
        endpoint: "the configured key".to_owned(),
        fault: format!("it {fault}"),
    })
}

impl KeySource for Fixed {
    fn kind(&self) -> &'static str {
        "static"
    }

    fn fetch(&self) -> Fetching<'_> {
        let fetched = copy(&self.settings.key, self.settings.expires_at, self.clock.now())
            .map(|credential| Fetched { credential, request_id: None });
        Box::pin(std::future::ready(fetched))
    }

    fn renewal(&self) -> Renewal {
        Renewal::Never
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(1)
    }
}
