//! The load of the comparison: keeps CONNECTIONS busy, or sends at a fixed rate, and counts.
//!
//! `load PORT METHOD PATH BODY_BYTES CONNECTIONS SECONDS [RATE]` prints one JSON line. With RATE,
//! requests are scheduled and latency counts from the scheduled instant, so that a stalled server
//! cannot hide its stalls. `load PORT idle N SECONDS` holds N idle connections after one request
//! each. Every answer's status and length are checked.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool of the benchmark"
)]

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

#[derive(Default)]
struct Tally {
    requests: u64,
    errors: u64,
    bytes: u64,
    latencies_us: Vec<u32>,
    /// Requests of each connection, in the measured time.
    shares: Vec<u64>,
}

struct Work {
    port: u16,
    head: Vec<u8>,
    body: Vec<u8>,
    from: Instant,
    until: Instant,
    /// Time between two requests of one connection, when the rate is fixed.
    every: Option<Duration>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args.get(i).map_or(0.0, |text| text.parse::<f64>().expect("a number"));
    let port = number(0) as u16;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        if args[1] == "idle" {
            return idle(port, number(2) as usize, Duration::from_secs_f64(number(3))).await;
        }
        let (connections, seconds) = (number(4) as usize, number(5));
        let body = vec![b'y'; number(3) as usize];
        let length = if args[1] == "PUT" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let head = format!("{} {} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: load\r\nAccept: */*\r\n{length}\r\n", args[1], args[2]);
        let warm_up = Duration::from_millis(500);
        let from = Instant::now() + warm_up;
        let work = Rc::new(Work {
            port,
            head: head.into_bytes(),
            body,
            from,
            until: from + Duration::from_secs_f64(seconds),
            every: args.get(6).map(|rate| Duration::from_secs_f64(connections as f64 / rate.parse::<f64>().unwrap())),
        });
        // Told apart from the warm-up by whoever reads CPU clocks: they wait for this line.
        let shares = vec![0; connections];
        let tally = Rc::new(RefCell::new(Tally { shares, ..Tally::default() }));
        let tasks: Vec<_> = (0..connections)
            .map(|number| tokio::task::spawn_local(drive(Rc::clone(&work), Rc::clone(&tally), number, connections)))
            .collect();
        sleep_until(from).await;
        println!("started");
        for task in tasks {
            task.await.unwrap();
        }
        report(&mut tally.borrow_mut(), seconds);
    });
}

async fn drive(work: Rc<Work>, tally: Rc<RefCell<Tally>>, number: usize, connections: usize) {
    let mut buffer = vec![0; 1 << 18];
    let mut next =
        Instant::now() + work.every.unwrap_or_default().mul_f64(number as f64 / connections as f64);
    let mut stream = None;
    while Instant::now() < work.until {
        let scheduled = next;
        if let Some(every) = work.every {
            sleep_until(next).await;
            next += every;
        }
        let began = if work.every.is_some() { scheduled } else { Instant::now() };
        let outcome = once(&work, &tally, &mut stream, &mut buffer).await;
        let ended = Instant::now();
        if ended < work.from || ended > work.until {
            continue;
        }
        let mut tally = tally.borrow_mut();
        match outcome {
            Ok(()) => {
                tally.requests += 1;
                tally.shares[number] += 1;
                tally.latencies_us.push(
                    u32::try_from(ended.duration_since(began).as_micros()).unwrap_or(u32::MAX),
                );
            }
            Err(problem) => {
                tally.errors += 1;
                if tally.errors < 5 {
                    eprintln!("{problem}");
                }
                stream = None;
            }
        }
    }
}

/// Counts bytes of bodies as they pass, so that a large one may begin before the measured time and
/// end after it.
fn passed(work: &Work, tally: &RefCell<Tally>, bytes: usize) {
    let now = Instant::now();
    if now >= work.from && now <= work.until {
        tally.borrow_mut().bytes += bytes as u64;
    }
}

async fn once(
    work: &Work,
    tally: &RefCell<Tally>,
    kept: &mut Option<TcpStream>,
    buffer: &mut [u8],
) -> Result<(), String> {
    let fail = |what: &str, problem: std::io::Error| format!("{what}: {problem}");
    if kept.is_none() {
        let fresh = TcpStream::connect(("127.0.0.1", work.port)).await;
        let fresh = fresh.map_err(|e| fail("connect", e))?;
        fresh.set_nodelay(true).map_err(|e| fail("nodelay", e))?;
        *kept = Some(fresh);
    }
    let stream = kept.as_mut().unwrap();
    if work.body.len() <= 16 * 1024 {
        let whole = [work.head.as_slice(), work.body.as_slice()].concat();
        stream.write_all(&whole).await.map_err(|e| fail("write", e))?;
        passed(work, tally, work.body.len());
    } else {
        stream.write_all(&work.head).await.map_err(|e| fail("write", e))?;
        for piece in work.body.chunks(1 << 20) {
            stream.write_all(piece).await.map_err(|e| fail("write", e))?;
            passed(work, tally, piece.len());
        }
    }
    let (head_len, have, length) = answer_head(stream, buffer).await?;
    passed(work, tally, have - head_len);
    let mut left = length.checked_sub((have - head_len) as u64).ok_or("an answer too long")?;
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = stream.read(&mut buffer[..room]).await.map_err(|e| fail("read", e))?;
        if n == 0 {
            return Err(format!("cut {left} bytes before the end"));
        }
        passed(work, tally, n);
        left -= n as u64;
    }
    Ok(())
}

/// Reads the head of an answer: its length, all bytes read so far, and the length of the body.
async fn answer_head(
    stream: &mut TcpStream,
    buffer: &mut [u8],
) -> Result<(usize, usize, u64), String> {
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..]).await.map_err(|e| format!("read: {e}"))?;
        if n == 0 {
            return Err("closed inside a head".to_owned());
        }
        have += n;
        let Some(end) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).map_err(|e| e.to_string())?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(head.lines().next().unwrap_or_default().to_owned());
        }
        let length = head
            .to_ascii_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        return Ok((end + 4, have, length.ok_or("an answer without length")?));
    }
}

async fn idle(port: u16, connections: usize, hold: Duration) {
    let head = format!("GET /1k HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").into_bytes();
    let now = Instant::now();
    let work = Work { port, head, body: Vec::new(), from: now, until: now, every: None };
    let tally = RefCell::new(Tally::default());
    let mut held = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    for _ in 0..connections {
        let mut stream = None;
        once(&work, &tally, &mut stream, &mut buffer)
            .await
            .expect("one request on each connection");
        held.push(stream);
    }
    println!("started");
    tokio::time::sleep(hold).await;
    println!("{{\"idle\": {}}}", held.len());
}

fn report(tally: &mut Tally, seconds: f64) {
    tally.latencies_us.sort_unstable();
    let at = |share: f64| {
        let index = (tally.latencies_us.len() as f64 * share) as usize;
        tally
            .latencies_us
            .get(index.min(tally.latencies_us.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    };
    println!(
        "{{\"requests\": {}, \"errors\": {}, \"bytes\": {}, \"seconds\": {seconds}, \"p50_us\": {}, \"p99_us\": {}, \"least\": {}, \"most\": {}}}",
        tally.requests,
        tally.errors,
        tally.bytes,
        at(0.50),
        at(0.99),
        tally.shares.iter().min().unwrap_or(&0),
        tally.shares.iter().max().unwrap_or(&0)
    );
}
