//! Connections of both sides over their life.

use std::time::Duration;

use super::house::{House, Plan, example_key, reason, status};
use cos_auth_proxy::clock::Clock;

const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let house = House::open().await;
    let mut client = house.client().await;
    client
        .write("GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nPUT /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let mut upstream = house.upstream().await;
    for number in 1..=3 {
        let (head, body) = upstream.message().await;
        assert!(head.contains(&format!(" /{number} HTTP/1.1")), "{head}");
        assert_eq!(body.is_empty(), number != 2);
        upstream.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}")).await;
    }
    for number in 1..=3 {
        assert_eq!(client.message().await.1, number.to_string().as_bytes());
    }
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let house = House::open().await;
    let mut client = house.client().await;
    for byte in GET.as_bytes() {
        client.write([*byte]).await;
    }
    let mut upstream = house.upstream().await;
    upstream.head().await;
    for byte in OK.as_bytes() {
        upstream.write([*byte]).await;
    }
    assert_eq!(client.message().await.1, b"ok");
}

#[tokio::test]
async fn a_connection_upstream_closed_while_idle_costs_no_request() {
    let house = House::open().await;
    let mut client = house.client().await;
    for _ in 0..3 {
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        upstream.write(OK).await;
        assert_eq!(client.message().await.1, b"ok");
        drop(upstream);
    }
}

#[tokio::test]
async fn a_reused_connection_that_dies_before_answering_a_get_is_replaced_once() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    client.message().await;
    client.write(GET).await;
    upstream.head().await;
    drop(upstream);
    let mut second = house.upstream().await;
    second.head().await;
    drop(second);
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (502, Some("upstream-closed")));
    assert!(!house.upstream_is_called().await, "tried a third time");
}

#[tokio::test]
async fn a_put_that_may_have_been_carried_out_is_never_sent_twice() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    client.message().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    upstream.message().await;
    drop(upstream);
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (502, Some("upstream-closed")));
    assert!(!house.upstream_is_called().await);
}

#[tokio::test]
async fn a_client_that_leaves_while_waiting_takes_the_upstream_connection_along() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    drop(client);
    assert!(upstream.is_closed().await);
}

#[tokio::test]
async fn without_a_key_the_answer_is_503_until_one_comes() {
    let mut plan = Plan::usual();
    plan.with_key = false;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (503, Some("no-key")));
    assert!(super::house::field(&head, "retry-after").is_some());
    assert!(String::from_utf8(body).unwrap().contains("<Code>ServiceUnavailable</Code>"));
    // The same connection is served once the key is there, also if it comes while a request waits.
    client.write(GET).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    house.writer.as_ref().unwrap().publish(example_key(&Clock::system()));
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    assert_eq!(client.message().await.1, b"ok");
}

#[tokio::test]
async fn upstream_that_refuses_connections_is_a_502_that_says_so() {
    let mut plan = Plan::usual();
    plan.nobody_upstream = true;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (502, Some("upstream-connect")));
    assert!(String::from_utf8(body).unwrap().contains("cannot connect to 127.0.0.1:"));
    // The request was whole, so the connection goes on.
    client.write(GET).await;
    assert_eq!(status(&client.message().await.0), 502);
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_closes_what_idles() {
    let mut house = House::open().await;
    let mut idle = house.client().await;
    idle.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    idle.message().await;
    let mut busy = house.client().await;
    busy.write(GET).await;
    upstream.head().await;
    let (clean, ()) = tokio::join!(house.drain(Duration::from_secs(5)), async {
        assert!(idle.is_closed().await);
        upstream.write(OK).await;
        let (head, body) = busy.message().await;
        assert_eq!(
            (body.as_slice(), super::house::field(&head, "connection")),
            (&b"ok"[..], Some("close"))
        );
    });
    assert!(clean, "the drain was cut");
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_cut_and_says_so() {
    let mut house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    assert!(!house.drain(Duration::from_millis(50)).await);
    assert!(client.is_closed().await);
}
