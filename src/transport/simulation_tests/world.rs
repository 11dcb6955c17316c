//! What client and upstream share: the plan, the time, and what was seen so far.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    io,
    time::Duration,
};

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::plan::{Plan, RequestPlan};
use crate::transport::in_memory::{House, Line};

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) house: RefCell<House>,
    pub(super) began_at: Instant,
    pub(super) arrivals: RefCell<Vec<Arrival>>,
    pub(super) asked: RefCell<Vec<Asked>>,
    /// When upstream closed a connection that was at rest.
    pub(super) rests_ended: RefCell<Vec<Duration>>,
    /// When a call upstream began that is not taken.
    pub(super) calls_failed: RefCell<Vec<Duration>>,
    pub(super) drained_at: Cell<Option<Duration>>,
    pub(super) upstream_open: Cell<usize>,
    trace: RefCell<Vec<Event>>,
    flaws: RefCell<Vec<String>>,
}

/// A request as upstream got it.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) request: usize,
    /// How many requests came before it on its connection.
    pub(super) place: usize,
    pub(super) at: Duration,
    /// When all of it was there.
    pub(super) whole_at: Option<Duration>,
    /// How far the answer came.
    pub(super) answer: Progress,
    /// When the last byte of the answer was sent, or upstream ended the connection.
    pub(super) last_at: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Nothing,
    Begun,
    Whole,
    /// It said that the key is refused, and was whole.
    KeyRefused,
}

/// A request as its client sees it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) began_at: Option<Duration>,
    pub(super) sent_at: Option<Duration>,
    /// When the last byte was sent so far.
    pub(super) last_at: Duration,
    pub(super) ended_at: Duration,
    pub(super) outcome: Outcome,
    /// The answer lets another one follow.
    pub(super) lives: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not one byte of an answer.
    Nothing,
    /// An answer of upstream, whole; the status.
    Upstream(u16),
    /// An answer of the proxy, whole; its reason.
    Own(String),
    /// Visibly cut short.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Event(u64, &'static str, usize, usize);

impl World {
    pub(super) fn new(plan: Plan, house: House) -> Self {
        let asked = Asked {
            began_at: None,
            sent_at: None,
            last_at: Duration::ZERO,
            ended_at: Duration::ZERO,
            outcome: Outcome::Nothing,
            lives: false,
        };
        Self {
            asked: RefCell::new(vec![asked; plan.requests.len()]),
            plan,
            house: RefCell::new(house),
            began_at: Instant::now(),
            arrivals: RefCell::default(),
            rests_ended: RefCell::default(),
            calls_failed: RefCell::default(),
            drained_at: Cell::new(None),
            upstream_open: Cell::new(0),
            trace: RefCell::default(),
            flaws: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.began_at.elapsed()
    }

    pub(super) fn request(&self, id: usize) -> &RequestPlan {
        &self.plan.requests[id]
    }

    /// No wait of the proxy for upstream is longer, even if the client then takes its time.
    pub(super) fn longest(&self) -> Duration {
        let settings = &self.plan.transport;
        let upstream = settings.first_byte_timeout.max(settings.stall_timeout);
        upstream + settings.stall_timeout + settings.key_patience
    }

    /// A generator for one actor, so that none depends on the order in which actors run.
    pub(super) fn rng(&self, actor: &str, number: usize) -> Rng {
        let mut seed = self.plan.seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for byte in actor.bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        Rng::with_seed(seed)
    }

    /// Remembers that something happened, and looks at what must hold at any time.
    pub(super) fn note(&self, what: &'static str, who: usize, how_much: usize) {
        let millis = u64::try_from(self.now().as_millis()).unwrap();
        self.trace.borrow_mut().push(Event(millis, what, who, how_much));
        let most = self.plan.transport.pool_idle_per_thread;
        let pooled = self.house.borrow().worker.pool.len();
        if pooled > most {
            self.flaw(format!("{pooled} connections in a pool for {most}"));
        }
    }

    /// Something happened that must not.
    pub(super) fn flaw(&self, flaw: impl Into<String>) {
        let (flaw, now) = (flaw.into(), self.now().as_millis());
        self.flaws.borrow_mut().push(format!("at {now} ms: {flaw}"));
    }

    /// The series that must have these values.
    pub(super) fn gauges(&self, expected: &[(&str, i64)]) {
        for (name, value) in expected {
            let is = self.house.borrow().series(name);
            if is != *value {
                self.flaw(format!("{name} is {is}, not {value}"));
            }
        }
    }

    /// A number that stands for all that happened, in order.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        for Event(millis, what, who, how_much) in self.trace.borrow().iter() {
            what.bytes().for_each(&mut mix);
            millis.to_le_bytes().into_iter().for_each(&mut mix);
            who.to_le_bytes().into_iter().for_each(&mut mix);
            how_much.to_le_bytes().into_iter().for_each(&mut mix);
        }
        hash
    }

    /// What went wrong, with all that led to it; `None` if nothing did.
    pub(super) fn report(&self) -> Option<String> {
        let flaws = self.flaws.borrow();
        if flaws.is_empty() {
            return None;
        }
        let mut report = String::new();
        if std::env::var_os("COS_AUTH_PROXY_SEED").is_some() {
            writeln!(report, "{:#?}", self.plan).unwrap();
            for Event(millis, what, who, how_much) in self.trace.borrow().iter() {
                writeln!(report, "{millis:>7} ms  {what} {who} {how_much}").unwrap();
            }
            for (id, asked) in self.asked.borrow().iter().enumerate() {
                writeln!(report, "request {id}: {asked:?}").unwrap();
            }
            for arrival in self.arrivals.borrow().iter() {
                writeln!(report, "{arrival:?}").unwrap();
            }
        }
        for flaw in flaws.iter() {
            writeln!(report, "{flaw}").unwrap();
        }
        Some(report)
    }
}

/// Sends `bytes` in a few pieces with pauses: short ones, and one long one of at most `longest` if
/// `slow`.
pub(super) async fn send(
    line: &Line,
    mut bytes: &[u8],
    rng: &mut Rng,
    longest: Option<Duration>,
) -> io::Result<()> {
    let mut long = longest;
    while !bytes.is_empty() {
        let n = if rng.bool() { bytes.len() } else { rng.usize(1..=bytes.len()) };
        let (piece, rest) = bytes.split_at(n);
        line.write(piece).await?;
        bytes = rest;
        if bytes.is_empty() {
            return Ok(());
        }
        match rng.u32(..8) {
            0 if long.is_some() => sleep(long.take().unwrap()).await,
            1 | 2 => sleep(Duration::from_millis(rng.u64(1..20))).await,
            _ => {}
        }
    }
    Ok(())
}
