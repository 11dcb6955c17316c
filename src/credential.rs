//! Keeps one good key in reach. Does not know that requests are proxied.

mod endpoint;
mod key;
mod policy;
mod refresh_settings;
mod settings;
mod settings_check;
mod store;

pub use endpoint::{BadEndpoint, Endpoint};
pub use key::Credential;
pub use policy::{AutoError, automatic, bucket_policy};
pub use refresh_settings::RefreshSettings;
pub use settings::{
    AssumeRoleSettings, DEFAULT_STS_REGION, FederationTokenSettings, HttpMethod, HttpSettings,
    KeySetSettings, ParentKey, RequestHeader, SourceSettings, StaticSettings, StsSettings,
};
pub use settings_check::SettingProblem;
pub use store::{KeyHealth, KeyReader, KeyWriter, NoKey, channel};
