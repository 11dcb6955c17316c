//! How many connections there may be, and how many requests each may carry.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::house::{House, PATIENCE, Plan, Wire, field, reason, status};

const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const REFUSED: &str = "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn answer(upstream: &mut Wire) {
    upstream.head().await;
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
}

#[tokio::test]
async fn a_connection_ends_with_its_last_request_and_says_so() {
    let mut plan = Plan::usual();
    plan.transport.requests_per_connection = 3;
    let house = plan.open().await;
    let mut client = house.client().await;
    // Refused ones count too. The fourth is never heard.
    client.write([GET, REFUSED, GET, GET].concat()).await;
    let mut upstream = house.upstream().await;
    let mut said = Vec::new();
    for proxied in [true, false, true] {
        if proxied {
            answer(&mut upstream).await;
        }
        let (head, _) = client.message().await;
        said.push((status(&head), field(&head, "connection").map(str::to_owned)));
    }
    let close = Some("close".to_owned());
    assert_eq!(said, [(200, None), (400, None), (200, close)]);
    assert!(client.is_closed().await);
    assert_eq!(house.counter(r#"client_limits_total{effect="retired"}"#), 1);
    // Upstream's connection is none of that: the next client goes on with it.
    let mut next = house.client().await;
    next.write(GET).await;
    answer(&mut upstream).await;
    assert_eq!(status(&next.message().await.0), 200);
}

#[tokio::test]
async fn a_refusal_may_be_the_last_answer_of_a_connection() {
    let mut plan = Plan::usual();
    plan.transport.requests_per_connection = 1;
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write([REFUSED, GET].concat()).await;
    let (head, _) = client.message().await;
    assert_eq!((reason(&head), field(&head, "connection")), (Some("bad-escape"), Some("close")));
    assert!(client.is_closed().await);
    assert!(!house.upstream_is_called().await);
}

async fn full_house() -> House {
    let mut plan = Plan::usual();
    plan.transport.connections = 2;
    plan.open().await
}

/// Waits until a series has this value.
async fn until(house: &House, series: &str, value: u64) {
    let late = Instant::now() + PATIENCE;
    while house.counter(series) != value {
        assert!(Instant::now() < late, "{series} is {}, not {value}", house.counter(series));
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn at_the_limit_what_idles_longest_makes_room() {
    let house = full_house().await;
    let (mut oldest, mut older) = (house.client().await, house.client().await);
    for client in [&mut oldest, &mut older] {
        client.write(REFUSED).await;
        client.message().await;
    }
    let mut third = house.client().await;
    third.write(REFUSED).await;
    assert_eq!(status(&third.message().await.0), 400);
    assert!(oldest.is_closed().await);
    older.write(REFUSED).await;
    assert_eq!(status(&older.message().await.0), 400);
    for (series, expected) in [
        (r#"client_limits_total{effect="waited"}"#, 1),
        (r#"client_limits_total{effect="idle_closed"}"#, 1),
        ("client_connections_waiting", 0),
    ] {
        assert_eq!(house.counter(series), expected, "{series}");
    }
}

#[tokio::test]
async fn at_the_limit_what_is_busy_is_left_alone() {
    let house = full_house().await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        busy.push((client, upstream));
    }
    let mut third = house.client().await;
    third.write(GET).await;
    until(&house, "client_connections_waiting", 1).await;
    // Longer than an idle one would be left alone; the one that waits is not served meanwhile.
    sleep(Duration::from_millis(2500)).await;
    assert!(!house.upstream_is_called().await);
    for (client, upstream) in &mut busy {
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.message().await.1, b"ok");
    }
    drop(busy);
    let mut upstream = house.upstream().await;
    answer(&mut upstream).await;
    assert_eq!(status(&third.message().await.0), 200);
    assert_eq!(house.counter(r#"client_limits_total{effect="idle_closed"}"#), 0);
}
