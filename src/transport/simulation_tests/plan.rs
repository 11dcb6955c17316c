//! What a seed decides, all of it before the first byte moves.

use std::{ops::Range, time::Duration};

use fastrand::Rng;

use crate::transport::{TransportSettings, in_memory::HouseSettings};

/// One simulated world.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) transport: TransportSettings,
    /// What all large buffers may hold together.
    pub(super) budget: usize,
    pub(super) clients: Vec<ClientPlan>,
    /// Requests of all clients; a request is named by its place here.
    pub(super) requests: Vec<RequestPlan>,
    /// How calls upstream are taken, one after the other; all further ones at once.
    pub(super) calls: Vec<CallPlan>,
    /// When the proxy is told to end.
    pub(super) drains_at: Option<Duration>,
    /// How long after a key was refused a new one comes.
    pub(super) new_key_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct ClientPlan {
    pub(super) starts_at: Duration,
    /// Bytes that fit on the way, each way.
    pub(super) room: usize,
    pub(super) requests: Range<usize>,
    /// Sends on without waiting for answers.
    pub(super) pipelines: bool,
    /// Reads with pauses.
    pub(super) reads_slowly: bool,
    /// Goes on sending a body whose answer is already there.
    pub(super) sends_to_the_end: bool,
    /// After the last answer it waits for the proxy to close.
    pub(super) lingers: bool,
    pub(super) fault: ClientFault,
}

/// What a client does wrong, once so many bytes are sent or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientFault {
    None,
    ResetsWhenSent(usize),
    GoesWhenSent(usize),
    StopsSending(usize),
    ResetsWhenRead(usize),
    GoesWhenRead(usize),
    StopsReading(usize),
    /// Closes its sending side behind the last request.
    HalfCloses,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Head,
    Put,
    Append,
    Delete,
}

#[derive(Debug)]
pub(super) struct RequestPlan {
    pub(super) verb: Verb,
    pub(super) http10: bool,
    /// HTTP/1.0 asks to keep the connection, or HTTP/1.1 to close it.
    pub(super) says_otherwise: bool,
    pub(super) body: usize,
    pub(super) chunked: bool,
    pub(super) expects: bool,
    /// Pause before it.
    pub(super) gap: Duration,
    pub(super) answer: AnswerPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framed {
    Length,
    Chunked,
    UntilClose,
    /// 204 or 304.
    Bodiless(u16),
}

#[derive(Debug)]
pub(super) struct AnswerPlan {
    pub(super) status: u16,
    pub(super) framed: Framed,
    pub(super) body: usize,
    pub(super) interims: usize,
    /// Says `Connection: close`, and closes.
    pub(super) closes: bool,
    /// Begins when so many bytes of the request's body are there.
    pub(super) early: Option<usize>,
    pub(super) after: After,
    pub(super) fault: Fault,
    /// Pauses between its pieces.
    pub(super) slow: bool,
}

/// What upstream does with a connection that could be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keeps,
    ClosesAtOnce,
    ClosesLater(Duration),
    /// Sends bytes that nobody asked for.
    SpoilsAtOnce,
    SpoilsLater(Duration),
    /// Takes no more of the body of a request that was answered early.
    StopsReading,
}

/// What upstream does wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// On a connection that was used before it ends without an answer, once.
    DiesWhenReused {
        reset: bool,
        after: usize,
    },
    Dies {
        reset: bool,
    },
    DiesInHead {
        reset: bool,
        after: usize,
    },
    DiesInBody {
        reset: bool,
        after: usize,
    },
    StallsReading {
        after: usize,
    },
    StallsBeforeHead,
    StallsInHead {
        after: usize,
    },
    StallsInBody {
        after: usize,
    },
    BadHead(&'static str),
    BadChunk,
    FloodsInterims,
    RefusesKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallPlan {
    Takes { room: usize, after: Duration },
    Refuses { after: Duration },
    Hangs,
}

/// Heads of answers that nobody may take for one.
const BAD_HEADS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "HTTP/2 200 OK\r\n\r\n",
    "SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/1.1 200 OK\r\n Folded: x\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
];

