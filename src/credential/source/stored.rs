//! `file`, and a `static` key that stands in files: read, and watched for its replacement.

use std::time::Duration;

use crate::{
    clock::Clock,
    credential::{RefreshSettings, error::SourceError, settings::ParentKey},
};

use super::{
    Changed, Fetched, Fetching, KeySource, Renewal, fixed,
    key_place::{KeyPlace, PlaceFault, Standing},
    watch::Watch,
};

pub(super) struct Stored {
    kind: &'static str,
    place: KeyPlace,
    /// Parts that stand in no file.
    given: Option<ParentKey>,
    watch: Watch,
    clock: Clock,
    deadline: Duration,
}

impl Stored {
    pub(super) fn new(
        kind: &'static str,
        place: KeyPlace,
        given: Option<ParentKey>,
        refresh: &RefreshSettings,
        clock: Clock,
    ) -> Self {
        let watch = Watch::new(place.files());
        Self { kind, place, given, watch, clock, deadline: refresh.attempt_timeout }
    }

    async fn read(&self) -> Result<Fetched, SourceError> {
        let read = self.place.settled(&self.watch, self.given.as_ref(), &self.clock).await;
        let Standing { key, expires_at } = read.map_err(PlaceFault::into_error)?;
        let credential = fixed::copy(&key, expires_at, self.clock.now())?;
        Ok(Fetched { credential, request_id: None })
    }
}

impl KeySource for Stored {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.read())
    }

    fn changed(&self) -> Changed<'_> {
        Box::pin(self.watch.changed())
    }

    fn renewal(&self) -> Renewal {
        Renewal::Polled
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
