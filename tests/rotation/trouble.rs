//! Troubles out of the fault matrix, drawn at random, one after the other, each for a moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cos_auth_proxy::{
    emulator::{Emulator, faults::Service},
    shutdown::Shutdown,
};

use crate::{
    house::View,
    servers::{Harm, Servers},
    sources::Source,
    table::{self, Cell},
};

/// Between two troubles, in milliseconds.
const CALM: std::ops::Range<u64> = 100..1000;
/// How long one lasts: with the attempt it spoils, well below the life a key has left.
const BURST: std::ops::Range<u64> = 50..1500;

/// Then the previous key is one that was not revoked.
const SWAPS_BETWEEN_REVOCATIONS: u64 = 2;

/// What of the matrix can be done to a running source.
fn troubles(source: Source) -> Vec<Harm> {
    let harm = |row: table::Row| match row.cell {
        Cell::Run(run) if !matches!(run.harm, Harm::Name | Harm::Distrust) => Some(run.harm),
        Cell::Run(_) | Cell::AtStart(..) | Cell::SameAs(..) => None,
    };
    table::rows(source).into_iter().filter_map(harm).collect()
}

/// Troubles until `shutdown` begins; counts them. The next one comes when the one before is over, which
/// may be an attempt later.
pub(crate) async fn make(
    servers: Arc<Servers>,
    view: View,
    mut dice: fastrand::Rng,
    count: Arc<AtomicU64>,
    shutdown: Shutdown,
) {
    let troubles = troubles(servers.source);
    let one_after_the_other = async {
        while let Some(harm) = dice.choice(&troubles) {
            view.until_well().await;
            tokio::time::sleep(Duration::from_millis(dice.u64(CALM))).await;
            servers.harm(*harm).await;
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(dice.u64(BURST))).await;
            servers.mend().await;
        }
    };
    tokio::select! {
        () = one_after_the_other => {}
        () = shutdown.begun() => {}
    }
    servers.mend().await;
}

/// Revokes the key in use each time a few swaps have come, so that the one before it is still good.
pub(crate) async fn revoke(
    source: Source,
    emulator: Emulator,
    view: View,
    mut dice: fastrand::Rng,
    count: Arc<AtomicU64>,
) {
    let folder = format!("/{}/", source.name());
    loop {
        let swaps = view.swaps();
        while view.swaps() < swaps + SWAPS_BETWEEN_REVOCATIONS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.u64(CALM))).await;
        let seen = emulator.seen().since(0);
        let last = seen.iter().rev().find(|seen| {
            seen.service == Service::Cos && seen.target.contains(&folder) && seen.verdict == "ok"
        });
        if let Some(id) = last.and_then(|seen| seen.secret_id.as_deref()) {
            emulator.accounts().revoke(id);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
