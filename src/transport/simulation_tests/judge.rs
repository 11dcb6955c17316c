//! What must be true of a world when all is over: request by request, then of what is left.

use std::time::Duration;

use super::{
    plan::{ClientFault, ClientPlan, Fault, RequestPlan},
    upstream::SLACK,
    world::{Arrival, Asked, Outcome, Progress, World},
};

/// Writes down whatever is not as it must be.
pub(super) fn requests(world: &World) {
    for (number, client) in world.plan.clients.iter().enumerate() {
        let mut before = Before { lives: true, ended_at: client.starts_at };
        for id in client.requests.clone() {
            let case = Case {
                world,
                client,
                request: world.request(id),
                asked: world.asked.borrow()[id].clone(),
                before,
                arrivals: world
                    .arrivals
                    .borrow()
                    .iter()
                    .filter(|a| a.request == id)
                    .cloned()
                    .collect(),
            };
            if let Err(flaw) = case.judge() {
                world.flaw(format!("request {id} of client {number}: {flaw}"));
            }
            // An answer of the proxy's own comes when it comes, whatever upstream was at before.
            let upstreams = matches!(case.asked.outcome, Outcome::Upstream(_));
            let said = case.arrivals.last().filter(|_| upstreams);
            let said = said.map_or(Duration::MAX, |arrival| arrival.last_at);
            before = Before { lives: case.asked.lives, ended_at: case.asked.ended_at.min(said) };
        }
    }
}

/// What the request before left behind on its connection.
#[derive(Clone, Copy)]
struct Before {
    /// Its answer lets another one follow.
    lives: bool,
    /// When the proxy may have begun to wait for the next one.
    ended_at: Duration,
}

struct Case<'w> {
    world: &'w World,
    client: &'w ClientPlan,
    request: &'w RequestPlan,
    asked: Asked,
    before: Before,
    arrivals: Vec<Arrival>,
}

