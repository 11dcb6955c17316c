//! The steps of one request: admit, classify, compose, sign. Heads and bytes only: no body, no
//! socket, no clock. `transport` carries out what they decide.

mod admit;
mod allow;
mod answer;
mod asked;
mod browser;
mod classify;
mod compose;
mod copy_source;
mod cos_name;
mod deleted_keys;
mod escape;
mod fields;
mod framing;
mod hosts;
mod key_error;
mod keyring;
mod object_key;
mod operation;
mod origin;
mod query;
mod reason;
mod route_denied;
mod route_policy;
mod routes;
mod settings;
mod target;
mod upstream;

pub use admit::{Admitted, Gate};
pub use allow::{Allow, AllowFault};
pub use answer::{Answered, continue_100, end_head, forward_head, own_answer};
pub use classify::Method;
pub use compose::{Composer, Outbound, Signed};
pub use key_error::{Blame, ENOUGH as ERROR_BYTES, blame};
pub use operation::Operation;
pub use origin::{Dial, Origin, Scheme, SharedOrigin};
pub use reason::{Reason, Refused};
pub use route_policy::{Inexpressible, ListForm, route_policy};
pub use routes::RouteSettings;
pub use settings::{PathStyle, ProxySettings, SettingProblem};
