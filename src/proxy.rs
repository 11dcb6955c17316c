//! The steps of one request: admit, classify, compose, sign. Heads and bytes only: no body, no
//! socket, no clock. `transport` carries out what they decide.

mod admit;
mod answer;
mod browser;
mod classify;
mod compose;
mod copy_source;
mod escape;
mod fields;
mod framing;
mod hosts;
mod key_error;
mod keyring;
mod operation;
mod origin;
mod query;
mod reason;
mod settings;
mod target;
mod upstream;

pub use admit::{Admitted, Gate};
pub use answer::{Answered, continue_100, forward_head, own_answer};
pub use classify::Method;
pub use compose::{Composer, Outbound, Signed};
pub use key_error::{Blame, ENOUGH as ERROR_BYTES, blame};
pub use operation::Operation;
pub use origin::{Dial, Origin, Scheme, SharedOrigin};
pub use reason::{Reason, Refused};
pub use settings::{PathStyle, ProxySettings, SettingProblem};
