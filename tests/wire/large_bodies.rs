//! Large bodies, copied and spliced: one table of what must be the same on both paths.

use std::time::Duration;

use super::house::{House, PATIENCE, Plan, Wire, reason, status};

const LARGE: usize = 3 << 20;
const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SHORT: Duration = Duration::from_millis(300);

/// Both ways a body can go.
async fn both(set: impl Fn(&mut Plan)) -> Vec<(&'static str, House)> {
    let mut houses = Vec::new();
    for (name, splice) in [("copied", false), ("spliced", true)] {
        let mut plan = Plan::usual();
        plan.transport.splice = splice;
        set(&mut plan);
        houses.push((name, plan.open().await));
    }
    houses
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn put(len: usize) -> String {
    format!("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n")
}

fn ok(len: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n")
}

/// The request is signed and upstream's answer begun.
async fn begin_get(house: &House, len: usize) -> (Wire, Wire) {
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(ok(len)).await;
    client.head().await;
    (client, upstream)
}

async fn begin_put(house: &House, len: usize) -> (Wire, Wire) {
    let mut client = house.client().await;
    client.write(put(len)).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    (client, upstream)
}

/// Reads on, whatever comes.
async fn ends_in_reset(client: &mut Wire) -> bool {
    use tokio::io::AsyncReadExt;
    let mut piece = vec![0; LARGE];
    loop {
        match tokio::time::timeout(PATIENCE, client.stream.read(&mut piece)).await.unwrap() {
            Ok(0) => return false,
            Ok(_) => {}
            Err(problem) => return problem.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[tokio::test]
async fn every_byte_arrives_is_counted_and_the_next_request_goes_over_the_same_connections() {
    // Around the least that is spliced, and around what one pipe holds.
    for len in [65_535, 65_536, 65_537, 100_000, 1 << 20, (1 << 20) + 1, LARGE] {
        let body = pattern(len);
        for (path, house) in both(|_| {}).await {
            let (mut client, mut upstream) = begin_get(&house, len).await;
            let (got, ()) = tokio::join!(client.exactly(len), upstream.write(&body));
            assert!(got == body, "{path}: {len} bytes down");

            client.write(put(len)).await;
            upstream.head().await;
            let (got, ()) = tokio::join!(upstream.exactly(len), client.write(&body));
            assert!(got == body, "{path}: {len} bytes up");
            upstream.write(ok(0)).await;
            assert_eq!(status(&client.head().await), 200);

            let n = len as u64;
            assert_eq!(house.counter("response_body_bytes_total"), n, "{path}");
            assert_eq!(house.counter("request_body_bytes_total"), n, "{path}");
        }
    }
}

#[tokio::test]
async fn the_next_request_behind_an_upload_is_not_taken_for_its_body() {
    let body = pattern(LARGE);
    for (path, house) in both(|_| {}).await {
        let (mut client, mut upstream) = begin_put(&house, LARGE).await;
        let sending = async {
            client.write(&body).await;
            client.write(GET).await;
        };
        let (got, ()) = tokio::join!(upstream.exactly(LARGE), sending);
        assert!(got == body, "{path}");
        upstream.write(ok(0)).await;
        assert_eq!(status(&client.head().await), 200, "{path}");
        assert!(upstream.head().await.starts_with("GET /a "), "{path}");
    }
}

#[tokio::test]
async fn a_cut_answer_resets_the_client() {
    for (path, house) in both(|_| {}).await {
        let (mut client, mut upstream) = begin_get(&house, LARGE).await;
        upstream.write(pattern(LARGE / 3)).await;
        drop(upstream);
        assert!(ends_in_reset(&mut client).await, "{path}: the client saw an orderly end");
    }
}

#[tokio::test]
async fn a_stalled_answer_is_cut_and_a_stalled_upload_refused() {
    for (path, house) in both(|plan| plan.transport.stall_timeout = SHORT).await {
        let (mut client, mut upstream) = begin_get(&house, LARGE).await;
        upstream.write(pattern(LARGE / 3)).await;
        client.exactly(LARGE / 3).await;
        assert!(client.is_reset().await, "{path}: the client saw an orderly end");
        assert!(upstream.is_closed().await, "{path}");

        let (mut client, mut upstream) = begin_put(&house, LARGE).await;
        let third = pattern(LARGE / 3);
        let (_, ()) = tokio::join!(upstream.exactly(LARGE / 3), client.write(&third));
        let head = client.head().await;
        assert_eq!((status(&head), reason(&head)), (408, Some("body-timeout")), "{path}");
        assert!(upstream.is_closed().await, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_upstreams_connection() {
    for (path, house) in both(|_| {}).await {
        let (mut client, mut upstream) = begin_put(&house, LARGE).await;
        client.write(pattern(LARGE / 3)).await;
        drop(client);
        let got = upstream.rest().await;
        assert!(got.len() <= LARGE / 3, "{path}: {} bytes", got.len());

        let (client, mut upstream) = begin_get(&house, LARGE).await;
        drop(client);
        let body = pattern(LARGE);
        let writing = tokio::time::timeout(PATIENCE, async {
            use tokio::io::AsyncWriteExt;
            while upstream.stream.write_all(&body).await.is_ok() {}
        });
        writing.await.unwrap_or_else(|_| panic!("{path}: upstream's connection stays open"));
    }
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    for (path, house) in both(|_| {}).await {
        let (mut client, mut upstream) = begin_put(&house, LARGE).await;
        client.write(pattern(LARGE / 3)).await;
        upstream.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(status(&client.head().await), 403, "{path}");
        drop(upstream);
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_and_end_its_connection() {
    let body = pattern(LARGE);
    for (path, house) in both(|_| {}).await {
        let (mut client, mut upstream) = begin_get(&house, LARGE).await;
        let sending = async {
            upstream.write(&body).await;
            upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        };
        let (got, ()) = tokio::join!(client.exactly(LARGE), sending);
        assert!(got == body, "{path}");
        client.write(GET).await;
        // A new connection: the old one said more than it was asked.
        let mut next = house.upstream().await;
        next.head().await;
        next.write(ok(0)).await;
        assert_eq!(status(&client.head().await), 200, "{path}");
    }
}
