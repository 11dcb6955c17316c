//! The rotation proof: a whole proxy for every source of keys, clients that never stop, keys that
//! change every few hundred milliseconds, and the source's server in one trouble after the other, each
//! shorter than the life a key has left. The stand-in checks every signature; not one request may
//! fail.
//!
//! `ROTATION_SWAPS` is the number of swaps that each source must do (otherwise a thousand are done by
//! all of them together), `ROTATION_SEED` repeats a run's draws.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[allow(dead_code, reason = "shared with the fault matrix, which uses the rest of it")]
#[path = "keystand/gate.rs"]
mod gate;
#[allow(dead_code, reason = "the same")]
#[path = "keystand/servers.rs"]
mod servers;
#[allow(dead_code, reason = "the same")]
#[path = "keystand/sources.rs"]
mod sources;
#[path = "keystand/spoilt.rs"]
mod spoilt;
#[allow(dead_code, reason = "the same")]
#[path = "fault_matrix/table.rs"]
mod table;

#[path = "rotation/client.rs"]
mod client;
#[path = "rotation/house.rs"]
mod house;
#[path = "rotation/load.rs"]
mod load;
#[path = "rotation/proof.rs"]
mod proof;
#[path = "rotation/trouble.rs"]
mod trouble;

use std::time::Duration;

use cos_auth_proxy::{
    app::ExitReason,
    clock::Clock,
    emulator::{Emulator, EmulatorSettings, faults::Service},
    shutdown::Shutdown,
};
use proof::Proof;
use sources::{Source, introduce};

/// Swaps of all sources together in an ordinary run.
const SWAPS: u64 = 1000;
/// The fewest of any source that has more than one key, and the fewest requests of each.
const LEAST_SWAPS: u64 = 20;
const LEAST_REQUESTS: u64 = 100;
/// A run that has not got there by then never will.
const LONGEST: Duration = Duration::from_secs(600);
const LONGEST_OF_LONG_RUN: Duration = Duration::from_secs(4 * 3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_with_any_source_while_keys_change_and_servers_fail() {
    let seed = number("ROTATION_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let each = number("ROTATION_SWAPS");
    println!("seed {seed}: repeat with ROTATION_SEED={seed}");
    let shutdown = Shutdown::new();
    let settings = EmulatorSettings::default();
    let emulator = Emulator::start(settings, Clock::system(), &shutdown).await.unwrap();
    introduce(emulator.accounts());
    let mut proofs = Vec::new();
    for (index, source) in (0..).zip(Source::ALL) {
        proofs.push(Proof::begin(source, &emulator, seed + index, &shutdown).await);
    }

    let longest = if each.is_some() { LONGEST_OF_LONG_RUN } else { LONGEST };
    let enough = async {
        while !done(&proofs, each) && proofs.iter().all(|proof| proof.tally.failures().is_empty()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = tokio::time::timeout(longest, enough).await.is_ok();

    let (mut failures, mut exits) = (Vec::new(), Vec::new());
    for proof in &proofs {
        proof.stop();
    }
    for proof in proofs {
        let (summary, failed, exit) = proof.end().await;
        println!("{summary}");
        failures.extend(failed);
        exits.push(exit);
    }
    let seen = emulator.seen();
    let count = |verdict| seen.count_verdict(Service::Cos, verdict);
    let accepted = count("ok") + count("NoSuchKey");
    println!("{accepted} of {} requests to COS were accepted", seen.count(Service::Cos));
    shutdown.begin();
    assert!(shutdown.finished(Duration::from_secs(20)).await, "every task ends");
    assert!(failures.is_empty(), "seed {seed}: {failures:#?}");
    assert!(in_time, "seed {seed}: not there within {longest:?}");
    assert!(exits.iter().all(|exit| *exit == ExitReason::Clean), "{exits:?}");
    assert_eq!(accepted, seen.count(Service::Cos), "COS refused some, although no client noticed");
}

fn done(proofs: &[Proof], each: Option<u64>) -> bool {
    let least = each.unwrap_or(LEAST_SWAPS);
    let there = |proof: &Proof| {
        let swapped = !proof.source.has_many_keys() || proof.swaps() >= least;
        swapped && proof.tally.requests() >= LEAST_REQUESTS
    };
    proofs.iter().all(there)
        && (each.is_some() || proofs.iter().map(Proof::swaps).sum::<u64>() >= SWAPS)
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for a longer run")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
