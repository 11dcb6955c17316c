//! Clients that are slow on purpose, and clients that are just slow.

use std::time::Duration;

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::{Instant, sleep, timeout},
};

use super::house::{House, PATIENCE, Plan, Wire, background, reason, status};

const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const PUT: &str = "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
const CHUNKED: &str = "PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const HELD: &str = "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";

/// More than all kernel buffers between upstream and a client that does not read.
const LARGE: usize = 24 << 20;

/// Every byte comes well within the patience, but a hundred times too few do.
fn strict() -> Plan {
    let mut plan = Plan::usual();
    plan.transport.stall_timeout = Duration::from_millis(500);
    plan.transport.body_min_rate = 10_000;
    plan
}

/// Sends `piece` every 10 ms until an answer or the end comes.
async fn drip(client: Wire, piece: &'static [u8]) -> Wire {
    let Wire { mut stream, .. } = client;
    let (mut reading, mut writing) = stream.split();
    let dripping = async {
        while writing.write_all(piece).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
        std::future::pending().await
    };
    let answered = async {
        let mut first = [0];
        reading.peek(&mut first).await
    };
    tokio::select! {
        answered = timeout(PATIENCE, answered) => drop(answered.expect("never ended").unwrap()),
        () = dripping => unreachable!("pending for ever"),
    }
    Wire::new(stream)
}

#[tokio::test]
async fn a_body_that_drips_in_is_refused_however_it_is_framed() {
    for (head, piece, sent_up) in
        [(PUT, b"x".as_slice(), true), (CHUNKED, b"1\r\nx\r\n", true), (HELD, b"x", false)]
    {
        let house = strict().open().await;
        let mut client = house.client().await;
        client.write(head).await;
        let mut upstream = None;
        if sent_up {
            let mut called = house.upstream().await;
            called.head().await;
            upstream = Some(called);
        }
        let mut client = drip(client, piece).await;
        let (head, _) = client.message().await;
        assert_eq!((status(&head), reason(&head)), (408, Some("body-timeout")));
        if let Some(mut upstream) = upstream {
            assert!(upstream.rest().await.len() < 1000, "upstream was let go");
        }
    }
}

#[tokio::test]
async fn a_body_that_drips_in_is_waited_for_when_no_rate_is_asked() {
    let mut plan = strict();
    plan.transport.body_min_rate = 0;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    // Twice the patience in all.
    for _ in 0..100 {
        client.write("x").await;
        sleep(Duration::from_millis(10)).await;
    }
    upstream.exactly(100).await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.message().await.0), 200);
}

/// A client with little room of its own, so that what it does not read stays with the proxy.
async fn narrow_client(house: &House, room: u32) -> Wire {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(room).unwrap();
    Wire::new(timeout(PATIENCE, socket.connect(house.address)).await.unwrap().unwrap())
}

/// Upstream's part of one large answer; it ends when the proxy lets go or has it all.
async fn answer_largely(mut upstream: Wire) {
    upstream.head().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
    upstream.write(head).await;
    let body = vec![b'x'; LARGE];
    drop(timeout(PATIENCE, upstream.stream.write_all(&body)).await.expect("never let go"));
}

#[tokio::test]
async fn a_client_that_reads_at_a_crawl_is_reset() {
    let house = strict().open().await;
    let mut client = narrow_client(&house, 4096).await;
    client.write(GET).await;
    let upstream = background(answer_largely(house.upstream().await));
    let crawl = async {
        let mut byte = [0; 8];
        loop {
            match client.stream.read(&mut byte).await {
                Ok(0) => panic!("ended in order: the client could take it for the whole"),
                Ok(_) => sleep(Duration::from_millis(10)).await,
                Err(problem) => return problem.kind(),
            }
        }
    };
    let end = timeout(PATIENCE, crawl).await.expect("never cut off");
    assert_eq!(end, std::io::ErrorKind::ConnectionReset);
    upstream.await.unwrap();
    assert_eq!(house.counter(r#"client_limits_total{effect="slow_reader"}"#), 1);
}

/// Linux only: elsewhere the kernel takes megabytes at once, and does not say how they fare.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_reads_slowly_but_reads_is_waited_for() {
    let mut plan = strict();
    plan.transport.stall_timeout = Duration::from_secs(2);
    let house = plan.open().await;
    let mut client = narrow_client(&house, 64 * 1024).await;
    client.write(GET).await;
    let upstream = background(answer_largely(house.upstream().await));
    client.head().await;
    // 500 KB/s. The kernel alone would keep silent for 1.4 MB: longer than the patience.
    let (began_at, mut read) = (Instant::now(), 0);
    while read < 2_500_000 {
        let due = (began_at.elapsed().as_secs_f64() * 500_000.0) as usize;
        read += client.exactly(due.saturating_sub(read)).await.len();
        sleep(Duration::from_millis(10)).await;
    }
    // Still served; all of it through so narrow a window could take longer than a test may.
    client.exactly(500_000).await;
    drop(client);
    upstream.await.unwrap();
}

#[tokio::test]
async fn slow_clients_of_every_kind_hold_up_nobody_and_are_ended() {
    const EACH: usize = 32;
    let mut plan = strict();
    plan.transport.head_timeout = Duration::from_secs(1);
    plan.transport.client_idle_timeout = Duration::from_secs(1);
    plan.transport.stall_timeout = Duration::from_secs(1);
    let house = plan.open().await;

    let mut heads = Vec::new();
    let mut bodies = Vec::new();
    let mut readers = Vec::new();
    let mut silent = Vec::new();
    let mut upstreams = Vec::new();
    for _ in 0..EACH {
        let mut head = house.client().await;
        head.write("GET /a HTTP/1.1\r\nHost: loc").await;
        heads.push(background(drip(head, b"a")));
        silent.push(house.client().await);

        let mut body = house.client().await;
        body.write(PUT).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        bodies.push(background(drip(body, b"x")));
        upstreams.push(background(async move { drop(upstream.rest().await) }));

        let mut reader = narrow_client(&house, 4096).await;
        reader.write(GET).await;
        upstreams.push(background(answer_largely(house.upstream().await)));
        readers.push(reader);
    }

    // Meanwhile somebody else is served, by the same thread.
    let mut other = house.client().await;
    let mut upstream = None;
    for _ in 0..20 {
        other.write(GET).await;
        let upstream = match &mut upstream {
            Some(kept) => kept,
            none => none.insert(house.upstream().await),
        };
        upstream.head().await;
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(other.message().await.1, b"ok");
    }

    for head in heads {
        let (head, _) = head.await.unwrap().message().await;
        assert_eq!((status(&head), reason(&head)), (408, Some("head-timeout")));
    }
    for body in bodies {
        let (head, _) = body.await.unwrap().message().await;
        assert_eq!((status(&head), reason(&head)), (408, Some("body-timeout")));
    }
    for mut silent in silent {
        assert!(silent.is_closed().await);
    }
    for upstream in upstreams {
        upstream.await.unwrap();
    }
    for reader in readers {
        let pending = SockRef::from(&reader.stream).take_error().unwrap();
        assert_eq!(pending.map(|e| e.kind()), Some(std::io::ErrorKind::ConnectionReset));
    }
    let cut = house.counter(r#"client_limits_total{effect="slow_reader"}"#);
    assert_eq!(cut, EACH as u64);
}
