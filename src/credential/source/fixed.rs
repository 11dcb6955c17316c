//! `static`: a key that is given, permanent or a ready-made triple.

use std::time::Duration;

use crate::{
    clock::Clock,
    credential::{Credential, settings::StaticSettings},
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

    fn credential(&self) -> Result<Credential, BadSecret> {
        let key = &self.settings.key;
        let token =
            key.token.as_ref().map(|token| SessionToken::new(token.expose())).transpose()?;
        Ok(Credential {
            id: key.id.clone(),
            secret: SecretKey::new(key.secret.expose())?,
            token,
            expires_at: self.settings.expires_at,
            received_at: self.clock.now(),
        })
    }
}

impl KeySource for Fixed {
    fn kind(&self) -> &'static str {
        "static"
    }

    fn fetch(&self) -> Fetching<'_> {
        let fetched = self
            .credential()
            .map(|credential| Fetched { credential, request_id: None })
            .map_err(|fault| SourceError::Unreadable {
                endpoint: "the configured key".to_owned(),
                fault: format!("it {fault}"),
            });
        Box::pin(std::future::ready(fetched))
    }

    fn renewal(&self) -> Renewal {
        Renewal::Never
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(1)
    }
}
