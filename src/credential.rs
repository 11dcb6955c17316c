//! Keeps one good key in reach. Does not know that requests are proxied.
//!
//! A `KeySource` is asked by one `Refresher`, which writes a store; readers take the current key
//! with one atomic load. When to ask (`planner`, by the numbers of `schedule`) and what to take
//! (`accept`) are pure.

mod accept;
mod cache;
mod chain;
mod covers;
mod endpoint;
mod error;
mod fallback;
mod handle;
mod identity_settings;
mod key;
mod metrics;
#[cfg(test)]
mod model_tests;
mod narrow;
mod planner;
mod policy;
#[cfg(test)]
mod polled_tests;
mod refresh_settings;
mod refresher;
mod reveal;
mod schedule;
mod settings;
mod settings_check;
mod settings_local;
mod shape;
mod source;
mod source_identity;
mod start;
mod status;
mod store;
#[cfg(not(test))]
mod sync;
#[cfg(test)]
#[path = "credential/model_tests/switched_sync.rs"]
mod sync;
mod tags;
mod urgency;

pub use accept::{Refusal, Verdict, judge};
pub use chain::{Link, chain_problems};
pub use covers::{NotCovered, Permission};
pub use endpoint::{BadEndpoint, Endpoint};
pub use error::{RetryClass, SourceError};
pub use handle::{RefreshNowError, RefresherHandle};
pub use identity_settings::{InstanceRoleSettings, WebIdentitySettings};
pub use key::Credential;
pub use metrics::{KeyMetrics, Outcome, RejectionCode};
pub use narrow::{Narrowing, NotNarrowed};
pub use planner::{Cause, Look, Moment, Planner};
pub use policy::{AutoError, automatic, bucket_policy};
pub use refresh_settings::RefreshSettings;
pub use refresher::Refresher;
pub use reveal::{Revealed, reveal, to_json};
pub use schedule::{Failure, ForcedLimit, poll_at, refresh_at, retry_delay, unchanged_delay};
pub use settings::{
    AssumeRoleSettings, DEFAULT_STS_REGION, FederationTokenSettings, HttpMethod, HttpSettings,
    KeySetSettings, ParentKey, RequestHeader, RoleParent, SourceSettings, StaticSettings,
    StsSettings,
};
pub use settings_check::{SettingProblem, short_life};
pub use settings_local::ExecSettings;
pub use shape::{KeyShape, write_key};
pub use source::{
    Changed, Fetched, Fetching, KeyFile, KeyFormat, KeyPlace, KeySource, NoKeyThere, Renewal,
};
pub use start::{RefreshError, StartError, once, once_of, start, start_all};
pub use status::{KeyStatus, RefreshCounts};
pub use store::{KeyHealth, KeyReader, KeyWriter, NoKey, channel, channel_named};
pub use tags::{BadTags, Tag, read_tags};
pub use urgency::Urgency;
