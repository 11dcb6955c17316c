//! The simulated upstream: takes calls, reads requests, answers them as planned, and looks at every
//! byte it gets.

use std::{rc::Rc, time::Duration};

use fastrand::Rng;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    plan::{After, AnswerPlan, CallPlan, Fault, Framed, content},
    world::{Arrival, Progress, World, send},
};
use crate::transport::in_memory::{BodyReader, Call, Flaw, Head, Line, Whims, check_sent, pair};

/// Takes calls until nobody is left to call, then waits for the connections to end.
pub(super) async fn run(world: Rc<World>, mut calls: mpsc::UnboundedReceiver<Call>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    while let Some(call) = calls.recv().await {
        connections.spawn_local(take(Rc::clone(&world), number, call));
        number += 1;
    }
    while let Some(ended) = connections.join_next().await {
        ended.unwrap();
    }
}

async fn take(world: Rc<World>, number: usize, call: Call) {
    let usual = CallPlan::Takes { room: 64 * 1024, after: Duration::ZERO };
    let plan = *world.plan.calls.get(number).unwrap_or(&usual);
    world.note("called", number, 0);
    let (room, after) = match plan {
        CallPlan::Takes { room, after } => (room, after),
        CallPlan::Refuses { after } => {
            world.calls_failed.borrow_mut().push(world.now());
            return sleep(after).await;
        }
        CallPlan::Hangs => {
            world.calls_failed.borrow_mut().push(world.now());
            let mut call = call;
            let began_at = world.now();
            call.line.closed().await;
            let waited = world.now() - began_at;
            if waited > world.plan.transport.connect_timeout + SLACK {
                world.flaw(format!("call {number} was waited for {waited:?}"));
            }
            return;
        }
    };
    sleep(after).await;
    let whims = Whims::seeded(world.rng("whims of upstream", number).u64(..));
    let (theirs, ours) = pair(room, whims);
    if call.line.send(theirs).is_err() {
        return world.note("left before the call was taken", number, 0);
    }
    world.upstream_open.set(world.upstream_open.get() + 1);
    let rng = world.rng("upstream", number);
    let mut connection = Connection {
        world,
        number,
        rng,
        line: Line::over(ours),
        room,
        inbox: Vec::new(),
        place: 0,
    };
    let reset = connection.serve().await;
    let Connection { world, line, .. } = connection;
    world.note("upstream ends", number, usize::from(reset));
    world.upstream_open.set(world.upstream_open.get() - 1);
    if reset {
        line.reset();
    }
}

/// Deadlines are kept within this: timers count milliseconds.
pub(super) const SLACK: Duration = Duration::from_millis(5);

struct Connection {
    world: Rc<World>,
    number: usize,
    rng: Rng,
    line: Line,
    /// Bytes that fit on the way here.
    room: usize,
    /// What came and was not used.
    inbox: Vec<u8>,
    /// Requests so far.
    place: usize,
}

/// A connection whose end is due.
struct Over {
    reset: bool,
}

const CLOSED: Over = Over { reset: false };

impl Connection {
    /// Serves request after request; whether the connection is to be reset.
    async fn serve(&mut self) -> bool {
        loop {
            let head = match self.head().await {
                Ok(Some(head)) => head,
                Ok(None) => return false,
                Err(flaw) => {
                    self.world.flaw(format!("upstream connection {}: {flaw}", self.number));
                    return false;
                }
            };
            match self.request(&head).await {
                Ok(Ok(())) => self.place += 1,
                Ok(Err(Over { reset })) => return reset,
                Err(flaw) => {
                    self.world.flaw(format!("upstream connection {}: {flaw}", self.number));
                    return false;
                }
            }
        }
    }

    /// The next head; `None` at the end of the connection. A head that is cut is none.
    async fn head(&mut self) -> Result<Option<Head>, Flaw> {
        loop {
            if let Some(head) = Head::read(&self.inbox)? {
                return Ok(Some(head));
            }
            if !self.more().await {
                return Ok(None);
            }
        }
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        let most = if self.rng.u32(..4) == 0 { self.rng.usize(1..=4096) } else { piece.len() };
        match self.line.read(&mut piece[..most]).await {
            Ok(0) | Err(_) => {
                self.world.note("upstream sees the end", self.number, 0);
                false
            }
            Ok(n) => {
                self.world.note("upstream got", self.number, n);
                self.inbox.extend_from_slice(&piece[..n]);
                true
            }
        }
    }