impl Case<'_> {
    fn judge(&self) -> Result<(), String> {
        self.sent_once()?;
        let outcome = &self.asked.outcome;
        let wrong = || format!("{outcome:?} although {:?}", self.fault());
        match outcome {
            Outcome::Nothing => {
                if !self.may_be_nothing() {
                    return Err(wrong());
                }
                let gone = self.client.fault != ClientFault::None || self.is_cut();
                if !gone && !self.arrivals.is_empty() {
                    return Err("it was sent, and got no answer".to_owned());
                }
            }
            Outcome::Cut => {
                if !self.is_cut() && !matches!(self.client.fault, ClientFault::StopsReading(_)) {
                    return Err(wrong());
                }
            }
            Outcome::Upstream(status) => {
                let due = if self.fault() == Fault::RefusesKey {
                    *status == 403 || self.arrivals.len() > 1
                } else {
                    self.reasons().is_empty()
                        || matches!(self.fault(), Fault::DiesWhenReused { .. })
                };
                if !due || self.is_cut() || self.arrivals.is_empty() {
                    return Err(wrong());
                }
                let whole = self.arrivals.last().is_some_and(|last| last.whole_at.is_some());
                if !whole && self.request.answer.early.is_none() {
                    return Err("upstream answered what it had not got".to_owned());
                }
            }
            Outcome::Own(reason) => {
                if !self.reasons().contains(&reason.as_str()) && !self.is_excused(reason) {
                    return Err(wrong());
                }
            }
        }
        self.in_time()
    }

    /// Upstream got it once, or again where that is safe.
    fn sent_once(&self) -> Result<(), String> {
        let mut stale = 0;
        for pair in self.arrivals.windows(2) {
            let [first, second] = pair else { continue };
            let again = match first.answer {
                Progress::KeyRefused => true,
                Progress::Nothing if first.place > 0 && self.request.is_safe() => {
                    stale += 1;
                    stale <= 1
                }
                Progress::Nothing | Progress::Begun | Progress::Whole => false,
            };
            if !again || second.at < first.last_at {
                return Err(format!("it was sent again after {first:?}"));
            }
        }
        if self.arrivals.len() > 4 { Err("it was sent too often".to_owned()) } else { Ok(()) }
    }

    /// The fault that shows: an answer without a body has none in its body.
    fn fault(&self) -> Fault {
        let answer = &self.request.answer;
        match answer.fault {
            Fault::DiesInBody { .. } | Fault::StallsInBody { .. } | Fault::BadChunk
                if !answer.has_body(self.request.verb) =>
            {
                Fault::None
            }
            fault => fault,
        }
    }

    /// Whether its answer is cut by upstream.
    fn is_cut(&self) -> bool {
        matches!(
            self.fault(),
            Fault::DiesInBody { .. } | Fault::StallsInBody { .. } | Fault::BadChunk
        )
    }

    /// What the proxy says of upstream's fault.
    fn reasons(&self) -> &'static [&'static str] {
        match self.fault() {
            Fault::None
            | Fault::DiesInBody { .. }
            | Fault::StallsInBody { .. }
            | Fault::BadChunk
            | Fault::RefusesKey => &[],
            Fault::DiesWhenReused { .. } => {
                let reused = self.arrivals.iter().any(|arrival| arrival.place > 0);
                if reused && !self.request.is_safe() { &["upstream-closed"] } else { &[] }
            }
            Fault::Dies { .. } | Fault::DiesInHead { .. } => &["upstream-closed"],
            Fault::StallsReading { .. } => &["stalled", "upstream-first-byte-timeout"],
            Fault::StallsBeforeHead => &["upstream-first-byte-timeout"],
            // After a whole interim answer nothing of the head is there.
            Fault::StallsInHead { .. } if self.request.answer.interims > 0 => {
                &["stalled", "upstream-first-byte-timeout"]
            }
            Fault::StallsInHead { .. } => &["stalled"],
            Fault::BadHead(_) | Fault::FloodsInterims => &["upstream-malformed"],
        }
    }

    /// Reasons that lie elsewhere.
    fn is_excused(&self, reason: &str) -> bool {
        let within = |instants: &[Duration]| {
            let from = self.asked.began_at.unwrap_or_default();
            instants.iter().any(|at| (from..=self.asked.ended_at).contains(at))
        };
        match reason {
            "upstream-connect" | "upstream-connect-timeout" => {
                within(&self.world.calls_failed.borrow())
            }
            // Upstream closed a connection that was at rest while the request was on its way.
            "upstream-closed" => {
                !self.request.is_safe() && within(&self.world.rests_ended.borrow())
            }
            "head-timeout" | "body-timeout" => {
                matches!(self.client.fault, ClientFault::StopsSending(_))
            }
            _ => false,
        }
    }

    fn may_be_nothing(&self) -> bool {
        let settings = &self.world.plan.transport;
        let mut idle = settings.client_idle_timeout;
        // Who idles makes room for those who wait.
        if settings.connections < self.world.plan.clients.len() {
            idle = idle.min(Duration::from_secs(1));
        }
        let waited =
            self.asked.began_at.unwrap_or(Duration::MAX).saturating_sub(self.before.ended_at);
        self.client.fault != ClientFault::None
            || !self.before.lives
            // Cut before anything of it was passed on.
            || self.is_cut()
            || self.world.drained_at.get().is_some()
            || waited.saturating_add(SLACK) >= idle
    }

    /// Each wait ended when its deadline came: not earlier, and hardly later.
    fn in_time(&self) -> Result<(), String> {
        if self.client.reads_slowly || matches!(self.client.fault, ClientFault::StopsReading(_)) {
            return Ok(());
        }
        let settings = &self.world.plan.transport;
        let Asked { began_at, sent_at, last_at, ended_at, ref outcome, .. } = self.asked;
        let longest = self.world.longest();
        let last = self.arrivals.last();
        let heard = last.map_or(Duration::MAX, |arrival| arrival.last_at);
        let (earliest, latest, limit) = match outcome {
            Outcome::Own(reason) => match reason.as_str() {
                "upstream-first-byte-timeout" => (
                    sent_at.unwrap_or_default(),
                    last.and_then(|arrival| arrival.whole_at).unwrap_or(Duration::MAX),
                    settings.first_byte_timeout,
                ),
                "stalled" => (
                    last.map_or(Duration::ZERO, |arrival| arrival.at),
                    heard.max(last_at),
                    settings.stall_timeout,
                ),
                "head-timeout" => (
                    began_at.unwrap_or_default(),
                    last_at.max(self.before.ended_at),
                    settings.head_timeout,
                ),
                // With a least rate, patience may be used up before.
                "body-timeout" if settings.body_min_rate > 0 => {
                    (Duration::ZERO, last_at + longest, settings.stall_timeout)
                }
                // What was sent may have waited for upstream before it was read.
                "body-timeout" => (last_at, last_at + longest, settings.stall_timeout),
                _ => return Ok(()),
            },
            Outcome::Cut if matches!(self.fault(), Fault::StallsInBody { .. }) => {
                (Duration::ZERO, heard, settings.stall_timeout)
            }
            Outcome::Nothing | Outcome::Upstream(_) | Outcome::Cut => return Ok(()),
        };
        if ended_at < earliest + limit {
            return Err(format!("{outcome:?} at {ended_at:?}, before {limit:?} from {earliest:?}"));
        }
        if ended_at > latest.saturating_add(limit + SLACK) {
            return Err(format!(
                "{outcome:?} at {ended_at:?}, later than {limit:?} from {latest:?}"
            ));
        }
        Ok(())
    }
}

/// Nothing is left open, held or counted; then the thread ends.
pub(super) async fn the_end(world: &World) {
    let settings = &world.plan.transport;
    let pool = |world: &World| world.house.borrow().worker.pool.len();
    let most = world.longest() + settings.head_timeout + Duration::from_secs(13);
    wait_for(world, most, "client connections", || world.house.borrow().load() == 0).await;
    let idle = i64::try_from(pool(world)).unwrap();
    world.gauges(&[
        ("requests_in_flight", 0),
        ("client_connections", 0),
        ("upstream_connections{state=\"idle\"}", idle),
        ("upstream_connections{state=\"active\"}", 0),
    ]);
    if world.drained_at.get().is_none() {
        let most = settings.pool_idle_timeout + Duration::from_secs(2);
        wait_for(world, most, "pooled connections", || pool(world) == 0).await;
        world.gauges(&[("upstream_connections{state=\"idle\"}", 0)]);
        wait_for(world, most + world.longest(), "upstream connections", || {
            world.upstream_open.get() == 0
        })
        .await;
    }
    buffers(world);
}

async fn wait_for(world: &World, most: Duration, what: &str, is_over: impl Fn() -> bool) {
    let until = world.now() + most;
    while !is_over() {
        if world.now() > until {
            return world.flaw(format!("{what} are still open after {most:?}"));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// All large buffers are back: the budget gives as many again.
fn buffers(world: &World) {
    const LARGE: usize = 512 * 1024;
    let house = world.house.borrow();
    let buffers = &house.worker.buffers;
    buffers.sweep();
    buffers.sweep();
    for taken in 0..world.plan.budget / LARGE {
        if buffers.for_body(Some(u64::MAX)).room() != LARGE {
            return world.flaw(format!("only {taken} large buffers are left of the budget"));
        }
    }
}
