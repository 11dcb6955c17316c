//! What never reaches upstream.

use super::house::{House, Plan, field, reason, status};

/// Each of these is ambiguous or broken: one 4xx with a COS-shaped body, then the close.
const BROKEN: &[(&str, u16)] = &[
    ("GET /a HTTP/1.1\nHost: localhost\n\n", 400),
    ("GET /a HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\n\r\n", 400),
    ("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    (
        "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\nx", 400),
    (
        "PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    ("GET /a HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("GET  /a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("GET /a HTTP/3.0\r\nHost: localhost\r\n\r\n", 400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    ("TRACE /a HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
];

#[tokio::test]
async fn broken_and_ambiguous_requests_get_one_answer_and_the_close() {
    let house = House::open().await;
    for (request, expected) in BROKEN {
        let mut client = house.client().await;
        client.write(request).await;
        let (head, body) = client.message().await;
        assert_eq!(status(&head), *expected, "{request:?}\n{head}");
        assert!(
            reason(&head).is_some() && field(&head, "x-cos-request-id").is_some(),
            "{request:?}"
        );
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("<Code>") && body.contains("<Message>"), "{body}");
        assert_eq!(field(&head, "connection"), Some("close"), "{request:?}");
        // Shut down our side, so that the proxy need not wait out its patience with us.
        drop(client);
    }
    assert!(!house.upstream_is_called().await, "something reached upstream");
}

#[tokio::test]
async fn a_foreign_host_is_misdirected_and_the_connection_stays() {
    let house = House::open().await;
    let mut client = house.client().await;
    for _ in 0..2 {
        client.write("GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
        let (head, _) = client.message().await;
        assert_eq!(status(&head), 421);
    }
    assert!(!house.upstream_is_called().await);
}

#[tokio::test]
async fn a_head_over_the_limits_is_refused_as_it_arrives() {
    let mut plan = Plan::usual();
    plan.transport.request_limits.head_bytes = 4096;
    let house = plan.open().await;
    let mut client = house.client().await;
    client
        .write(format!("GET /a HTTP/1.1\r\nHost: localhost\r\nX-Pad: {}", "a".repeat(8000)))
        .await;
    let (head, _) = client.message().await;
    assert_eq!(status(&head), 431);
}

#[tokio::test]
async fn a_refused_upload_does_not_poison_the_next_request() {
    let house = House::open().await;
    let mut client = house.client().await;
    let inner = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client
        .write(format!(
            "PUT /a HTTP/1.1\r\nHost: evil.example\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        ))
        .await;
    let (head, _) = client.message().await;
    assert_eq!(status(&head), 421);
    client.stream.set_nodelay(true).unwrap();
    assert!(!house.upstream_is_called().await, "a body was taken for a request");
}