impl Plan {
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let seconds = |rng: &mut Rng, range| Duration::from_secs(rng.u64(range));
        let HouseSettings { mut transport, mut budget } = HouseSettings::usual();
        transport.head_timeout = seconds(rng, 2..=10);
        transport.client_idle_timeout = seconds(rng, 3..=60);
        transport.connect_timeout = seconds(rng, 1..=3);
        transport.first_byte_timeout = seconds(rng, 2..=20);
        transport.stall_timeout = seconds(rng, 2..=20);
        transport.pool_idle_timeout = seconds(rng, 1..=40);
        transport.pool_idle_per_thread = rng.usize(0..=3);
        transport.replay_body_bytes = if rng.u32(..4) == 0 { 16 * 1024 } else { 0 };
        transport.body_min_rate = if rng.u32(..4) == 0 { rng.u64(1..=16) } else { 0 };
        transport.requests_per_connection = if rng.u32(..4) == 0 { rng.u64(1..=3) } else { 0 };
        if rng.u32(..6) == 0 {
            transport.connections = rng.usize(1..=3);
        }
        if rng.u32(..3) == 0 {
            budget = rng.usize(..=1 << 20);
        }
        // Some worlds are calm, so that the ordinary is not drowned by faults.
        let calm = rng.u32(..3) == 0;
        let mut plan = Self {
            seed,
            transport,
            budget,
            clients: Vec::new(),
            requests: Vec::new(),
            calls: Vec::new(),
            drains_at: (rng.u32(..5) == 0).then(|| moment(rng, 20_000)),
            new_key_after: rng.bool().then(|| moment(rng, 2000)),
        };
        for _ in 0..rng.usize(1..=4) {
            plan.draw_client(rng, calm);
        }
        for _ in 0..rng.usize(..=6) {
            plan.calls.push(call(rng, calm));
        }
        plan
    }

    fn draw_client(&mut self, rng: &mut Rng, calm: bool) {
        let first = self.requests.len();
        let room = room(rng);
        let http10 = rng.u32(..6) == 0;
        let pipelines = rng.u32(..3) == 0;
        for _ in 0..rng.usize(1..=5) {
            let request = RequestPlan::draw(rng, &self.transport, room, http10, calm);
            self.requests.push(request);
        }
        let requests = first..self.requests.len();
        let sent: usize = requests.clone().map(|id| 150 + self.requests[id].body).sum();
        let read: usize = requests.clone().map(|id| 150 + self.requests[id].answer.body).sum();
        self.clients.push(ClientPlan {
            starts_at: moment(rng, 3000),
            room,
            pipelines,
            reads_slowly: rng.u32(..5) == 0,
            sends_to_the_end: rng.bool(),
            lingers: rng.u32(..3) == 0,
            fault: if calm { ClientFault::None } else { client_fault(rng, sent, read) },
            requests,
        });
    }
}

impl RequestPlan {
    fn draw(
        rng: &mut Rng,
        settings: &TransportSettings,
        room: usize,
        http10: bool,
        calm: bool,
    ) -> Self {
        let verb = match rng.u32(..10) {
            0..=3 => Verb::Get,
            4 => Verb::Head,
            5..=7 => Verb::Put,
            8 => Verb::Append,
            _ => Verb::Delete,
        };
        let body = if matches!(verb, Verb::Put | Verb::Append) { size(rng, room) } else { 0 };
        // Longer than the proxy waits, now and then.
        let idle = settings.client_idle_timeout.as_millis() as u64;
        let gap = match rng.u32(..12) {
            0 => Duration::from_millis(rng.u64(..idle * 2)),
            1..=4 => moment(rng, 1500),
            _ => Duration::ZERO,
        };
        Self {
            verb,
            http10,
            says_otherwise: if http10 { rng.bool() } else { rng.u32(..10) == 0 },
            body,
            chunked: body > 0 && !http10 && rng.bool(),
            expects: body > 0 && !http10 && rng.u32(..4) == 0,
            gap,
            answer: AnswerPlan::draw(rng, verb, body, room, calm),
        }
    }

    /// Whether it may be sent a second time when the first one got no answer.
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.verb, Verb::Get | Verb::Head)
    }
}

