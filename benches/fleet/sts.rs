//! The STS of a simulation: so many keys per second, and an outage.

use std::{collections::VecDeque, ops::Range, time::Duration};

use cos_auth_proxy::credential::RetryClass;

/// A point of simulated time, in milliseconds since the simulation began.
pub type Millis = u64;

/// What becomes of one call.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// When the caller hears of it.
    pub after: Millis,
    /// A key that lives so long from then on, or why there is none.
    pub outcome: Result<Duration, RetryClass>,
}

/// Whoever gives keys to simulated sidecars.
pub trait Sts {
    /// `sidecar` asks for a key at `at`. Calls come in the order of time.
    fn call(&mut self, sidecar: usize, at: Millis) -> Answer;
}

/// Which calls a rate limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Those that got a key.
    Accepted,
    /// All: whoever asks too often is never served.
    All,
}

/// An STS with a rate limit for everybody together.
#[derive(Debug, Clone)]
pub struct LimitedSts {
    /// How long its keys live.
    pub life: Duration,
    /// Calls within any second; `None` for no limit.
    pub per_second: Option<usize>,
    /// What the limit counts.
    pub counts: Counts,
    /// When no connection is accepted.
    pub outage: Range<Millis>,
    recent: VecDeque<Millis>,
}

impl LimitedSts {
    /// A call takes this long.
    const ANSWERS_AFTER: Millis = 50;
    /// A refused connection takes this long.
    const REFUSES_AFTER: Millis = 1;

    /// Without an outage.
    pub fn new(life: Duration, per_second: Option<usize>) -> Self {
        let counts = Counts::Accepted;
        Self { life, per_second, counts, outage: 0..0, recent: VecDeque::new() }
    }

    fn admits(&mut self, at: Millis) -> bool {
        let Some(limit) = self.per_second else { return true };
        while self.recent.front().is_some_and(|earlier| earlier + 1000 <= at) {
            self.recent.pop_front();
        }
        let admitted = self.recent.len() < limit;
        if admitted || self.counts == Counts::All {
            self.recent.push_back(at);
        }
        admitted
    }
}

impl Sts for LimitedSts {
    fn call(&mut self, _sidecar: usize, at: Millis) -> Answer {
        if self.outage.contains(&at) {
            return Answer { after: Self::REFUSES_AFTER, outcome: Err(RetryClass::Transient) };
        }
        let outcome = if self.admits(at) { Ok(self.life) } else { Err(RetryClass::Throttled) };
        Answer { after: Self::ANSWERS_AFTER, outcome }
    }
}
