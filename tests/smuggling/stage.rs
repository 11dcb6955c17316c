//! Runs cases against one proxy with one data thread, many at a time, each beside a well-behaved
//! client, and holds what came upstream against what was asked for.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use cos_auth_proxy::transport::ListenAddress;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};

use super::{
    case::{Case, Outcome, Passed, Then},
    house::{House, Plan},
    judge::{Seen, lossy},
    reader::{Answer, Client, Got},
    recorder::{Recorder, echo},
    verdicts::verdict,
};

/// Cases under way at once.
const AT_ONCE: usize = 12;

/// One case, once.
pub(crate) struct Run {
    pub(crate) case: Case,
    /// Where the bytes of the case are cut in pieces.
    pub(crate) cuts: Vec<usize>,
    pub(crate) over: Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    Unix,
}

/// What a client may say about upstream, given the answers it got.
#[derive(Default)]
struct Claims {
    whole: Vec<Seen>,
    /// Besides, one may have come in part.
    cut: Option<String>,
}

/// Plays every run and fails with all that went wrong.
pub(crate) async fn play(runs: Vec<Run>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("proxy.sock");
    let mut plan = Plan::usual();
    plan.transport.listen.push(ListenAddress::Unix(socket.clone()));
    let House { address, upstream, running, .. } = plan.open().await;
    let count = runs.len();
    let (recorder, claims) = (Arc::new(Recorder::default()), Arc::new(Mutex::new(Vec::new())));
    let all = async {
        let queue = Arc::new(Mutex::new(runs.into_iter().enumerate()));
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (queue, claims) = (Arc::clone(&queue), Arc::clone(&claims));
            workers.spawn(worker(queue, claims, address, socket.clone()));
        }
        let mut problems = Vec::new();
        while let Some(worker) = workers.join_next().await {
            problems.extend(worker.unwrap());
        }
        assert!(running.unwrap().drain(Duration::from_secs(20)).await, "no clean end");
        problems
    };
    let problems = Mutex::new(Vec::new());
    Arc::clone(&recorder).serve(&upstream, async { *problems.lock().unwrap() = all.await }).await;
    let mut problems = problems.into_inner().unwrap();
    let claims = std::mem::take(&mut *claims.lock().unwrap());
    compare(&recorder, &claims, &mut problems);
    assert!(
        problems.is_empty(),
        "{} problems in {count} runs:\n{}",
        problems.len(),
        problems.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n")
    );
}

type Queue = Arc<Mutex<std::iter::Enumerate<std::vec::IntoIter<Run>>>>;

async fn worker(
    queue: Queue,
    all_claims: Arc<Mutex<Vec<Claims>>>,
    address: SocketAddr,
    socket: PathBuf,
) -> Vec<String> {
    let mut neighbour = Neighbour::move_in(address).await;
    let mut problems = Vec::new();
    loop {
        let Some((number, run)) = queue.lock().unwrap().next() else { return problems };
        let id = format!("case-{number:05}");
        neighbour.begin(&id).await;
        let asked = match run.over {
            Over::Tcp => ask(&run, &id, tcp(address).await).await,
            Over::Unix => ask(&run, &id, UnixStream::connect(&socket).await.unwrap()).await,
        };
        match asked {
            Ok(claims) => all_claims.lock().unwrap().push(claims),
            Err(problem) => {
                let Run { case, cuts, over } = &run;
                let cuts = cuts.get(..cuts.len().min(9)).unwrap_or_default();
                problems.push(format!(
                    "{} ({id} over {over:?}, cut at {cuts:?}): {problem}",
                    case.name
                ));
            }
        }
        match neighbour.finish().await {
            Ok(claims) => all_claims.lock().unwrap().push(claims),
            Err(problem) => {
                problems.push(format!("{} ({id}) harmed another client: {problem}", run.case.name));
                neighbour = Neighbour::move_in(address).await;
            }
        }
    }
}

async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Plays the client of one case, and says what must have come upstream.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    run: &Run,
    id: &str,
    stream: S,
) -> Result<Claims, String> {
    let bytes = with_id(&run.case.bytes, id);
    let next = Seen { method: "GET".into(), target: format!("/next-{id}").into(), body: vec![] };
    let next_bytes = format!("GET /next-{id} HTTP/1.1\r\nHost: localhost:9000\r\n\r\n");
    let mut client = Client::over(stream);
    client.write_cut(&[&bytes, next_bytes.as_bytes()].concat(), &run.cuts).await;
    let mut claims = Claims::default();
    match &run.case.outcome {
        Outcome::Swallows => {
            client.say_end().await;
            claims.cut = Some(id.to_owned());
            match client.answer(false).await? {
                Got::Closed | Got::Cut(None) => {}
                Got::Whole(answer) => return Err(format!("answered: {answer:?}")),
                Got::Cut(Some(status)) => return Err(format!("half an answer: {status}")),
            }
        }
        Outcome::Breaks(why) => {
            claims.cut = Some(id.to_owned());
            refused(&mut client, why, run.case.is_head()).await?;
        }
        Outcome::Refused(why) => {
            if refused(&mut client, why, run.case.is_head()).await? {
                served(&mut client, next, &mut claims).await?;
            } else if !verdict(why).closes && run.case.is_whole_without_body() {
                return Err(format!("{why} ended the connection without need"));
            }
        }
        Outcome::Passes(passed) => {
            let Passed { method, target, body, then } = passed;
            let target = with_id(target.as_bytes(), id);
            let seen = Seen { method: method.clone(), target, body: with_id(body, id) };
            served(&mut client, seen, &mut claims).await?;
            match then {
                Then::Served => served(&mut client, next, &mut claims).await?,
                Then::Closed if client.is_ended().await => {}
                Then::Closed => return Err("the connection did not end".to_owned()),
                Then::Refused(why) => {
                    refused(&mut client, why, false).await?;
                }
            }
        }
    }
    Ok(claims)
}

