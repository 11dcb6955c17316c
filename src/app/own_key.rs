//! The configured key, to find out whether it made a signature.

use crate::{
    clock::Clock,
    config::Settings,
    credential::{self, Credential},
    explain::TestKey,
    sign::cos::{SigningKey, Window},
};

/// A key that is given in the configuration, not fetched. Signs and does not show itself.
#[derive(Debug)]
pub struct OwnKey(Credential);

impl OwnKey {
    /// The key with this public name; if there is none, any that is given.
    ///
    /// # Errors
    /// When every key is fetched from somewhere: such a one is never the one that signed.
    pub fn find(settings: &Settings, id: &str) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|problem| format!("cannot start: {problem}"))?;
        let given = settings.keys.iter().filter(|set| set.source.kind() == "static");
        let mut found = None;
        for set in given {
            let key = runtime.block_on(credential::once(set, &Clock::system()));
            let key = key.map_err(|error| format!("[keys.{}]: {error}", set.name))?;
            if key.id.as_str() == id {
                return Ok(Self(key));
            }
            found.get_or_insert(key);
        }
        found.map(Self).ok_or_else(|| {
            "no key set has source = \"static\": --check-key needs the SecretId and SecretKey that \
             signed the request, as for `check`"
                .to_owned()
        })
    }
}

impl TestKey for OwnKey {
    fn id(&self) -> &str {
        self.0.id.as_str()
    }

    fn signature(&self, key_time: &str, http_string: &[u8]) -> Option<String> {
        let (start, end) = key_time.split_once(';')?;
        let window = Window { start: start.parse().ok()?, end: end.parse().ok()? };
        Some(SigningKey::derive(&self.0.secret, window).signature_of(http_string))
    }
}
