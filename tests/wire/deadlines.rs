//! Nothing waits for ever.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::house::{Plan, reason, status};

const SHORT: Duration = Duration::from_millis(80);
const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_is_refused() {
    let mut plan = Plan::usual();
    plan.transport.head_timeout = SHORT;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write("GET /a HTTP/1.1\r\nHo").await;
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (408, Some("head-timeout")));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn an_idle_client_connection_is_closed() {
    let mut plan = Plan::usual();
    plan.transport.client_idle_timeout = SHORT;
    let house = plan.open().await;
    assert!(house.client().await.is_closed().await);
}

#[tokio::test]
async fn upstream_that_never_answers_is_a_504() {
    let mut plan = Plan::usual();
    plan.transport.first_byte_timeout = SHORT;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (504, Some("upstream-first-byte-timeout")));
    assert!(upstream.is_closed().await);
}

#[tokio::test]
async fn an_answer_that_stalls_is_cut() {
    let mut plan = Plan::usual();
    plan.transport.stall_timeout = SHORT;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell").await;
    client.head().await;
    assert!(client.rest().await.len() < 10);
    assert!(upstream.is_closed().await);
}

#[tokio::test]
async fn an_upload_that_stalls_is_refused_with_408() {
    let mut plan = Plan::usual();
    plan.transport.stall_timeout = SHORT;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhell").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (408, Some("body-timeout")));
    assert_eq!(upstream.rest().await, b"hell");
}

#[tokio::test]
async fn an_idle_upstream_connection_is_not_kept_past_its_life() {
    let mut plan = Plan::usual();
    plan.transport.pool_idle_timeout = SHORT;
    plan.transport.client_idle_timeout = Duration::from_millis(400);
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    client.message().await;
    assert!(upstream.is_closed().await);
}

#[tokio::test]
async fn an_answer_whose_head_drips_in_is_given_up() {
    let mut plan = Plan::usual();
    plan.transport.stall_timeout = Duration::from_millis(300);
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\n").await;
    let drip = async {
        // Each byte comes well within the deadline; the head never ends.
        while upstream.stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending().await
    };
    let (head, _) = tokio::select! {
        message = client.message() => message,
        () = drip => unreachable!("pending for ever"),
    };
    assert_eq!((status(&head), reason(&head)), (504, Some("stalled")));
}