fn with_id(bytes: &[u8], id: &str) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(4).position(|w| w == b"{id}") {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(id.as_bytes());
        rest = &rest[at + 4..];
    }
    filled.extend_from_slice(rest);
    filled
}

/// Expects the answer to `seen`, and claims that it came upstream.
async fn served<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    seen: Seen,
    claims: &mut Claims,
) -> Result<(), String> {
    let answer = match client.answer(seen.method == "HEAD").await? {
        Got::Whole(answer) if answer.status == 100 => client.answer(false).await?,
        got @ (Got::Whole(_) | Got::Closed | Got::Cut(_)) => got,
    };
    match answer {
        Got::Whole(answer) if answer.field("x-echo") == Some(&echo(&seen)) => {
            claims.whole.push(seen);
            Ok(())
        }
        got @ (Got::Whole(_) | Got::Closed | Got::Cut(_)) => {
            Err(format!("{} {:?} got {got:?}", seen.method, lossy(&seen.target)))
        }
    }
}

/// Expects our refusal for `why`; whether the connection stays.
async fn refused<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    why: &str,
    to_head: bool,
) -> Result<bool, String> {
    let expected = verdict(why);
    // A head that could not be read to its end might be of any method.
    let to_head = to_head && expected.cause.is_empty();
    let answer = match client.answer(to_head).await? {
        Got::Whole(answer) if answer.status == 100 => client.answer(to_head).await?,
        got @ (Got::Whole(_) | Got::Closed | Got::Cut(_)) => got,
    };
    let Got::Whole(answer) = answer else { return Err(format!("{answer:?} instead of {why}")) };
    let got = (answer.status, answer.field("x-cos-auth-proxy-error"));
    if got != (expected.status, Some(expected.reason)) || !says(&answer, &expected.cause) {
        return Err(format!("{got:?} instead of {why}: {}", lossy(&answer.body)));
    }
    if answer.field("x-cos-request-id").is_none() {
        return Err("no request id".to_owned());
    }
    // One that could stay may still end when the body is not all there yet.
    if expected.closes && !answer.closes() {
        return Err(format!("{why} left the connection open"));
    }
    if answer.closes() && !client.is_ended().await {
        return Err(format!("more bytes after the answer to {why}"));
    }
    Ok(!answer.closes())
}

fn says(answer: &Answer, cause: &str) -> bool {
    let body = String::from_utf8_lossy(&answer.body);
    let plain = body.replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&");
    plain.contains(cause) || answer.body.is_empty()
}

/// A client that does nothing unusual, on a connection that it keeps.
struct Neighbour {
    client: Client<TcpStream>,
    under_way: Option<Seen>,
}

impl Neighbour {
    async fn move_in(address: SocketAddr) -> Self {
        Self { client: Client::over(tcp(address).await), under_way: None }
    }

    /// Sends half of an upload.
    async fn begin(&mut self, id: &str) {
        let body = format!("GET /inner-{id} HTTP/1.1\r\nHost: localhost:9000\r\n\r\n0\r\n\r\n");
        let target = format!("/calm-{id}");
        let (first, _) = body.split_at(20);
        let length = body.len();
        let head = format!(
            "PUT {target} HTTP/1.1\r\nHost: localhost:9000\r\nContent-Length: {length}\r\n\r\n"
        );
        self.client.write(format!("{head}{first}").as_bytes()).await;
        self.under_way =
            Some(Seen { method: "PUT".into(), target: target.into(), body: body.into() });
    }

    /// Sends the other half, and asks for something else on the same connection.
    async fn finish(&mut self) -> Result<Claims, String> {
        let put = self.under_way.take().ok_or("nothing is under way")?;
        let mut target = put.target.clone();
        target.extend_from_slice(b"?get");
        let get = [b"GET ", &target[..], b" HTTP/1.1\r\nHost: localhost:9000\r\n\r\n"].concat();
        self.client.write(&[&put.body[20..], &get].concat()).await;
        let mut claims = Claims::default();
        served(&mut self.client, put, &mut claims).await?;
        let get = Seen { method: "GET".into(), target, body: vec![] };
        served(&mut self.client, get, &mut claims).await?;
        Ok(claims)
    }
}

/// What came upstream must be what the clients claim, no more and no less.
fn compare(recorder: &Recorder, claims: &[Claims], problems: &mut Vec<String>) {
    let record = recorder.take();
    let mut balance: BTreeMap<&Seen, i64> = BTreeMap::new();
    for seen in &record.whole {
        *balance.entry(seen).or_default() += 1;
    }
    for seen in claims.iter().flat_map(|claims| &claims.whole) {
        *balance.entry(seen).or_default() -= 1;
    }
    for (seen, left) in balance.into_iter().filter(|(_, left)| *left != 0) {
        problems.push(format!("{left:+} of {} {:?} upstream", seen.method, lossy(&seen.target)));
    }
    for cut in &record.cut {
        let target = String::from_utf8_lossy(&cut.target).into_owned();
        let claimed = claims.iter().filter_map(|c| c.cut.as_ref()).any(|id| target.contains(id));
        if !claimed {
            problems.push(format!("half of {} {target:?} upstream", cut.method));
        }
    }
    problems.extend(record.wrong.iter().map(|wrong| format!("ambiguous upstream: {wrong}")));
    assert!(record.connections > 0, "nothing came upstream at all");
}