    async fn request(&mut self, head: &Head) -> Result<Result<(), Over>, Flaw> {
        let world = Rc::clone(&self.world);
        let ends = check_sent(head)?;
        let (_, target, _) = head.request_line()?;
        let target = String::from_utf8(target).unwrap();
        let named = target.strip_prefix("/request-").and_then(|rest| rest.split('?').next());
        let id: usize = named.ok_or(format!("{target} was never asked for"))?.parse().unwrap();
        self.inbox.drain(..head.len);
        world.note("request", self.number, id);
        let index = world.arrivals.borrow().len();
        world.arrivals.borrow_mut().push(Arrival {
            request: id,
            place: self.place,
            at: world.now(),
            whole_at: None,
            answer: Progress::Nothing,
            last_at: world.now(),
        });
        let mut body = BodyReader::new(ends);
        let plan = &world.request(id).answer;
        let again = world.arrivals.borrow().iter().filter(|a| a.request == id).count() > 1;
        if let Fault::DiesWhenReused { reset, after } = plan.fault
            && self.place > 0
            && !again
        {
            self.read_body(id, index, &mut body, Some(after)).await?;
            self.last(index);
            return Ok(Err(Over { reset }));
        }
        let enough = match (plan.fault, plan.early) {
            (Fault::StallsReading { after }, _) | (_, Some(after)) => Some(after),
            _ => None,
        };
        if !self.read_body(id, index, &mut body, enough).await? {
            return Ok(Err(CLOSED));
        }
        let mut answering = Answering { connection: self, id, index, again };
        if let Err(over) = answering.answer().await? {
            return Ok(Err(over));
        }
        let refused = world.arrivals.borrow()[index].answer == Progress::KeyRefused;
        let until_close =
            !refused && plan.framed == Framed::UntilClose && plan.has_body(world.request(id).verb);
        if until_close {
            self.line.shut_down();
        } else if !body.whole && plan.closes {
            return Ok(Err(CLOSED));
        } else if body.data.len() + self.inbox.len() + self.room < world.request(id).body
            && plan.after == After::StopsReading
        {
            // What is left is more than fits on the way: it cannot all be sent.
            self.wait_without_reading(index).await;
            return Ok(Err(CLOSED));
        }
        if !self.read_body(id, index, &mut body, None).await? {
            return Ok(Err(CLOSED));
        }
        if refused {
            return Ok(Ok(()));
        }
        self.rest(plan.after, plan.closes || until_close).await
    }

    /// Reads until the body is whole or `enough` of it is there; `false` if the connection ends
    /// first.
    async fn read_body(
        &mut self,
        id: usize,
        index: usize,
        body: &mut BodyReader,
        enough: Option<usize>,
    ) -> Result<bool, Flaw> {
        let world = Rc::clone(&self.world);
        let expected = content(id, false, world.request(id).body);
        loop {
            let used = body.take(&self.inbox)?;
            self.inbox.drain(..used);
            if expected.get(..body.data.len()) != Some(&body.data[..]) {
                return Err(format!("the body of request {id} is not what its client sent"));
            }
            if body.whole {
                if body.data != expected {
                    return Err(format!("a part of the body of request {id} stands for all of it"));
                }
                world.arrivals.borrow_mut()[index].whole_at.get_or_insert(world.now());
                return Ok(true);
            }
            if enough.is_some_and(|enough| body.data.len() >= enough) {
                return Ok(true);
            }
            if !self.more().await {
                return Ok(false);
            }
        }
    }

    /// What happens to a connection whose exchange is over.
    async fn rest(&mut self, after: After, closes: bool) -> Result<Result<(), Over>, Flaw> {
        let world = Rc::clone(&self.world);
        if closes {
            return Ok(Err(CLOSED));
        }
        match after {
            After::Keeps | After::StopsReading => Ok(Ok(())),
            After::SpoilsAtOnce => self.nothing_more("garbage was there").await,
            After::ClosesAtOnce => {
                world.rests_ended.borrow_mut().push(world.now());
                Ok(Err(CLOSED))
            }
            After::ClosesLater(wait) | After::SpoilsLater(wait) => {
                // Somebody may be faster.
                tokio::select! {
                    biased;
                    more = self.more() => return Ok(if more { Ok(()) } else { Err(CLOSED) }),
                    () = sleep(wait) => {}
                }
                world.rests_ended.borrow_mut().push(world.now());
                if matches!(after, After::ClosesLater(_)) {
                    return Ok(Err(CLOSED));
                }
                self.line.push(GARBAGE);
                self.nothing_more("garbage came").await
            }
        }
    }

