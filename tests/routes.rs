//! Routes as a user means them: what they allow, what they refuse before anything is sent, and that
//! the policy made of them says the same to COS.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "routes/equality.rs"]
mod equality;
#[path = "routes/gate.rs"]
mod gate;
#[path = "routes/house.rs"]
mod house;
#[path = "routes/requests.rs"]
mod requests;
#[path = "routes/stand.rs"]
mod stand;
