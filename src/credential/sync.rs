//! The primitives that the store is built of. Only its protocol is ours.
//!
//! In a test build `model_tests/switched_sync.rs` stands here, so that a model checker can drive the
//! protocol.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64};

pub(super) use arc_swap::{ArcSwap, ArcSwapOption};
pub(super) use tokio::sync::{Notify, watch};
