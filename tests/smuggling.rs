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
#[path = "smuggling/liar.rs"]
mod liar;
#[path = "smuggling/lies.rs"]
mod lies;
#[path = "smuggling/listener.rs"]
mod listener;
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

use case::{Case, Outcome};
use cos_auth_proxy::http1::{BodyFault, RequestFault};
use lies::Lie;
use listener::{Way, listen};
use stage::{Over, Run, play};

/// Every so many boundaries a case is cut; each case begins at another one.
const STRIDE: usize = 16;

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

/// All cases together are cut at every boundary many times over; each at a few.
#[tokio::test]
async fn the_same_in_two_pieces() {
    let mut runs = Vec::new();
    for (number, case) in all_cases().iter().enumerate() {
        let ends = case.bytes.len().min(600);
        for cut in (1 + number % STRIDE..=ends).step_by(STRIDE) {
            let over = if cut % 5 == 0 { Over::Unix } else { Over::Tcp };
            runs.push(run(case, vec![cut], over));
        }
    }
    println!("{} runs", runs.len());
    play(runs).await;
}

/// Where parsers that look for line ends are most easily led astray.
#[tokio::test]
async fn the_same_cut_between_cr_and_lf() {
    let cut = |case: &Case| {
        let ends = case.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\r');
        ends.map(|(at, _)| at + 1).take(20).collect()
    };
    play(all_cases().iter().map(|case| run(case, cut(case), Over::Tcp)).collect()).await;
}

#[tokio::test]
async fn the_same_byte_by_byte() {
    let short = all_cases().into_iter().filter(|case| case.bytes.len() < 600);
    let cut = |case: &Case| (1..case.bytes.len()).collect();
    play(short.map(|case| run(&case, cut(&case), Over::Tcp)).collect()).await;
}

#[test]
fn every_cause_of_a_refusal_has_its_cases() {
    let cases = all_cases();
    for cause in verdicts::causes() {
        let has = |case: &&Case| match &case.outcome {
            Outcome::Refused(why) | Outcome::Breaks(why) => *why == cause,
            Outcome::Passes(_) | Outcome::Swallows => false,
        };
        assert!(cases.iter().any(|case| has(&case)), "no case is refused for {cause}");
    }
    // A scanner lets no half head through, names every bad byte of a value a control byte, and
    // who ends a body too early hears no answer.
    let unheard = ["incomplete-head", "bad-field-value", "truncated-body"];
    let faults = RequestFault::all().map(RequestFault::name);
    for fault in faults.chain(BodyFault::all().map(BodyFault::name)) {
        let known = verdicts::causes().any(|cause| cause == fault);
        assert!(known != unheard.contains(&fault), "{fault}");
    }
}

fn all_lies() -> Vec<Lie> {
    lies::all().into_iter().flat_map(|(_, lies)| lies).collect()
}

#[tokio::test]
async fn no_lie_reaches_a_client_as_a_good_answer_and_none_poisons_the_pool() {
    let mut total = 0;
    for (family, lies) in lies::all() {
        println!("{:4} {family}", lies.len());
        total += lies.len();
    }
    println!("{total:4} in all");
    assert!(total >= 100);
    listen(all_lies(), Way { version: "1.1", pieces: usize::MAX }).await;
}

#[tokio::test]
async fn nor_to_a_client_that_knows_no_chunks() {
    listen(all_lies(), Way { version: "1.0", pieces: usize::MAX }).await;
}

#[tokio::test]
async fn nor_told_byte_by_byte() {
    let short = all_lies().into_iter().filter(Lie::is_short).collect();
    listen(short, Way { version: "1.1", pieces: 1 }).await;
}

#[tokio::test]
async fn nor_told_in_pieces_of_seven_to_a_client_that_knows_no_chunks() {
    let short = all_lies().into_iter().filter(Lie::is_short).collect();
    listen(short, Way { version: "1.0", pieces: 7 }).await;
}
