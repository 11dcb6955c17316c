//! Where keys come from: one module per source behind one trait.

use std::{pin::Pin, time::Duration};

use crate::clock::Clock;

use super::{
    Credential, KeyReader, KeySetSettings, chain,
    error::SourceError,
    settings::{RoleParent, SourceSettings},
    settings_check::SettingProblem,
};

mod assume_role;
mod exec;
mod federation_token;
mod fixed;
mod http;
mod http_client;
mod instance_role;
mod key_place;
mod key_text;
mod last_resort;
mod last_words;
mod reply;
mod small_files;
mod stored;
mod sts_client;
mod token_file;
mod via;
mod watch;
mod web_identity;

pub(super) use key_place::Remembered;
pub use key_place::{KeyFile, KeyPlace, NoKeyThere};
pub use key_text::KeyFormat;

/// An attempt under way. Dropping it gives it up.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, SourceError>> + Send + 'a>>;

/// Completes when a source knows by itself that it has another key. Dropping it gives up waiting.
pub type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Something that gives keys when asked.
///
/// The refresher asks one at a time, and never again before the last answer came or was given up.
pub trait KeySource: Send + Sync {
    /// The name of the kind, as in `config.toml`.
    fn kind(&self) -> &'static str;

    /// Asks for a key.
    fn fetch(&self) -> Fetching<'_>;

    /// Whether asking again may give another key.
    fn renewal(&self) -> Renewal {
        Renewal::AheadOfExpiry
    }

    /// Completes when there is something new to fetch; for most sources never. The refresher waits
    /// here between attempts, and drops and repeats the wait as it likes.
    fn changed(&self) -> Changed<'_> {
        Box::pin(std::future::pending())
    }

    /// Deadline of one fetch. The source keeps finer ones of its own.
    fn deadline(&self) -> Duration;
}

/// Whether a source has more than one key to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Ask again ahead of the key's end; poll if the end is not known.
    AheadOfExpiry,
    /// There is only this key.
    Never,
    /// The source has one key at a time and changes it when it likes: ask again and again. What it
    /// gives is the key, even if the one before would live longer.
    Polled,
}

/// A key, and what the server called the request that got it.
#[derive(Debug)]
pub struct Fetched {
    /// The key, not yet judged.
    pub credential: Credential,
    /// The server's id of the request, for the log.
    pub request_id: Option<String>,
}

/// The source that `settings` describe. `parent` reads the key set that makes its calls.
///
/// # Errors
/// If the settings name such a key set and there is no `parent`.
pub(super) fn build(
    settings: &KeySetSettings,
    clock: &Clock,
    parent: Option<KeyReader>,
) -> Result<Box<dyn KeySource>, SettingProblem> {
    let source = build_plain(settings, clock, parent)?;
    let is_last_resort = matches!(settings.source, SourceSettings::InstanceRole(_));
    Ok(match settings.passed_over.as_slice() {
        passed_over @ [_, ..] if is_last_resort => {
            Box::new(last_resort::LastResort::new(source, passed_over))
        }
        [..] => source,
    })
}

fn build_plain(
    settings: &KeySetSettings,
    clock: &Clock,
    parent: Option<KeyReader>,
) -> Result<Box<dyn KeySource>, SettingProblem> {
    let refresh = &settings.refresh;
    Ok(match &settings.source {
        SourceSettings::Static(fixed) => match fixed.key.place() {
            None => Box::new(fixed::Fixed::new(fixed.clone(), clock.clone())),
            Some(place) => {
                let (place, given) = (place.clone(), Some(fixed.key.clone()));
                Box::new(stored::Stored::new("static", place, given, refresh, clock.clone()))
            }
        },
        SourceSettings::File(file) => {
            let place = KeyPlace::Whole(file.clone());
            Box::new(stored::Stored::new("file", place, None, refresh, clock.clone()))
        }
        SourceSettings::Exec(command) => Box::new(exec::Exec::new(command.clone(), clock.clone())),
        SourceSettings::FederationToken(federation) => {
            Box::new(federation_token::FederationToken::new(federation.clone(), refresh, clock))
        }
        SourceSettings::AssumeRole(role) => {
            let parent = match (&role.parent, parent) {
                (RoleParent::Key(key), _) => assume_role::Parent::Key(key.clone()),
                (RoleParent::KeySet(_), Some(keys)) => {
                    assume_role::Parent::KeySet(via::Via::new(keys, refresh.attempt_timeout))
                }
                (RoleParent::KeySet(name), None) => return Err(chain::unknown(name)),
            };
            Box::new(assume_role::AssumeRole::new(role.clone(), parent, refresh, clock))
        }
        SourceSettings::Http(server) => {
            Box::new(http::HttpSource::new(server.clone(), refresh, clock.clone()))
        }
        SourceSettings::WebIdentity(identity) => {
            Box::new(web_identity::WebIdentity::new(identity.clone(), refresh, clock))
        }
        SourceSettings::InstanceRole(role) => {
            Box::new(instance_role::InstanceRole::new(role.clone(), clock.clone()))
        }
    })
}

/// Whatever a source does, an attempt ends.
pub(super) async fn fetch(source: &dyn KeySource) -> Result<Fetched, SourceError> {
    let waited = source.deadline();
    tokio::time::timeout(waited, source.fetch()).await.unwrap_or_else(|_elapsed| {
        Err(SourceError::TimedOut { endpoint: format!("the {} source", source.kind()), waited })
    })
}