    /// The proxy must not send another request on this connection.
    async fn nothing_more(&mut self, why: &str) -> Result<Result<(), Over>, Flaw> {
        self.world.note("upstream is in doubt", self.number, 0);
        let began_at = self.world.now();
        while self.inbox.is_empty() && self.more().await {}
        if !self.inbox.is_empty() {
            return Err(format!("a request on a connection in doubt: {why}"));
        }
        let waited = self.world.now() - began_at;
        let most = self.world.longest() + Duration::from_secs(2);
        if waited > most {
            return Err(format!("a connection in doubt was kept for {waited:?}: {why}"));
        }
        Ok(Err(CLOSED))
    }

    /// Reads nothing until the proxy must have given up.
    async fn wait_without_reading(&mut self, index: usize) {
        self.last(index);
        let id = self.world.arrivals.borrow()[index].request;
        let began_at = self.world.now();
        // Until then its client may still be sending.
        let sent_at = || self.world.asked.borrow()[id].last_at.max(began_at);
        while self.world.now() < sent_at() + self.world.longest() {
            sleep(Duration::from_secs(1)).await;
        }
        self.wait_for_the_end(Duration::from_secs(1)).await;
    }

    /// Says nothing; the proxy must close within `most`.
    async fn wait_for_the_end(&mut self, most: Duration) {
        let began_at = self.world.now();
        while self.more().await {}
        let waited = self.world.now() - began_at;
        if waited > most {
            self.world.flaw(format!("upstream {} was kept open for {waited:?}", self.number));
        }
    }

    fn last(&self, index: usize) {
        self.world.arrivals.borrow_mut()[index].last_at = self.world.now();
    }
}

/// A whole answer that must reach nobody.
const GARBAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nx-sim: 999999\r\n\r\npoison";

/// One answer on its way.
struct Answering<'c> {
    connection: &'c mut Connection,
    id: usize,
    index: usize,
    again: bool,
}

