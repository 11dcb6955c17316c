//! May this request pass, and as what?

use std::sync::Arc;

use crate::http1::RequestHead;

use super::{Method, Operation, Origin, ProxySettings, Refused};

/// The compiled rules of admission.
#[derive(Debug)]
pub struct Gate {}

/// A request that may pass, with its upstream form.
#[derive(Debug)]
pub struct Admitted<'b> {
    /// Where it goes.
    pub origin: Arc<Origin>,
    /// What it is.
    pub operation: Operation,
    /// Method label.
    pub method: Method,
    /// Path to write upstream, exact bytes.
    pub path: &'b [u8],
    /// Query to write upstream, exact bytes without `?`, client signature parameters still inside.
    pub query: &'b [u8],
    /// The body must be held (up to the setting) and digested before composing.
    pub needs_digest: bool,
    /// GET or HEAD: may be sent again once if a reused connection died before any answer byte.
    pub safe_to_repeat: bool,
}

impl Gate {
    /// Compiles the settings.
    #[must_use]
    pub fn new(_settings: &ProxySettings) -> Self {
        Self {}
    }

    /// Judges one head.
    ///
    /// # Errors
    /// [`Refused`] with the reason and what to do.
    pub fn admit<'b>(&self, _head: &RequestHead<'_, 'b>) -> Result<Admitted<'b>, Refused> {
        unimplemented!()
    }
}
