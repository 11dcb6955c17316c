//! Keeps one good key in reach. Does not know that requests are proxied.
//!
//! A `KeySource` is asked by one `Refresher`, which writes a store; readers take the current key
//! with one atomic load. When to ask (`schedule`) and what to take (`accept`) are pure.

mod accept;
mod chain;
mod endpoint;
mod error;
mod handle;
mod identity_settings;
mod key;
mod metrics;
mod offset;
mod policy;
#[cfg(test)]
mod polled_tests;
mod refresh_settings;
mod refresher;
mod schedule;
mod settings;
mod settings_check;
mod source;
mod start;
mod status;
mod store;
mod tags;

pub use accept::Refusal;
pub use chain::{Link, chain_problems};
pub use endpoint::{BadEndpoint, Endpoint};
pub use error::{RetryClass, SourceError};
pub use handle::{RefreshNowError, RefresherHandle};
pub use identity_settings::{InstanceRoleSettings, WebIdentitySettings};
pub use key::Credential;
pub use metrics::{KeyMetrics, Outcome, RejectionCode};
pub use offset::{Observations, ServerTime};
pub use policy::{AutoError, automatic, bucket_policy};
pub use refresh_settings::RefreshSettings;
pub use refresher::Refresher;
pub use schedule::{Failure, ForcedLimit, poll_at, refresh_at, retry_delay, unchanged_delay};
pub use settings::{
    AssumeRoleSettings, DEFAULT_STS_REGION, FederationTokenSettings, HttpMethod, HttpSettings,
    KeySetSettings, ParentKey, RequestHeader, RoleParent, SourceSettings, StaticSettings,
    StsSettings,
};
pub use settings_check::SettingProblem;
pub use source::{Fetched, Fetching, KeySource, Renewal};
pub use start::{RefreshError, StartError, once, once_of, start, start_all};
pub use status::{KeyStatus, RefreshCounts};
pub use store::{KeyHealth, KeyReader, KeyWriter, NoKey, channel, channel_named};
pub use tags::{BadTags, Tag, read_tags};
