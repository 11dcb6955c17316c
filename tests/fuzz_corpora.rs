//! Replays without a fuzzer what the fuzz targets keep: inputs that reach every part of the code, and
//! those that once broke it.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "../fuzz/src/lib.rs"]
pub mod checks;

use std::{
    fs, panic,
    path::{Path, PathBuf},
};

#[test]
fn every_kept_input_passes_its_check() {
    for &(target, check) in checks::TARGETS {
        let kept = replay("corpus", target, check);
        assert!(kept >= 20, "{target}: only {kept} inputs are kept");
    }
}

#[test]
fn every_input_that_was_a_finding_passes_its_check() {
    for &(target, check) in checks::TARGETS {
        replay("findings", target, check);
    }
}

#[test]
fn every_folder_of_inputs_and_every_target_has_a_check() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    // Needs the feature `in-memory`; without it, `fuzz/run` alone replays it.
    let left_out = if cfg!(feature = "in-memory") { None } else { Some("whole_connection") };
    let checks = || checks::TARGETS.iter().map(|(target, _)| *target).chain(left_out);
    let known = |name: &str| checks().any(|target| target == name);
    for folder in ["targets", "corpus", "findings"] {
        for entry in files(&fuzz.join(folder)) {
            let name = entry.file_stem().unwrap().to_str().unwrap();
            assert!(known(name), "{} has no check", entry.display());
        }
    }
    assert_eq!(files(&fuzz.join("targets")).len(), checks().count());
}

/// How many inputs there are; every one passes.
fn replay(folder: &str, target: &str, check: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let inputs = files(&folder);
    for input in &inputs {
        let bytes = fs::read(input).unwrap();
        let outcome = panic::catch_unwind(|| check(&bytes));
        assert!(outcome.is_ok(), "{target} fails at {}", input.display());
    }
    inputs.len()
}

/// What is in a folder, in an order that does not change; nothing if there is none.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
