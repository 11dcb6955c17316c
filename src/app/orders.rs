//! What control may order a running house.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::View;
use crate::{
    clock::{Clock, Timestamp},
    control::{self, ControlActions, RefreshOutcome, Refreshed, UnknownKeys},
    credential::{self, RefreshNowError, RefresherHandle},
    log::LogHandle,
};

/// An order waits this long for its refreshes; longer than two attempts of any source take.
const LONGEST_REFRESH: Duration = Duration::from_secs(60);

/// The actions of control; they see the house through `view`.
pub(super) fn actions(
    view: &std::sync::Arc<View>,
    refreshers: Vec<RefresherHandle>,
    log: Option<LogHandle>,
    quit: &CancellationToken,
) -> ControlActions {
    let (quit, view, clock) = (quit.clone(), view.clone(), view.clock.clone());
    ControlActions {
        refresh: Box::new(move |name| {
            let meant = |r: &&RefresherHandle| name.is_none_or(|name| name == r.name());
            let chosen: Vec<_> = refreshers.iter().filter(meant).cloned().collect();
            if chosen.is_empty() {
                let known = refreshers.iter().map(|r| r.name().to_owned()).collect();
                return Err(UnknownKeys { name: name.unwrap_or_default().to_owned(), known });
            }
            let clock = clock.clone();
            Ok(Box::pin(async move { refresh_all(&chosen, &clock).await }))
        }),
        quit: Box::new(move || quit.cancel()),
        set_log_level: Box::new(move |text| {
            let log = log.as_ref().ok_or("the logs of this process are not its own")?;
            log.set_level(text).map_err(|error| error.to_string())
        }),
        last_signature_error: Box::new({
            let errors = view.signature_errors.clone();
            move || errors.last()
        }),
        status: Box::new(move || view.status()),
    }
}

/// All at once: a slow key set makes no other wait for its turn.
async fn refresh_all(chosen: &[RefresherHandle], clock: &Clock) -> Vec<RefreshOutcome> {
    let mut waiting = tokio::task::JoinSet::new();
    for (place, refresher) in chosen.iter().cloned().enumerate() {
        let clock = clock.clone();
        waiting.spawn(async move { (place, refresh(&refresher, &clock).await) });
    }
    let mut outcomes = waiting.join_all().await;
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn refresh(refresher: &RefresherHandle, clock: &Clock) -> RefreshOutcome {
    let swaps = refresher.status().swaps;
    let asked = timeout(LONGEST_REFRESH, refresher.refresh_now()).await;
    let keys = refresher.status();
    let (outcome, error) = match asked {
        Ok(Ok(_)) if keys.swaps > swaps => (Refreshed::Swapped, None),
        Ok(Ok(_)) => (Refreshed::Unchanged, None),
        Ok(Err(limit @ RefreshNowError::Limited { .. })) => {
            (Refreshed::Limited, Some(limit.to_string()))
        }
        Ok(Err(fault @ (RefreshNowError::Failed { .. } | RefreshNowError::Ended))) => {
            (Refreshed::Failed, Some(fault.to_string()))
        }
        Err(_elapsed) => {
            let waited = LONGEST_REFRESH.as_secs();
            (Refreshed::Pending, Some(format!("no outcome within {waited} s; it goes on")))
        }
    };
    RefreshOutcome { outcome, error, keys: key_status(keys, clock.now()) }
}

/// A key set as control shows it.
pub(super) fn key_status(keys: credential::KeyStatus, now: Timestamp) -> control::KeyStatus {
    let seconds = |at: Timestamp| i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    control::KeyStatus {
        name: keys.name,
        source: keys.source.to_owned(),
        usable: keys.usable,
        secret_id: keys.secret_id,
        received_at: text(keys.received_at),
        age_seconds: keys.received_at.map(|at| seconds(now) - seconds(at)),
        expires_at: text(keys.expires_at),
        expires_in_seconds: keys.expires_at.map(|at| seconds(at) - seconds(now)),
        urgency: keys.urgency.name().to_owned(),
        next_refresh_at: text(keys.next_refresh_at),
        next_refresh_in_seconds: keys.next_refresh_at.map(|at| seconds(at) - seconds(now)),
        last_success_at: text(keys.last_success_at),
        last_error: keys.last_error,
        last_error_at: text(keys.last_error_at),
        last_error_class: keys.last_error_class.map(str::to_owned),
        last_error_request_id: keys.last_error_request_id,
        failures: keys.failures,
        swaps: keys.swaps,
        forced_refreshes: keys.forced_refreshes,
    }
}