impl AnswerPlan {
    fn draw(rng: &mut Rng, verb: Verb, sent: usize, room: usize, calm: bool) -> Self {
        let framed = match rng.u32(..12) {
            0..=5 => Framed::Length,
            6..=8 => Framed::Chunked,
            9 => Framed::UntilClose,
            10 => Framed::Bodiless(204),
            _ => Framed::Bodiless(304),
        };
        let status = match framed {
            Framed::Bodiless(status) => status,
            Framed::Length | Framed::Chunked | Framed::UntilClose => {
                *[200, 200, 200, 206, 404, 500].get(rng.usize(..6)).unwrap()
            }
        };
        let body = if matches!(framed, Framed::Bodiless(_)) { 0 } else { size(rng, room) };
        let early = (sent > 0 && rng.u32(..6) == 0).then(|| rng.usize(..=sent));
        let mut after = match rng.u32(..16) {
            0 => After::ClosesAtOnce,
            1 => After::ClosesLater(moment(rng, 4000)),
            2 => After::SpoilsAtOnce,
            3 => After::SpoilsLater(moment(rng, 4000)),
            4 | 5 if early.is_some() => After::StopsReading,
            _ => After::Keeps,
        };
        if framed == Framed::UntilClose && verb != Verb::Head {
            after = After::Keeps;
        }
        let fault =
            if calm || rng.u32(..4) > 0 { Fault::None } else { fault(rng, framed, body, sent) };
        Self {
            status,
            framed,
            body,
            interims: if rng.u32(..8) == 0 { rng.usize(1..=3) } else { 0 },
            closes: rng.u32(..8) == 0,
            early: early.filter(|_| fault == Fault::None),
            after,
            fault,
            slow: rng.u32(..4) == 0,
        }
    }

    /// Whether its body is sent at all.
    pub(super) fn has_body(&self, verb: Verb) -> bool {
        verb != Verb::Head && !matches!(self.framed, Framed::Bodiless(_))
    }
}

fn fault(rng: &mut Rng, framed: Framed, body: usize, sent: usize) -> Fault {
    let reset = rng.bool();
    match rng.u32(..14) {
        0..=2 => Fault::DiesWhenReused { reset, after: rng.usize(..=sent) },
        3 => Fault::Dies { reset },
        4 => Fault::DiesInHead { reset, after: rng.usize(1..40) },
        5 | 6 if body > 0 => {
            // Who closes in order after a body without a length has sent it whole.
            let reset = reset || framed == Framed::UntilClose;
            Fault::DiesInBody { reset, after: rng.usize(..body) }
        }
        7 if sent > 0 => Fault::StallsReading { after: rng.usize(..sent) },
        8 => Fault::StallsInHead { after: rng.usize(1..40) },
        9 if body > 0 => Fault::StallsInBody { after: rng.usize(..body) },
        10 => Fault::BadHead(BAD_HEADS[rng.usize(..BAD_HEADS.len())]),
        11 if body > 0 && framed == Framed::Chunked => Fault::BadChunk,
        12 => Fault::FloodsInterims,
        13 => Fault::RefusesKey,
        _ => Fault::StallsBeforeHead,
    }
}

fn client_fault(rng: &mut Rng, sent: usize, read: usize) -> ClientFault {
    let (sent, read) = (rng.usize(..sent), rng.usize(..read));
    match rng.u32(..24) {
        0 => ClientFault::ResetsWhenSent(sent),
        1 => ClientFault::GoesWhenSent(sent),
        2 => ClientFault::StopsSending(sent),
        3 => ClientFault::ResetsWhenRead(read),
        4 => ClientFault::GoesWhenRead(read),
        5 => ClientFault::StopsReading(read),
        6 => ClientFault::HalfCloses,
        _ => ClientFault::None,
    }
}

fn call(rng: &mut Rng, calm: bool) -> CallPlan {
    let after = if rng.u32(..4) == 0 { moment(rng, 900) } else { Duration::ZERO };
    match rng.u32(..12) {
        0 if !calm => CallPlan::Refuses { after },
        1 if !calm => CallPlan::Hangs,
        _ => CallPlan::Takes { room: room(rng), after },
    }
}

fn room(rng: &mut Rng) -> usize {
    if rng.u32(..4) == 0 { rng.usize(1..=2048) } else { rng.usize(4096..=256 * 1024) }
}

/// Mostly small; up to a few hundred KiB where the way there is wide enough.
fn size(rng: &mut Rng, room: usize) -> usize {
    let most = match rng.u32(..16) {
        0 => return 0,
        1..=9 => 2000,
        10..=14 => 40_000,
        _ => 400_000,
    };
    rng.usize(1..=most.min(room * 100))
}

fn moment(rng: &mut Rng, most_millis: u64) -> Duration {
    Duration::from_millis(rng.u64(1..=most_millis))
}

/// The bytes of a body, to be known again.
pub(super) fn content(request: usize, of_answer: bool, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Rng::with_seed((request as u64) << 1 | u64::from(of_answer)).fill(&mut bytes);
    bytes
}
