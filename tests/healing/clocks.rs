//! Clocks that differ, and clocks that are set while requests run.

use std::{sync::Arc, time::Duration};

use cos_auth_proxy::emulator::faults::{Fault, Service};
use tokio::task::JoinSet;

use super::house::{House, PATIENCE, Plan};

const OFFSETS: [i64; 4] = [900, -900, 3600, -3600];

#[tokio::test]
async fn a_host_whose_clock_differs_from_the_start_learns_it_from_sts() {
    for servers_ahead in OFFSETS {
        let house = House::furnished(Plan { servers_ahead, ..Plan::usual() }).await;
        house.get().await.is_hello();
        assert_eq!(house.retries("clock"), 0, "{servers_ahead}");
        let learnt = house.clock.offset_millis() / 1000;
        assert!((learnt - servers_ahead).abs() <= 2, "{learnt}");
        house.close().await;
    }
}

#[tokio::test]
async fn a_host_whose_keys_come_from_elsewhere_learns_it_from_cos() {
    for servers_ahead in OFFSETS {
        let house = Plan { servers_ahead, static_key: true, ..Plan::usual() }.open().await;
        for _ in 0..3 {
            assert_eq!(house.put("/", b"").await.status, 409, "{servers_ahead}");
        }
        let learnt = house.clock.offset_millis() / 1000;
        assert!((learnt - servers_ahead).abs() <= 2, "{learnt}");
        // A quarter of an hour ahead is still inside the window: then nothing has to be repeated.
        assert_eq!(house.retries("clock"), u64::from(servers_ahead != 900), "{servers_ahead}");
        house.close().await;
    }
}

#[tokio::test]
async fn servers_that_are_set_while_requests_run_cost_one_repetition() {
    let house = House::furnished(Plan::usual()).await;
    let mut repeated = 0;
    for servers_ahead in [-900, 900, 3600, -3600, 0] {
        house.emulator.accounts().set_clock_offset(servers_ahead);
        for _ in 0..5 {
            house.get().await.is_hello();
        }
        let now = house.retries("clock");
        assert!(now <= repeated + 1, "{servers_ahead}: {now}");
        repeated = now;
        // STS may refuse our time once; the refresher learns it and asks again at once.
        let refreshed = house.handle.refresh_now().await;
        let refreshed = refreshed.or(house.handle.refresh_now().await);
        assert!(refreshed.is_ok(), "{servers_ahead}: {refreshed:?}");
        house.get().await.is_hello();
    }
    assert!(repeated >= 3, "{repeated}");
    assert_eq!(house.retries("key_rejected") + house.retries("previous_key"), 0);
    house.close().await;
}

#[tokio::test]
async fn of_a_herd_that_is_out_of_time_nobody_blames_the_key() {
    const HERD: u32 = 100;
    let house = Arc::new(House::furnished(Plan::usual()).await);
    let asked = house.asked();
    house.emulator.accounts().set_clock_offset(-900);
    // All are signed before the first is refused, and answered after the clock was corrected.
    let slow = Fault::Slow(Duration::from_millis(500));
    house.emulator.faults().for_next(Service::Cos, HERD, slow);
    let mut herd = JoinSet::new();
    for _ in 0..HERD {
        let house = Arc::clone(&house);
        herd.spawn(async move { house.get().await.is_hello() });
    }
    while let Some(ended) = herd.join_next().await {
        ended.unwrap();
    }
    assert!(house.retries("clock") > 1, "{}", house.retries("clock"));
    assert_eq!((house.retries("key_rejected"), house.asked()), (0, asked));
    Arc::into_inner(house).unwrap().close().await;
}

#[tokio::test]
async fn a_host_clock_that_is_set_while_requests_run_is_noticed_either_way() {
    for step in OFFSETS {
        let house = House::furnished(Plan::usual()).await;
        house.clock.step(step * 1000);
        // Before anybody compared the clocks: by the answer of COS.
        for _ in 0..3 {
            house.get().await.is_hello();
        }
        assert!(house.retries("clock") <= 1);
        // By comparing the clocks, before a request met it.
        house.clock.step(-2 * step * 1000);
        house.clock.look();
        let repeated = house.retries("clock");
        for _ in 0..3 {
            house.get().await.is_hello();
        }
        assert_eq!(house.retries("clock"), repeated, "{step}");
        assert!(house.clock.now().since(cos_auth_proxy::clock::Clock::system().now()) < PATIENCE);
        house.close().await;
    }
}

#[tokio::test]
async fn head_is_healed_by_the_date_alone() {
    let house = House::furnished(Plan::usual()).await;
    house.emulator.accounts().set_clock_offset(-3600);
    let answer = house
        .send("HEAD /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"")
        .await;
    assert_eq!((answer.status, house.retries("clock")), (200, 1));
    house.close().await;
}

#[tokio::test]
async fn an_upload_that_cannot_be_repeated_still_teaches_the_time() {
    let house = House::furnished(Plan::usual()).await;
    house.emulator.accounts().set_clock_offset(-3600);
    let chunked = "PUT /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let refused = house.send(chunked, b"5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(house.send(chunked, b"5\r\nhello\r\n0\r\n\r\n").await.status, 200);
    assert_eq!((house.retries("clock"), house.retries("key_rejected")), (0, 0));
    house.close().await;
}

#[tokio::test]
async fn a_machine_that_slept_past_its_key_loses_no_request() {
    let house = House::furnished(Plan::usual()).await;
    let asked = house.asked();
    house.sleeps(Duration::from_secs(3 * 3600));
    // The first request finds the key over, and the refresher is woken by its waiting.
    house.get().await.is_hello();
    assert_eq!(house.asked() - asked, 1);
    assert_eq!(house.emulator.seen().count_verdict(Service::Cos, "ExpiredToken"), 0);
    house.close().await;
}
