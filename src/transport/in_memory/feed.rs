//! Any bytes in any pieces through the real driver, with an upstream that writes down every byte
//! it gets; and what must be true of the bytes on both sides afterwards.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    super::worker,
    Call, House, HouseSettings, Line, Whims, pair,
    report::{Report, Request},
};

/// What plays upstream.
#[derive(Debug, Clone, Copy)]
pub enum Upstream<'u> {
    /// Answers every request, in one form after the other.
    Answers,
    /// Sends these bytes on every connection once a head is there, and closes.
    Says(&'u [u8]),
}

/// Gives `bytes` to the real driver as a client would, in pieces of the sizes `pieces` (in turn, 0
/// is a pause), and waits until the driver closes. Time is paused, so it takes none. The same
/// input gives the same report.
///
/// A fuzz target splits its input (how many pieces, the pieces, the bytes), calls this, and panics on
/// [`Report::flaw`]:
///
/// ```ignore
/// fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
///     let report = feed(&input.1, &input.0, Upstream::Answers).unwrap();
///     assert_eq!(report.flaw(), None);
/// });
/// ```
///
/// # Errors
/// When the system gives no runtime.
pub fn feed(bytes: &[u8], pieces: &[u8], upstream: Upstream<'_>) -> io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(tokio::runtime::LocalOptions::default())?;
    let says = match upstream {
        Upstream::Answers => None,
        Upstream::Says(bytes) => Some(bytes.to_vec()),
    };
    runtime.block_on(talk(bytes.to_vec(), pieces.to_vec(), says))
}

/// Room on the way, each way.
const ROOM: usize = 64 * 1024;
/// No conversation lasts longer, as its own clock goes.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

async fn talk(sent: Vec<u8>, pieces: Vec<u8>, says: Option<Vec<u8>>) -> io::Result<Report> {
    let mut settings = HouseSettings::usual();
    settings.transport.client_idle_timeout = Duration::from_secs(30);
    let (house, arriving, calls) = House::build(settings).map_err(io::Error::other)?;
    let serving = spawn_local(worker::run(Rc::clone(&house.worker), arriving));
    let record = Rc::new(RefCell::new(Vec::new()));
    let upstream = spawn_local(take_calls(calls, Rc::clone(&record), says));
    let seed = pieces.iter().fold(0, |seed: u64, piece| seed.wrapping_mul(31) + u64::from(*piece));
    let door = house.door().ok_or(io::ErrorKind::NotConnected)?;
    let socket = door.connect(ROOM, Whims::seeded(seed)).await;
    let line = Line::over(socket.ok_or(io::ErrorKind::NotConnected)?);
    let mut report = Report { sent, ..Report::default() };
    let over = Cell::new(false);
    let sending = async {
        let mut rest = report.sent.as_slice();
        let mut sizes = pieces.iter().cycle();
        while !rest.is_empty() && !over.get() {
            let n = sizes.next().map_or(rest.len(), |size| usize::from(*size)).min(rest.len());
            let (piece, after) = rest.split_at(n);
            rest = after;
            if n == 0 || pieces.len() > 1 {
                sleep(Duration::from_millis(1)).await;
            }
            if line.write(piece).await.is_err() {
                break;
            }
        }
    };
    let receiving = async {
        let mut got = Vec::new();
        let mut piece = [0; 4096];
        let reset = loop {
            match line.read(&mut piece).await {
                Ok(0) => break false,
                Ok(n) => got.extend_from_slice(piece.get(..n).unwrap_or_default()),
                Err(_) => break true,
            }
        };
        over.set(true);
        (got, reset)
    };
    let talked = timeout(LONGEST, async { tokio::join!(sending, receiving) }).await;
    let ((), (got, reset)) = talked.map_err(|_endless| io::ErrorKind::TimedOut)?;
    drop(line);
    drop(house);
    let _: Result<_, _> = timeout(LONGEST, serving).await;
    let _: Result<_, _> = timeout(LONGEST, upstream).await;
    report.got = got;
    report.reset = reset;
    report.upstream = record.take();
    Ok(report)
}

type Record = Rc<RefCell<Vec<Vec<u8>>>>;

async fn take_calls(
    mut calls: mpsc::UnboundedReceiver<Call>,
    record: Record,
    says: Option<Vec<u8>>,
) {
    while let Some(call) = calls.recv().await {
        let (theirs, ours) = pair(ROOM, Whims::none());
        if call.line.send(theirs).is_ok() {
            let number = record.borrow().len();
            record.borrow_mut().push(Vec::new());
            drop(spawn_local(answer_all(
                Line::over(ours),
                number,
                Rc::clone(&record),
                says.clone(),
            )));
        }
    }
}

/// Writes down what comes; answers each request whose end is there.
async fn answer_all(line: Line, number: usize, record: Record, says: Option<Vec<u8>>) {
    let mut read = 0;
    let mut answered = 0;
    loop {
        let mut piece = [0; 4096];
        match line.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                let mut record = record.borrow_mut();
                let Some(all) = record.get_mut(number) else { return };
                all.extend_from_slice(piece.get(..n).unwrap_or_default());
            }
        }
        let all = record.borrow().get(number).cloned().unwrap_or_default();
        if let Some(says) = &says {
            if all.windows(4).any(|four| four == b"\r\n\r\n") {
                let _: io::Result<()> = line.write(says).await;
                return line.shut_down();
            }
            continue;
        }
        while let Ok(Some(request)) = Request::whole(all.get(read..).unwrap_or_default()) {
            read += request.len;
            answered += 1;
            if line.write(form(answered, &request.method).as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn form(number: usize, method: &str) -> String {
    let head = "HTTP/1.1 200 OK\r\nx-cos-request-id: x\r\n";
    match (number % 3, method) {
        (_, "HEAD") => format!("{head}Content-Length: 5\r\n\r\n"),
        (0, _) => {
            format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
        }
        (1, _) => format!("{head}Content-Length: 5\r\n\r\nhello"),
        _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    }
}
