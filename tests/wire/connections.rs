//! Connections of both sides over their life.

use std::{sync::Arc, time::Duration};

use cos_auth_proxy::{clock::Clock, transport::ListenAddress};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::house::{House, Plan, Wire, example_key, field, reason, status};

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
    assert!(field(&head, "retry-after").is_some());
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
        assert_eq!((body.as_slice(), field(&head, "connection")), (&b"ok"[..], Some("close")));
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

#[tokio::test]
async fn a_request_behind_a_held_body_is_never_taken_for_that_body() {
    let mut plan = Plan::usual();
    plan.nobody_upstream = true;
    let house = plan.open().await;
    let mut client = house.client().await;
    let xml = "<Delete><Object><Key>a</Key></Object></Delete>";
    client
        .write(format!(
            "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{xml}{GET}{GET}",
            xml.len()
        ))
        .await;
    for number in 1..=3 {
        let (head, _) = client.message().await;
        assert_eq!(status(&head), 502, "answer {number}: {head}");
    }
}

#[tokio::test]
async fn a_drain_at_the_limit_of_connections_does_not_wait_for_a_place() {
    let mut plan = Plan::usual();
    plan.transport.connections = 1;
    let mut house = plan.open().await;
    let mut idle = house.client().await;
    idle.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    idle.message().await;
    let (clean, closed) = tokio::join!(house.drain(Duration::from_secs(5)), idle.is_closed());
    assert!(clean && closed);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_served_when_another_ends() {
    let mut plan = Plan::usual();
    plan.transport.connections = 1;
    plan.transport.listen.push(ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()));
    let house = plan.open().await;
    let mut first = house.client().await;
    first.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    first.message().await;
    let ListenAddress::Tcp(other) = house.addresses[1] else { panic!("TCP was asked for") };
    let mut second = Wire::new(TcpStream::connect(other).await.unwrap());
    second.write(GET).await;
    drop(first);
    upstream.head().await;
    upstream.write(OK).await;
    assert_eq!(second.message().await.1, b"ok");
}

#[tokio::test]
async fn unix_sockets_and_ipv6_serve_like_ipv4() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.sock");
    let mut plan = Plan::usual();
    plan.transport.listen.push(ListenAddress::Unix(path.clone()));
    plan.transport.listen.push(ListenAddress::Tcp("[::1]:0".parse().unwrap()));
    let mut house = plan.open().await;
    let mut unix = UnixStream::connect(&path).await.unwrap();
    unix.write_all(b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    let mut answer = Vec::new();
    unix.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nok"));
    for address in house.addresses.clone() {
        // A host without IPv6 leaves that address out.
        let ListenAddress::Tcp(address) = address else { continue };
        let mut client = Wire::new(TcpStream::connect(address).await.unwrap());
        client.write(GET).await;
        upstream.head().await;
        upstream.write(OK).await;
        assert_eq!(client.message().await.1, b"ok", "{address}");
    }
    assert!(house.drain(Duration::from_secs(5)).await);
    assert!(!path.exists(), "the socket's file was left behind");
}

#[tokio::test]
async fn a_connection_that_arrives_just_before_the_drain_is_heard() {
    let mut house = House::open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let (clean, ()) =
        tokio::join!(house.running.take().unwrap().drain(Duration::from_secs(5)), async {
            let mut upstream = house.upstream().await;
            upstream.head().await;
            upstream.write(OK).await;
            assert_eq!(client.message().await.1, b"ok");
        });
    assert!(clean);
}

#[tokio::test]
async fn nothing_after_connection_close_is_carried_out() {
    let house = House::open().await;
    let mut client = house.client().await;
    client
        .write(format!("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n{GET}"))
        .await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    assert_eq!(client.message().await.1, b"ok");
    assert!(client.is_closed().await);
    assert!(!house.upstream_is_called().await);
}

#[tokio::test]
async fn an_old_client_may_keep_its_connection_by_saying_so() {
    let house = House::open().await;
    let mut client = house.client().await;
    let get = "GET /a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    client.write(get).await;
    let mut upstream = house.upstream().await;
    for _ in 0..2 {
        upstream.head().await;
        upstream.write(OK).await;
        let (head, body) = client.message().await;
        assert_eq!(field(&head, "connection"), Some("keep-alive"));
        assert_eq!(body, b"ok");
        client.write(get).await;
    }
}

#[tokio::test]
async fn gauges_return_to_zero_however_a_request_ends() {
    let mut house = House::open().await;
    // Answered, left by the client, cut by upstream, refused.
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(OK).await;
    client.message().await;
    client.write(GET).await;
    upstream.head().await;
    drop(client);
    assert!(upstream.is_closed().await);
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx").await;
    drop(upstream);
    client.rest().await;
    let mut client = house.client().await;
    client.write("nonsense\r\n\r\n").await;
    client.message().await;
    drop(client);
    let meters = Arc::clone(&house.meters);
    assert!(house.drain(Duration::from_secs(5)).await);
    assert_eq!((meters.requests_in_flight(), meters.client_connections()), (0, 0));
    assert_eq!(meters.requests_total(), 4);
}
