//! Every source of keys against everything that can go wrong with it: one table, one driver. In each
//! cell a good key stays and still signs, those who wait are told why, the log and the metrics say
//! what happened, and once the fault is gone the source recovers by itself.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "keystand/gate.rs"]
mod gate;
#[path = "keystand/servers.rs"]
mod servers;
#[allow(dead_code, reason = "shared with the rotation, which uses the rest of it")]
#[path = "keystand/sources.rs"]
mod sources;
#[path = "keystand/spoilt.rs"]
mod spoilt;

#[path = "fault_matrix/at_start.rs"]
mod at_start;
#[path = "fault_matrix/driver.rs"]
mod driver;
#[path = "fault_matrix/log.rs"]
mod log;
#[path = "fault_matrix/signs.rs"]
mod signs;
#[path = "fault_matrix/table.rs"]
mod table;
#[path = "fault_matrix/world.rs"]
mod world;

use std::{collections::BTreeMap, io::Write as _};

use log::Log;
use sources::Source;
use table::{Cell, Row, Trouble};
use tokio::task::JoinSet;

/// Cells that are run at the same time: most of them wait.
const AT_ONCE: usize = 16;

#[test]
fn every_source_has_a_cell_in_every_column_and_every_equivalence_names_a_cell_that_is_run() {
    for source in Source::ALL {
        let rows = table::rows(source);
        let mut cells = BTreeMap::new();
        for Row { trouble, cell } in &rows {
            assert!(cells.insert(trouble, cell).is_none(), "{source:?} has {trouble:?} twice");
        }
        for trouble in Trouble::EVERYWHERE {
            assert!(cells.contains_key(&trouble), "{source:?} has no cell for {trouble:?}");
        }
        for (trouble, cell) in &cells {
            if let Cell::SameAs(other, because) = cell {
                let named = cells.get(other);
                assert!(
                    matches!(named, Some(Cell::Run(_) | Cell::AtStart(..))),
                    "{source:?} {trouble:?}: {other:?}"
                );
                assert!(because.len() > 20, "{source:?} {trouble:?}: why is not said");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_trouble_of_any_source_costs_the_key_that_is_held() {
    let log = Log::of_process();
    let (equivalents, mut cells): (Vec<_>, Vec<_>) = Source::ALL
        .into_iter()
        .flat_map(|source| table::rows(source).into_iter().map(move |row| (source, row)))
        .partition(|(_, row)| matches!(row.cell, Cell::SameAs(..)));
    let equivalent = equivalents.len();
    let (total, mut done) = (cells.len(), 0);
    let mut running = JoinSet::new();
    let mut broken = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((source, row)) = cells.pop()
        {
            running.spawn(cell(source, row, log.clone()));
        }
        let Some(ended) = running.join_next().await else { break };
        done += 1;
        broken.extend(ended.err().map(why));
    }
    for secret in [sources::SECRET_KEY, sources::IDENTITY_TOKEN, sources::BEARER_TOKEN] {
        assert!(!log.holds(secret), "what a source asks with is in the log");
    }
    // Seen whether the test passes or not.
    let line = format!("{done} cells run, {equivalent} others are the same as one of them");
    drop(writeln!(std::io::stderr(), "fault matrix: {line}"));
    assert!(broken.is_empty(), "{} of {total} cells:\n{}", broken.len(), broken.join("\n"));
    assert_eq!(done, total);
}

async fn cell(source: Source, Row { trouble, cell }: Row, log: Log) {
    match cell {
        Cell::Run(run) => driver::run(source, trouble, run, log).await,
        Cell::AtStart(spoilt, says) => at_start::run(source, spoilt, says),
        Cell::SameAs(..) => {}
    }
}

/// What a cell panicked with.
fn why(failure: tokio::task::JoinError) -> String {
    match failure.into_panic().downcast::<String>() {
        Ok(text) => *text,
        Err(_not_text) => "a cell panicked".to_owned(),
    }
}
