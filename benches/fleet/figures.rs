//! What a fleet of 10,000 sidecars does to a rate-limited STS, on simulated time.
//!
//! `fleet` prints the tables of `docs/FLEET.md`, `fleet --write` puts them there, `fleet --check`
//! fails if others stand there.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a tool of the benchmark"
)]

mod report;
mod simulation;
mod sts;
mod tables;

use std::{fs, path::Path, process::ExitCode};

const BEGIN: &str = "<!-- figures: begin -->\n\n";
const END: &str = "<!-- figures: end -->";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FLEET.md");
    let figures = tables::all();
    match argument.as_deref() {
        None => print!("{figures}"),
        Some("--write") => {
            let text = fs::read_to_string(&page).unwrap();
            let (before, after) = around(&text);
            fs::write(&page, format!("{before}{BEGIN}{figures}{END}{after}")).unwrap();
        }
        Some("--check") => {
            let text = fs::read_to_string(&page).unwrap();
            let (before, after) = around(&text);
            if text != format!("{before}{BEGIN}{figures}{END}{after}") {
                eprintln!("docs/FLEET.md has other figures; these are today's:\n\n{figures}");
                return ExitCode::FAILURE;
            }
            println!("the figures of docs/FLEET.md are today's");
        }
        Some(other) => {
            eprintln!("unknown argument {other}; there are --check and --write");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

/// The page before and after its figures.
fn around(page: &str) -> (&str, &str) {
    let (before, rest) = page.split_once(BEGIN).expect("a page with the mark of the figures");
    let (_, after) = rest.split_once(END).expect("a page with the end of the figures");
    (before, after)
}
