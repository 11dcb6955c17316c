//! The way up.

use super::house::{House, background, field, reason, status};

#[tokio::test]
async fn a_small_upload_arrives_whole_with_its_length_signed() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").await;
    let mut upstream = house.upstream().await;
    let (head, body) = upstream.message().await;
    assert_eq!((field(&head, "content-length"), body.as_slice()), (Some("5"), &b"hello"[..]));
    assert!(field(&head, "authorization").unwrap().contains("content-length"), "{head}");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 200);
}

#[tokio::test]
async fn a_large_upload_streams_and_its_bytes_are_the_same() {
    const SIZE: usize = 32 << 20;
    let body: Vec<u8> = (0..SIZE).map(|i| (i * 31 + i / 257) as u8).collect();
    let house = House::open().await;
    let mut client = house.client().await;
    let sent = body.clone();
    let sender = background(async move {
        client
            .write(format!("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n"))
            .await;
        client.write(&sent).await;
        client
    });
    let mut upstream = house.upstream().await;
    let (_, got) = upstream.message().await;
    assert!(got == body, "the bytes differ");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&sender.await.unwrap().head().await), 200);
}

#[tokio::test]
async fn a_chunked_upload_stays_chunked_and_an_empty_one_too() {
    let house = House::open().await;
    let mut client = house.client().await;
    client
        .write("PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        .await;
    let mut upstream = house.upstream().await;
    let head = upstream.head().await;
    assert_eq!(
        (field(&head, "transfer-encoding"), field(&head, "content-length")),
        (Some("chunked"), None)
    );
    client.write("lo\r\n1\r\n!\r\n0\r\n\r\n").await;
    let mut framed = Vec::new();
    while !framed.ends_with(b"0\r\n\r\n") {
        framed.extend(upstream.exactly(1).await);
    }
    let text = String::from_utf8(framed).unwrap();
    let data: String = text.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(data, "hello!", "{text:?}");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 200);
    client
        .write("PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .await;
    upstream.head().await;
    assert_eq!(upstream.exactly(5).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn a_broken_chunk_never_completes_the_upload() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    client.write("zz\r\n").await;
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (400, Some("malformed-body")));
    assert!(!upstream.rest().await.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_and_upstream_never_sees_the_expectation() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hello").await;
    let mut upstream = house.upstream().await;
    let (head, body) = upstream.message().await;
    assert_eq!((field(&head, "expect"), body.as_slice()), (None, &b"hello"[..]));
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 200);
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let house = House::open().await;
    let mut client = house.client().await;
    client
        .write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\nstart")
        .await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied").await;
    let (head, body) = client.message().await;
    assert_eq!(
        (status(&head), body.as_slice(), field(&head, "connection")),
        (403, &b"denied"[..], Some("close"))
    );
}

#[tokio::test]
async fn an_early_answer_is_heard_although_upstream_takes_no_more_bytes() {
    let house = House::open().await;
    let mut client = house.client().await;
    let sender = background(async move {
        client
            .write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
            .await;
        // More than all buffers on the way hold, so the proxy is stuck writing.
        let _: Result<_, _> = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            client.write(vec![0; 50_000_000]),
        )
        .await;
        client
    });
    let mut upstream = house.upstream().await;
    upstream.head().await;
    let client = sender.await;
    upstream.write("HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.unwrap().head().await), 507);
}

#[tokio::test]
async fn a_client_that_leaves_mid_upload_never_leaves_a_whole_object_behind() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    drop(client);
    assert_eq!(upstream.rest().await, b"half");
}

#[tokio::test]
async fn a_put_without_a_body_says_so_upstream() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("POST /a?uploads HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut upstream = house.upstream().await;
    let head = upstream.head().await;
    assert_eq!(field(&head, "content-length"), Some("0"));
}

#[tokio::test]
async fn a_multi_delete_without_a_digest_gets_one() {
    let house = House::open().await;
    let mut client = house.client().await;
    let xml = "<Delete><Object><Key>a</Key></Object></Delete>";
    client
        .write(format!(
            "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{xml}",
            xml.len()
        ))
        .await;
    let mut upstream = house.upstream().await;
    let (head, body) = upstream.message().await;
    // MD5 of the body above, base64, computed with a separate tool.
    assert_eq!(field(&head, "content-md5"), Some("aFPqFnlCon58cZ4Qt7zwvQ=="));
    assert_eq!(body, xml.as_bytes());
}

#[tokio::test]
async fn an_early_answer_survives_the_reset_that_follows_it() {
    let house = House::open().await;
    let mut client = house.client().await;
    client
        .write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\nstart")
        .await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied").await;
    // Unread bytes at the close make it a reset.
    drop(upstream);
    let _: Result<_, _> =
        tokio::time::timeout(std::time::Duration::from_millis(200), client.write(vec![0; 1 << 20]))
            .await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), body.as_slice()), (403, &b"denied"[..]));
}

#[tokio::test]
async fn an_interim_answer_during_an_upload_lets_it_go_on() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(upstream.exactly(5).await, b"hello");
    client.write("world").await;
    assert_eq!(upstream.exactly(5).await, b"world");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 200);
}

#[tokio::test]
async fn a_refused_request_is_never_told_to_continue() {
    let house = House::open().await;
    let mut client = house.client().await;
    client
        .write("PUT /a HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(status(&client.head().await), 421);
}

#[tokio::test]
async fn a_held_body_is_asked_for_when_the_client_waits() {
    let house = House::open().await;
    let mut client = house.client().await;
    let xml = "<Delete><Object><Key>a</Key></Object></Delete>";
    client
        .write(format!(
            "POST /?delete HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            xml.len()
        ))
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write(xml).await;
    let mut upstream = house.upstream().await;
    let (head, body) = upstream.message().await;
    assert_eq!((field(&head, "expect"), body.as_slice()), (None, xml.as_bytes()));
}
