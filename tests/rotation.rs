//! The rotation proof: a whole proxy for every source of keys, clients that never stop, keys that
//! change every few hundred milliseconds, and the source's server in one trouble after the other, each
//! shorter than the life a key has left. The stand-in checks every signature; not one request may
//! fail. The same with keys that COS forgets while they are in use.
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

use std::{io::Write as _, time::Duration};

use cos_auth_proxy::{
    app::ExitReason,
    clock::Clock,
    emulator::{Emulator, EmulatorSettings, faults::Service},
    shutdown::Shutdown,
};
use proof::{Meanwhile, Proof};
use sources::{Source, introduce};
use tokio::time::Instant;

/// Swaps of all sources together in an ordinary run.
const SWAPS: u64 = 1000;
/// The same where the key in use is revoked after every few of them.
const SWAPS_OF_REVOCATIONS: u64 = 400;
/// The fewest of any source that has more than one key, and the fewest requests of each.
const LEAST_SWAPS: u64 = 20;
const LEAST_REQUESTS: u64 = 100;
/// How often a person who waits is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A run that has not got there by then never will.
const LONGEST: Duration = Duration::from_secs(600);
const LONGEST_OF_LONG_RUN: Duration = Duration::from_secs(4 * 3600);

/// The two take turns: each is all that a small machine can do.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_with_any_source_while_keys_change_and_servers_fail() {
    let _turn = TURN.lock().await;
    let each = number("ROTATION_SWAPS");
    let refused = rotate(&Source::ALL, Meanwhile::Troubles, each, SWAPS).await;
    assert_eq!(refused, 0, "COS refused some, although no client noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_cos_forgets_the_keys_in_use() {
    let _turn = TURN.lock().await;
    let sources = [Source::FederationToken, Source::AssumeRoleVia, Source::Http, Source::File];
    let refused = rotate(&sources, Meanwhile::Revocations, None, SWAPS_OF_REVOCATIONS).await;
    assert!(refused > 0, "no key in use was revoked");
}

/// The proof for these sources together, until all have done enough; how many requests COS refused.
async fn rotate(sources: &[Source], meanwhile: Meanwhile, each: Option<u64>, all: u64) -> u64 {
    let seed = number("ROTATION_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    say(&format!("seed {seed}: repeat with ROTATION_SEED={seed}"));
    let shutdown = Shutdown::new();
    let settings = EmulatorSettings::default();
    let emulator = Emulator::start(settings, Clock::system(), &shutdown).await.unwrap();
    introduce(emulator.accounts());
    // The metadata shows a key for a while; a long run has no time for that.
    emulator.accounts().set_instance_key_age(Some(if each.is_some() { 0 } else { 1 }));
    let mut proofs = Vec::new();
    for (index, source) in (0..).zip(sources) {
        let seed = seed + index;
        proofs.push(Proof::begin(*source, meanwhile, &emulator, seed, &shutdown).await);
    }
    let longest = if each.is_some() { LONGEST_OF_LONG_RUN } else { LONGEST };
    let in_time = tokio::time::timeout(longest, enough(&proofs, each, all)).await.is_ok();

    let (mut failures, mut exits) = (Vec::new(), Vec::new());
    proofs.iter().for_each(Proof::stop);
    for proof in proofs {
        let (summary, failed, exit) = proof.end().await;
        say(&summary);
        failures.extend(failed);
        exits.push(exit);
    }
    let seen = emulator.seen();
    let count = |verdict| seen.count_verdict(Service::Cos, verdict);
    let (asked, accepted) = (seen.count(Service::Cos), count("ok") + count("NoSuchKey"));
    say(&format!("{accepted} of {asked} requests to COS were accepted"));
    shutdown.begin();
    assert!(shutdown.finished(Duration::from_secs(20)).await, "every task ends");
    assert!(failures.is_empty(), "seed {seed}: {failures:#?}");
    assert!(in_time, "seed {seed}: not there within {longest:?}");
    assert!(exits.iter().all(|exit| *exit == ExitReason::Clean), "{exits:?}");
    asked - accepted
}

/// Waits until it is enough, or a request failed.
async fn enough(proofs: &[Proof], each: Option<u64>, all: u64) {
    let mut tell_at = Instant::now() + TELL_EVERY;
    while !done(proofs, each, all) && proofs.iter().all(|proof| proof.tally.failures().is_empty()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if Instant::now() >= tell_at {
            tell_at += TELL_EVERY;
            let swaps: Vec<_> = proofs.iter().map(Proof::swaps).collect();
            say(&format!("swaps so far: {swaps:?}"));
        }
    }
}

fn done(proofs: &[Proof], each: Option<u64>, all: u64) -> bool {
    let least = each.unwrap_or(LEAST_SWAPS);
    let there = |proof: &Proof| {
        let swapped = !proof.source.has_many_keys() || proof.swaps() >= least;
        swapped && proof.tally.requests() >= LEAST_REQUESTS
    };
    proofs.iter().all(there)
        && (each.is_some() || proofs.iter().map(Proof::swaps).sum::<u64>() >= all)
}

/// Seen whether the test passes or not.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "rotation: {line}"));
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for a longer run")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
