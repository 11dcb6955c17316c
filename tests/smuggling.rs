//! Requests that two servers would understand in two ways, and answers that lie: over real sockets,
//! through the whole transport, judged by readers that share no code with it.

#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a failed step is a failed test; tables of ASCII; a test tells its counts"
)]

#[path = "smuggling/case.rs"]
mod case;
#[path = "wire/house.rs"]
#[allow(dead_code, reason = "shared: each test binary uses a part")]
mod house;
#[path = "smuggling/judge.rs"]
mod judge;
#[path = "smuggling/reader.rs"]
mod reader;
#[path = "smuggling/recorder.rs"]
mod recorder;
#[path = "smuggling/requests.rs"]
mod requests;
#[path = "smuggling/stage.rs"]
mod stage;
#[path = "smuggling/verdicts.rs"]
mod verdicts;

use case::Case;
use stage::{Over, Run, play};

fn all_cases() -> Vec<Case> {
    requests::all().into_iter().flat_map(|(_, cases)| cases).collect()
}

fn run(case: &Case, cuts: Vec<usize>, over: Over) -> Run {
    Run { case: case.clone(), cuts, over }
}

#[tokio::test]
async fn every_request_is_refused_or_goes_up_in_its_plainest_form() {
    let mut total = 0;
    for (family, cases) in requests::all() {
        println!("{:4} {family}", cases.len());
        total += cases.len();
    }
    println!("{total:4} in all");
    assert!(total >= 400);
    play(all_cases().iter().map(|case| run(case, Vec::new(), Over::Tcp)).collect()).await;
}

#[tokio::test]
async fn the_same_over_a_unix_socket() {
    let sample = all_cases().into_iter().step_by(4);
    play(sample.map(|case| run(&case, Vec::new(), Over::Unix)).collect()).await;
}
