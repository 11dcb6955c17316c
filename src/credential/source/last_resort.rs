//! The source that `auto` was left with: while it gives no key, it is told why no other was taken.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{Changed, Fetched, Fetching, KeySource, Renewal, SourceError};

pub(super) struct LastResort {
    source: Box<dyn KeySource>,
    passed_over: String,
    /// It has given a key: its faults are its own.
    has_given: AtomicBool,
}

impl LastResort {
    pub(super) fn new(source: Box<dyn KeySource>, passed_over: &[String]) -> Self {
        Self { source, passed_over: passed_over.join("; "), has_given: AtomicBool::new(false) }
    }

    async fn ask(&self) -> Result<Fetched, SourceError> {
        match self.source.fetch().await {
            Ok(fetched) => {
                self.has_given.store(true, Ordering::Relaxed);
                Ok(fetched)
            }
            Err(fault) if !self.has_given.load(Ordering::Relaxed) => {
                let (kind, passed_over) = (self.source.kind(), self.passed_over.clone());
                Err(SourceError::LastResort { kind, passed_over, fault: Box::new(fault) })
            }
            Err(fault) => Err(fault),
        }
    }
}

impl KeySource for LastResort {
    fn kind(&self) -> &'static str {
        self.source.kind()
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.ask())
    }

    fn renewal(&self) -> Renewal {
        self.source.renewal()
    }

    fn changed(&self) -> Changed<'_> {
        self.source.changed()
    }

    fn deadline(&self) -> Duration {
        self.source.deadline()
    }
}
