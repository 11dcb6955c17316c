//! The way down.

use super::house::{House, Plan, field, status};
use std::time::Duration;

const GET: &str = "GET /a.txt HTTP/1.1\r\nHost: localhost:9000\r\n\r\n";

#[tokio::test]
async fn a_get_arrives_signed_and_its_answer_untouched() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    let head = upstream.head().await;
    assert!(head.starts_with("GET /a.txt HTTP/1.1\r\n"), "{head}");
    assert_eq!(
        field(&head, "host"),
        Some("examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com")
    );
    assert!(
        field(&head, "authorization")
            .unwrap()
            .starts_with("q-sign-algorithm=sha1&q-ak=AKIDwiretest")
    );
    assert_eq!(field(&head, "x-cos-security-token"), Some("wiretesttoken"));
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\nx-cos-request-id: R1\r\n\r\nhello").await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), body.as_slice()), (200, &b"hello"[..]));
    assert_eq!(
        (field(&head, "etag"), field(&head, "x-cos-request-id")),
        (Some("\"x\""), Some("R1"))
    );
    assert_eq!(field(&head, "connection"), None);
}

#[tokio::test]
async fn both_connections_serve_the_next_request() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    for round in 0..5 {
        if round > 0 {
            client.write(GET).await;
        }
        upstream.head().await;
        upstream.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{round}")).await;
        assert_eq!(client.message().await.1, round.to_string().as_bytes());
    }
    assert!(!house.upstream_is_called().await, "a second upstream connection was opened");
}

#[tokio::test]
async fn answers_without_a_body_end_at_their_head() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((status(&head), field(&head, "content-length")), (200, Some("1234")));
    for code in [204, 304] {
        client.write(GET).await;
        upstream.head().await;
        upstream.write(format!("HTTP/1.1 {code} X\r\nETag: \"e\"\r\n\r\n")).await;
        assert_eq!(status(&client.head().await), code);
    }
}

#[tokio::test]
async fn a_chunked_answer_stays_chunked_and_whole_for_1_1_and_becomes_plain_for_1_0() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    upstream.write("6\r\n world\r\n0\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        body.extend(client.exactly(1).await);
    }
    assert_eq!(dechunk(&body), b"hello world");

    let mut old = house.client().await;
    old.write("GET /a HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").await;
    let head = old.head().await;
    assert_eq!(field(&head, "transfer-encoding"), None);
    assert_eq!(old.rest().await, b"hello world");
}

fn dechunk(mut framed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = framed.windows(2).position(|w| w == b"\r\n").unwrap();
        let size =
            usize::from_str_radix(std::str::from_utf8(&framed[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&framed[line + 2..line + 2 + size]);
        framed = &framed[line + 4 + size..];
    }
}

#[tokio::test]
async fn a_body_cut_by_upstream_looks_cut_to_the_client() {
    for framing in
        ["Content-Length: 10\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n"]
    {
        let house = House::open().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        upstream.write(format!("HTTP/1.1 200 OK\r\n{framing}")).await;
        drop(upstream);
        client.head().await;
        let rest = client.rest().await;
        assert!(rest.len() < 10 && !rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_is_delimited_for_the_client() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\n\r\nhello").await;
    drop(upstream);
    let head = client.head().await;
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        body.extend(client.exactly(1).await);
    }
    assert_eq!(dechunk(&body), b"hello");
}

#[tokio::test]
async fn interim_answers_are_swallowed_and_a_flood_of_them_refused() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 200);
    client.write(GET).await;
    upstream.head().await;
    upstream.write("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).await;
    assert_eq!(status(&client.message().await.0), 502);
}

#[tokio::test]
async fn bytes_after_an_answer_end_that_upstream_connection() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").await;
    assert_eq!(client.message().await.1, b"ok");
    client.write(GET).await;
    let mut fresh = house.upstream().await;
    fresh.head().await;
    fresh.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean").await;
    assert_eq!(client.message().await.1, b"clean");
}

#[tokio::test]
async fn a_large_answer_streams_while_the_client_reads_and_waits_while_it_does_not() {
    const SIZE: usize = 64 << 20;
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
    client.head().await;
    // Nobody reads: the writer must come to a stop long before the whole body is gone.
    let piece = vec![7; 1 << 20];
    let mut sent = 0;
    while sent < SIZE {
        let wrote = tokio::time::timeout(Duration::from_millis(300), upstream.write(&piece)).await;
        if wrote.is_err() {
            break;
        }
        sent += piece.len();
    }
    assert!(sent < SIZE, "the proxy took {sent} bytes that nobody read");
}

#[tokio::test]
async fn an_unacceptable_answer_becomes_a_502_and_its_connection_is_dropped() {
    for bad in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let house = House::open().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        upstream.write(bad).await;
        let (head, _) = client.message().await;
        assert_eq!(
            (status(&head), super::house::reason(&head)),
            (502, Some("upstream-malformed")),
            "{bad:?}"
        );
        assert!(upstream.is_closed().await);
    }
}

#[tokio::test]
async fn a_header_bomb_is_refused_without_being_kept() {
    let house = Plan::usual().open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\n").await;
    let line = format!("X-Pad: {}\r\n", "a".repeat(1000));
    for _ in 0..70 {
        upstream.write(&line).await;
    }
    let (head, _) = client.message().await;
    assert_eq!(status(&head), 502);
}

#[tokio::test]
async fn an_error_that_names_the_key_passes_untouched_and_is_reported_to_the_refresher() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    // Plain, split in the middle of the code, and chunked: the code is found all the same.
    for (status_line, halves) in [
        ("400 Bad Request", ["<Error><Code>ExpiredToken</Code></Error>", ""]),
        ("403 Forbidden", ["<Error><Code>InvalidAcc", "essKeyId</Code></Error>"]),
        (
            "403 Forbidden",
            ["<Error><Code>AccessDenied</Code>", "<Message>Access Denied.</Message></Error>"],
        ),
    ] {
        upstream.head().await;
        let length = halves.concat().len();
        upstream
            .write(format!(
                "HTTP/1.1 {status_line}\r\nContent-Length: {length}\r\n\r\n{}",
                halves[0]
            ))
            .await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        upstream.write(halves[1]).await;
        assert_eq!(client.message().await.1, halves.concat().as_bytes());
        client.write(GET).await;
    }
    let metrics = house.registry.encode();
    let rejections: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("cos_auth_proxy_key_rejections_total"))
        .collect();
    assert_eq!(rejections.len(), 2, "{rejections:?}");
    for code in ["ExpiredToken", "InvalidAccessKeyId"] {
        assert!(
            rejections.iter().any(|line| line.contains(code) && line.ends_with(" 1")),
            "{rejections:?}"
        );
    }
}
