//! A simulated client: sends its requests as planned, and judges every byte of the answers.

use std::{cell::Cell, pin::pin, rc::Rc, time::Duration};

use fastrand::Rng;
use tokio::{sync::Notify, time::sleep, time::timeout};

use super::{
    plan::{ClientFault, ClientPlan, RequestPlan, Verb, content},
    upstream::SLACK,
    world::{Outcome, World, send},
};
use crate::transport::in_memory::{BodyReader, Ends, Flaw, Head, Line, Whims};

pub(super) async fn run(world: Rc<World>, number: usize) {
    let plan = &world.plan.clients[number];
    sleep(plan.starts_at).await;
    let whims = Whims::seeded(world.rng("whims of client", number).u64(..));
    let door = world.house.borrow().door();
    let connected = match door {
        // The door may close while the client waits.
        Some(door) => timeout(world.longest() * 4, door.connect(plan.room, whims)).await.ok(),
        None => None,
    };
    let Some(socket) = connected.flatten() else {
        return world.note("nobody answers", number, 0);
    };
    world.note("connected", number, 0);
    let line = Line::over(socket);
    let talk = Talk {
        world: &world,
        number,
        plan,
        line: &line,
        answered: Cell::new(plan.requests.start),
        continued: Cell::new(false),
        over: Cell::new(false),
        progress: Notify::new(),
    };
    let end = talk.run().await;
    world.note("client ends", number, end as usize);
    if end == End::Resets {
        line.reset();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Goes,
    Resets,
}

/// One connection, and what its two halves tell each other.
struct Talk<'t> {
    world: &'t Rc<World>,
    number: usize,
    plan: &'t ClientPlan,
    line: &'t Line,
    /// All requests before this one have their answer.
    answered: Cell<usize>,
    /// The proxy asked for the body of the request that comes next.
    continued: Cell<bool>,
    /// No further answer comes.
    over: Cell<bool>,
    progress: Notify,
}

impl Talk<'_> {
    async fn run(&self) -> End {
        let mut sending = pin!(self.send_all());
        let mut receiving = pin!(self.receive_all());
        tokio::select! {
            biased;
            end = &mut sending => match end {
                Some(end) => end,
                None => receiving.await,
            },
            end = &mut receiving => end,
        }
    }

    /// Sends all requests; an end if it is this half that ends the connection.
    async fn send_all(&self) -> Option<End> {
        let mut rng = self.world.rng("client sends", self.number);
        let mut sent = 0;
        for id in self.plan.requests.clone() {
            let request = self.world.request(id);
            self.until(|| self.plan.pipelines || self.answered.get() >= id).await;
            sleep(request.gap).await;
            if self.over.get() {
                return None;
            }
            let now = self.world.now();
            self.world.asked.borrow_mut()[id].began_at = Some(now);
            self.world.note("asks", id, request.body);
            let head = head(id, request);
            if let Some(end) = self.send(id, head.as_bytes(), &mut sent, &mut rng).await {
                return end;
            }
            if request.expects && !self.plan.pipelines {
                // Who waits long enough sends in the end.
                let asked = self.until(|| self.continued.get() || self.answered.get() > id);
                let _: Result<_, _> = timeout(Duration::from_secs(1), asked).await;
                self.continued.set(false);
            }
            if self.answered.get() > id && !self.plan.sends_to_the_end {
                return None;
            }
            let body = body(id, request, &mut rng);
            if let Some(end) = self.send(id, &body, &mut sent, &mut rng).await {
                return end;
            }
            let now = self.world.now();
            self.world.asked.borrow_mut()[id].sent_at = Some(now);
        }
        if self.plan.fault == ClientFault::HalfCloses {
            self.world.note("half closes", self.number, 0);
            self.line.shut_down();
        }
        None
    }

    /// Sends some bytes; `Some` if nothing more is to be sent.
    async fn send(
        &self,
        id: usize,
        bytes: &[u8],
        sent: &mut usize,
        rng: &mut Rng,
    ) -> Option<Option<End>> {
        let limit = match self.plan.fault {
            ClientFault::ResetsWhenSent(n)
            | ClientFault::GoesWhenSent(n)
            | ClientFault::StopsSending(n) => n,
            _ => usize::MAX,
        };
        let settings = &self.world.plan.transport;
        let longest = settings.stall_timeout.min(settings.head_timeout).mul_f64(0.4);
        let longest = (rng.u32(..6) == 0).then_some(longest);
        let n = bytes.len().min(limit - *sent);
        let gone = send(self.line, &bytes[..n], rng, longest).await.is_err();
        *sent += n;
        self.world.asked.borrow_mut()[id].last_at = self.world.now();
        self.world.note("sent", id, n);
        if gone {
            return Some(None);
        }
        if *sent < limit {
            return None;
        }
        Some(match self.plan.fault {
            ClientFault::ResetsWhenSent(_) => Some(End::Resets),
            ClientFault::GoesWhenSent(_) => Some(End::Goes),
            _ => None,
        })
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        while !reached() && !self.over.get() {
            self.progress.notified().await;
        }
    }

    /// Reads all answers, and what becomes of the connection after them.
    async fn receive_all(&self) -> End {
        let mut reader = Reader {
            talk: self,
            rng: self.world.rng("client reads", self.number),
            inbox: Vec::new(),
            read: 0,
            paused: false,
        };
        let mut open = true;
        for id in self.plan.requests.clone() {
            let answer = reader.answer(id).await;
            let (outcome, more) = match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(end)) => {
                    self.over();
                    return end;
                }
                Err(flaw) => {
                    self.world.flaw(format!("answer {id} to client {}: {flaw}", self.number));
                    self.over();
                    return End::Goes;
                }
            };
            self.world.note("outcome", id, usize::from(more));
            let mut asked = self.world.asked.borrow_mut();
            asked[id].ended_at = self.world.now();
            asked[id].outcome = outcome;
            asked[id].lives = more;
            self.answered.set(id + 1);
            if !more {
                open = false;
                break;
            }
            self.progress.notify_one();
        }
        self.over();
        if open && !self.plan.lingers || !open && self.plan.pipelines {
            return End::Goes;
        }
        reader.wait_for_the_end(open).await
    }

    fn over(&self) {
        self.over.set(true);
        self.progress.notify_one();
    }
}

