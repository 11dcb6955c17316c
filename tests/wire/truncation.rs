//! A body that was cut looks cut, whatever marks its end.

use std::time::Duration;

use socket2::SockRef;

use super::house::{House, Wire, status};

const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OLD_GET: &str = "GET /a HTTP/1.0\r\nHost: localhost\r\n\r\n";

fn reset(wire: Wire) {
    SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(wire);
}

#[tokio::test]
async fn a_reset_right_behind_the_bytes_is_not_taken_for_the_end_of_the_body() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        let house = House::open().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        upstream.write(head).await;
        client.head().await;
        upstream.write("hello").await;
        reset(upstream);
        let rest = client.rest().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?} looks whole");
    }
}

#[tokio::test]
async fn a_reset_reaches_a_client_that_knows_no_chunks_as_a_reset() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(OLD_GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    client.head().await;
    assert_eq!(client.exactly(5).await, b"hello");
    drop(upstream);
    assert!(client.is_reset().await, "the client saw an orderly end");
}

#[tokio::test]
async fn a_drain_that_cuts_a_body_resets_a_client_that_knows_no_chunks() {
    let mut house = House::open().await;
    let mut client = house.client().await;
    client.write(OLD_GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    client.head().await;
    assert_eq!(client.exactly(5).await, b"hello");
    assert!(!house.drain(Duration::from_millis(50)).await);
    assert!(client.is_reset().await, "the client saw an orderly end");
}

#[tokio::test]
async fn a_whole_body_ends_in_order_for_a_client_that_knows_no_chunks() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(OLD_GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\n\r\nhello").await;
    drop(upstream);
    assert_eq!(status(&client.head().await), 200);
    assert_eq!(client.exactly(5).await, b"hello");
    assert!(!client.is_reset().await);
}