impl Answering<'_> {
    async fn answer(&mut self) -> Result<Result<(), Over>, Flaw> {
        let world = Rc::clone(&self.connection.world);
        let request = world.request(self.id);
        let plan = &request.answer;
        let settings = &world.plan.transport;
        if plan.slow {
            let shorter = settings.first_byte_timeout.min(settings.stall_timeout);
            let most = shorter.mul_f64(0.4).as_millis() as u64;
            sleep(Duration::from_millis(self.connection.rng.u64(..most))).await;
        }
        match plan.fault {
            Fault::Dies { reset } => return Ok(Err(self.dies(reset))),
            Fault::StallsReading { .. } | Fault::StallsBeforeHead => return self.stalls().await,
            Fault::BadHead(head) => {
                self.say(head.as_bytes(), false).await;
                return self.stalls().await;
            }
            Fault::RefusesKey if !self.again || world.plan.new_key_after.is_none() => {
                return self.refuse_the_key().await;
            }
            _ => {}
        }
        let interims = if plan.fault == Fault::FloodsInterims { 1000 } else { plan.interims };
        let mut head = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(interims);
        head.extend_from_slice(self.head().as_bytes());
        match plan.fault {
            Fault::DiesInHead { reset, after } => {
                self.say(&head[..after.min(head.len() - 1)], false).await;
                return Ok(Err(self.dies(reset)));
            }
            Fault::StallsInHead { after } => {
                self.say(&head[..after.min(head.len() - 1)], false).await;
                return self.stalls().await;
            }
            _ => {}
        }
        let last = !plan.has_body(request.verb) || plan.body == 0 && plan.framed != Framed::Chunked;
        if !self.say(&head, last && spoils(plan)).await {
            return Ok(Err(CLOSED));
        }
        self.body().await
    }

    fn head(&self) -> String {
        let request = self.connection.world.request(self.id);
        let plan = &request.answer;
        let mut head = format!("HTTP/1.1 {} Said\r\nx-sim: {}\r\n", plan.status, self.id);
        match plan.framed {
            Framed::Length => head += &format!("Content-Length: {}\r\n", plan.body),
            Framed::Chunked => head += "Transfer-Encoding: chunked\r\n",
            Framed::UntilClose | Framed::Bodiless(_) => {}
        }
        if plan.closes {
            head += "Connection: close\r\n";
        }
        head + "\r\n"
    }

    async fn body(&mut self) -> Result<Result<(), Over>, Flaw> {
        let world = Rc::clone(&self.connection.world);
        let request = world.request(self.id);
        let plan = &request.answer;
        let nothing = plan.body == 0 && plan.framed != Framed::Chunked;
        if plan.has_body(request.verb) && !nothing {
            let whole = content(self.id, true, plan.body);
            let cut = match plan.fault {
                Fault::DiesInBody { after, .. } | Fault::StallsInBody { after } => Some(after),
                Fault::BadChunk => Some(plan.body / 2),
                _ => None,
            };
            let sent = &whole[..cut.unwrap_or(whole.len())];
            let mut framed = match plan.framed {
                Framed::Chunked => chunked(sent, cut, &mut self.connection.rng),
                Framed::Length | Framed::UntilClose | Framed::Bodiless(_) => sent.to_vec(),
            };
            if plan.fault == Fault::BadChunk {
                framed.extend_from_slice(b"xyz\r\n");
            }
            if !self.say(&framed, cut.is_none() && spoils(plan)).await {
                return Ok(Err(CLOSED));
            }
            match plan.fault {
                Fault::DiesInBody { reset, .. } => return Ok(Err(self.dies(reset))),
                Fault::StallsInBody { .. } | Fault::BadChunk => return self.stalls().await,
                _ => {}
            }
        }
        self.progress(Progress::Whole);
        Ok(Ok(()))
    }

    async fn refuse_the_key(&mut self) -> Result<Result<(), Over>, Flaw> {
        let world = Rc::clone(&self.connection.world);
        let to_head = world.request(self.id).verb == super::plan::Verb::Head;
        let body = super::KEY_REFUSED;
        let head = format!(
            "HTTP/1.1 403 Forbidden\r\nx-sim: {}\r\nContent-Length: {}\r\n\r\n",
            self.id,
            body.len()
        );
        let body = if to_head { "" } else { body };
        if !self.say(format!("{head}{body}").as_bytes(), false).await {
            return Ok(Err(CLOSED));
        }
        self.progress(Progress::KeyRefused);
        if let Some(after) = world.plan.new_key_after {
            drop(tokio::task::spawn_local(async move {
                sleep(after).await;
                world.house.borrow_mut().renew_key();
            }));
        }
        Ok(Ok(()))
    }

    /// Sends bytes of the answer; `false` if the proxy has gone. Spoilt, the last one arrives
    /// together with bytes that nobody asked for.
    async fn say(&mut self, bytes: &[u8], spoilt: bool) -> bool {
        let world = Rc::clone(&self.connection.world);
        let settings = &world.plan.transport;
        let shorter = settings.first_byte_timeout.min(settings.stall_timeout);
        let slow = world.request(self.id).answer.slow;
        let longest = slow.then(|| shorter.mul_f64(0.4));
        let connection = &mut *self.connection;
        let (bytes, last) = bytes.split_at(bytes.len() - usize::from(spoilt));
        let said = send(&connection.line, bytes, &mut connection.rng, longest).await.is_ok();
        if spoilt {
            connection.line.push(&[last, GARBAGE].concat());
        }
        world.note("answered", self.id, bytes.len());
        self.progress(Progress::Begun);
        said
    }

    fn progress(&self, progress: Progress) {
        self.connection.world.arrivals.borrow_mut()[self.index].answer = progress;
        self.connection.last(self.index);
    }

    fn dies(&self, reset: bool) -> Over {
        self.connection.last(self.index);
        Over { reset }
    }

    /// Sends nothing more; the proxy must give up in time.
    async fn stalls(&mut self) -> Result<Result<(), Over>, Flaw> {
        self.connection.last(self.index);
        let most = self.connection.world.longest();
        if matches!(
            self.connection.world.request(self.id).answer.fault,
            Fault::StallsReading { .. }
        ) {
            self.connection.wait_without_reading(self.index).await;
        } else {
            self.connection.wait_for_the_end(most).await;
        }
        Ok(Err(CLOSED))
    }
}

fn spoils(plan: &AnswerPlan) -> bool {
    plan.after == After::SpoilsAtOnce && !plan.closes
}

/// In chunks of drawn sizes; without the last one if it is cut.
fn chunked(mut data: &[u8], cut: Option<usize>, rng: &mut Rng) -> Vec<u8> {
    let mut framed = Vec::new();
    while !data.is_empty() {
        let (chunk, rest) = data.split_at(rng.usize(1..=data.len()));
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        data = rest;
    }
    if cut.is_none() {
        framed.extend_from_slice(b"0\r\n\r\n");
    }
    framed
}