struct Reader<'t> {
    talk: &'t Talk<'t>,
    rng: Rng,
    inbox: Vec<u8>,
    read: usize,
    paused: bool,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    Bytes,
    Closed,
    Reset,
    /// The plan has the client end here.
    Leaves(End),
}

impl Reader<'_> {
    /// The next answer and whether another one may follow it, or the client's own end.
    async fn answer(&mut self, id: usize) -> Result<Result<(Outcome, bool), End>, Flaw> {
        let request = self.talk.world.request(id);
        let head = loop {
            let Some(head) = Head::read(&self.inbox)? else {
                match self.more().await {
                    Got::Bytes => continue,
                    Got::Leaves(end) => return Ok(Err(end)),
                    Got::Closed | Got::Reset if self.inbox.is_empty() => {
                        return Ok(Ok((Outcome::Nothing, false)));
                    }
                    Got::Closed | Got::Reset => {
                        self.inbox.clear();
                        return Ok(Ok((Outcome::Cut, false)));
                    }
                }
            };
            self.inbox.drain(..head.len);
            if head.status()? >= 200 {
                break head;
            }
            if head.status()? != 100 || !request.expects || self.talk.answered.get() > id {
                return Err(format!("an interim answer {}", head.status()?));
            }
            self.talk.continued.set(true);
            self.talk.progress.notify_one();
        };
        if self.talk.world.asked.borrow()[id].began_at.is_none() {
            return Err("an answer to nothing".to_owned());
        }
        let to_head = request.verb == Verb::Head;
        let mut body = BodyReader::new(head.answer_ends(to_head)?);
        loop {
            let used = body.take(&self.inbox)?;
            self.inbox.drain(..used);
            if body.whole {
                break;
            }
            match self.more().await {
                Got::Bytes => {}
                Got::Leaves(end) => return Ok(Err(end)),
                Got::Closed => {
                    body.close();
                    if !body.whole {
                        break;
                    }
                }
                Got::Reset => break,
            }
        }
        let outcome = self.judge(id, &head, &body)?;
        let lives = if request.http10 { "keep-alive" } else { "close" };
        let said = head.text("connection").eq_ignore_ascii_case(lives);
        let lives =
            body.whole && head.answer_ends(to_head)? != Ends::Close && said == request.http10;
        Ok(Ok((outcome, lives)))
    }

    /// Whose answer it is, and whether it is exactly that.
    fn judge(&self, id: usize, head: &Head, body: &BodyReader) -> Result<Outcome, Flaw> {
        let request = self.talk.world.request(id);
        let reason = head.text("x-cos-auth-proxy-error");
        if !reason.is_empty() {
            return Ok(if body.whole { Outcome::Own(reason) } else { Outcome::Cut });
        }
        let named = head.text("x-sim");
        if named != id.to_string() {
            return Err(format!("it is the answer to request {named:?}"));
        }
        let status = head.status()?;
        let expected = if status == 403 {
            super::KEY_REFUSED.as_bytes().to_vec()
        } else {
            content(id, true, request.answer.body)
        };
        if status != 403 && status != request.answer.status {
            return Err(format!("its status is {status}"));
        }
        if expected.get(..body.data.len()) != Some(&body.data[..]) {
            return Err("its body is not what upstream sent".to_owned());
        }
        if !body.whole {
            return Ok(Outcome::Cut);
        }
        let has_body = request.verb != Verb::Head && !matches!(status, 204 | 304);
        if has_body && body.data != expected {
            return Err(format!("{} bytes of {} stand for all", body.data.len(), expected.len()));
        }
        Ok(Outcome::Upstream(status))
    }

    async fn more(&mut self) -> Got {
        let plan = self.talk.plan;
        let limit = match plan.fault {
            ClientFault::ResetsWhenRead(n)
            | ClientFault::GoesWhenRead(n)
            | ClientFault::StopsReading(n) => n,
            _ => usize::MAX,
        };
        if self.read >= limit {
            match plan.fault {
                ClientFault::ResetsWhenRead(_) => return Got::Leaves(End::Resets),
                ClientFault::GoesWhenRead(_) => return Got::Leaves(End::Goes),
                // Long enough; then it reads on, to see how it was given up.
                _ if !self.paused => {
                    self.paused = true;
                    sleep(self.talk.world.longest() * 2).await;
                }
                _ => {}
            }
        } else if plan.reads_slowly && self.rng.u32(..8) == 0 {
            sleep(Duration::from_millis(self.rng.u64(1..300))).await;
        }
        let mut piece = [0; 16 * 1024];
        let most = if plan.reads_slowly { self.rng.usize(1..=piece.len()) } else { piece.len() };
        let most =
            if self.paused { most } else { most.min(limit.saturating_sub(self.read).max(1)) };
        match self.talk.line.read(&mut piece[..most]).await {
            Ok(0) => Got::Closed,
            Ok(n) => {
                self.talk.world.note("client got", self.talk.number, n);
                self.read += n;
                self.inbox.extend_from_slice(&piece[..n]);
                Got::Bytes
            }
            Err(_) => Got::Reset,
        }
    }

    /// Nothing more may come; the proxy closes in time: at once, or when the connection idled.
    async fn wait_for_the_end(&mut self, open: bool) -> End {
        let world = self.talk.world;
        let began_at = world.now();
        let got = loop {
            if !self.inbox.is_empty() {
                world.flaw(format!("client {} got bytes after the last answer", self.talk.number));
                return End::Goes;
            }
            match self.more().await {
                Got::Bytes => {}
                end => break end,
            }
        };
        let waited = world.now() - began_at;
        let most = if open { world.plan.transport.client_idle_timeout } else { Duration::ZERO };
        // One sweep sees that it idles, and another closes it.
        let sweeps = Duration::from_secs(2);
        let faulty = self.talk.plan.fault != ClientFault::None;
        if waited > most + sweeps + SLACK && !faulty && !self.talk.plan.reads_slowly {
            world
                .flaw(format!("client {} was left open for {waited:?}: {got:?}", self.talk.number));
        }
        End::Goes
    }
}

