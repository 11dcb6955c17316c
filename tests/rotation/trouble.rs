//! Troubles out of the fault matrix, drawn at random, one after the other, each for a moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cos_auth_proxy::shutdown::Shutdown;

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
