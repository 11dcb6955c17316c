//! The steps of one request: admit, classify, compose, sign. Heads and bytes only: no body, no
//! socket, no clock. `transport` carries out what they decide.

mod admit;
mod answer;
mod classify;
mod compose;
mod origin;
mod reason;
mod settings;

pub use admit::{Admitted, Gate};
pub use answer::{Answered, forward_head, own_answer};
pub use classify::{Method, Operation};
pub use compose::{Composer, Outbound, Signed};
pub use origin::{Dial, Origin, Scheme};
pub use reason::{Reason, Refused};
pub use settings::{PathStyle, ProxySettings};