fn head(id: usize, request: &RequestPlan) -> String {
    let (method, query) = match request.verb {
        Verb::Get => ("GET", ""),
        Verb::Head => ("HEAD", ""),
        Verb::Put => ("PUT", ""),
        Verb::Append => ("POST", "?append&position=0"),
        Verb::Delete => ("DELETE", ""),
    };
    let version = if request.http10 { "1.0" } else { "1.1" };
    let mut head = format!("{method} /request-{id}{query} HTTP/{version}\r\nHost: localhost\r\n");
    if request.chunked {
        head += "Transfer-Encoding: chunked\r\n";
    } else if matches!(request.verb, Verb::Put | Verb::Append) {
        head += &format!("Content-Length: {}\r\n", request.body);
    }
    if request.expects {
        head += "Expect: 100-continue\r\n";
    }
    if request.says_otherwise {
        let how = if request.http10 { "keep-alive" } else { "close" };
        head += &format!("Connection: {how}\r\n");
    }
    head + "\r\n"
}

fn body(id: usize, request: &RequestPlan, rng: &mut Rng) -> Vec<u8> {
    let data = content(id, false, request.body);
    if !request.chunked {
        return data;
    }
    let mut framed = Vec::new();
    let mut rest = data.as_slice();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rng.usize(1..=rest.len()));
        framed.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        rest = after;
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}
