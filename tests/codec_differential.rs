//! The codec beside hyper: what the codec accepts, hyper accepts too and understands the same.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops where it fails and tells its counts"
)]

#[path = "codec/beside_hyper.rs"]
mod beside_hyper;
#[path = "codec/messages.rs"]
#[allow(dead_code, reason = "shared: each test binary uses a part")]
mod messages;
#[path = "codec/reading.rs"]
#[allow(dead_code, reason = "shared: each test binary uses a part")]
mod reading;

use std::cell::Cell;

use proptest::{prelude::*, test_runner::TestRunner};

use beside_hyper::{Met, compare_answer, compare_requests};
use reading::Kind;

/// Generated streams for each direction.
const STREAMS: u32 = 4000;

/// What all streams of a test met together.
#[derive(Default)]
struct Total {
    compared: Cell<u32>,
    with_body: Cell<u32>,
    refused: Cell<u32>,
}

impl Total {
    fn add(&self, met: &Met) {
        self.compared.set(self.compared.get() + met.compared);
        self.with_body.set(self.with_body.get() + met.with_body);
        self.refused.set(self.refused.get() + u32::from(met.refused));
    }

    fn tell(&self, what: &str) -> (u32, u32, u32) {
        let (compared, with_body, refused) =
            (self.compared.get(), self.with_body.get(), self.refused.get());
        println!("{compared} {what} compared, {with_body} with a body; {refused} streams refused");
        (compared, with_body, refused)
    }
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(STREAMS)
    })
}

#[test]
fn hyper_understands_every_accepted_request_alike() {
    let total = Total::default();
    let outcome = runner().run(&messages::damaged_requests(), |bytes| {
        total.add(&compare_requests(&bytes));
        Ok(())
    });
    outcome.unwrap();
    let (compared, with_body, refused) = total.tell("requests");
    assert!(compared > STREAMS / 2 && with_body > STREAMS / 4 && refused > STREAMS / 4);
}

#[test]
fn hyper_understands_every_accepted_answer_alike() {
    let total = Total::default();
    let outcome = runner().run(&messages::damaged_answer(), |(kind, bytes)| {
        let Kind::Answer(to) = kind else { unreachable!("only answers are generated") };
        total.add(&compare_answer(to, &bytes));
        Ok(())
    });
    outcome.unwrap();
    let (compared, with_body, refused) = total.tell("answers");
    assert!(compared > STREAMS / 3 && with_body > STREAMS / 8 && refused > STREAMS / 4);
}
