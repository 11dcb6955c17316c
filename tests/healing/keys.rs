//! Keys that COS refuses.

use std::{sync::Arc, time::Duration};

use cos_auth_proxy::{
    credential::RefreshSettings,
    emulator::faults::{Fault, Service},
};
use tokio::task::JoinSet;

use super::house::{House, PATIENCE, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_that_meets_a_revoked_key_asks_once_and_loses_nothing() {
    const HERD: usize = 1000;
    let house = Arc::new(House::furnished(Plan::usual()).await);
    let asked = house.asked();
    house.emulator.accounts().revoke_all_temporary();
    // Long enough for most of the herd to be refused before the new key is there.
    house.emulator.faults().for_next(Service::Sts, 1, Fault::Slow(Duration::from_secs(1)));
    let mut herd = JoinSet::new();
    for _ in 0..HERD {
        let house = Arc::clone(&house);
        herd.spawn(async move { house.get().await.is_hello() });
    }
    while let Some(ended) = herd.join_next().await {
        ended.unwrap();
    }
    assert_eq!(house.asked() - asked, 1);
    let healed = house.retries("key_rejected");
    assert!(healed > 1, "{healed}");
    assert_eq!(house.emulator.seen().count_verdict(Service::Cos, "InvalidAccessKeyId"), healed);
    Arc::into_inner(house).unwrap().close().await;
}

#[tokio::test]
async fn every_code_that_names_the_key_gets_a_new_one_and_a_second_try() {
    let house = House::furnished(Plan::usual()).await;
    for code in ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "InvalidSecurityToken"] {
        let (asked, healed) = (house.asked(), house.retries("key_rejected"));
        // The key before the current one is refused as well, if it is there.
        house.emulator.accounts().revoke_all_temporary();
        house.emulator.faults().for_next(Service::Cos, 1, Fault::ErrorCode(code));
        house.get().await.is_hello();
        assert_eq!(
            (house.asked() - asked, house.retries("key_rejected") - healed),
            (1, 1),
            "{code}"
        );
    }
    house.close().await;
}

#[tokio::test]
async fn a_matter_of_policy_is_never_healed() {
    let house = House::furnished(Plan::usual()).await;
    let asked = house.asked();
    let denied = house
        .send("PUT /?acl HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b"")
        .await;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert!(denied.body.contains("<Code>AccessDenied</Code>"), "{denied:?}");
    assert_eq!(house.emulator.seen().count_verdict(Service::Cos, "AccessDenied"), 1);
    assert_eq!((house.asked(), house.retries("key_rejected")), (asked, 0));
    house.close().await;
}

#[tokio::test]
async fn a_new_key_that_cos_does_not_know_yet_costs_nobody_a_request() {
    let house = House::furnished(Plan::usual()).await;
    house.handle.refresh_now().await.unwrap();
    let asked = house.asked();
    house.emulator.accounts().set_latest_unknown_for(2);
    for _ in 0..10 {
        house.get().await.is_hello();
    }
    assert_eq!(house.asked(), asked, "nobody was rung");
    let again = house.retries("previous_key");
    assert!((1..=2).contains(&again), "{again}");
    assert!(house.counter("key_requests_on_previous_total") >= again);
    house.close().await;
}

#[tokio::test]
async fn a_key_of_which_there_is_no_other_is_refused_without_a_wait() {
    let house = Plan { static_key: true, ..Plan::usual() }.open().await;
    house.emulator.accounts().revoke("AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001");
    for _ in 0..5 {
        // The patience of a request for another key is as long as that of the whole test.
        let refused = house.get().await;
        assert!(refused.body.contains("InvalidAccessKeyId"), "{refused:?}");
        assert_eq!(refused.field("x-cos-auth-proxy-error"), None);
    }
    house.close().await;
}

#[tokio::test]
async fn when_forced_refreshes_are_used_up_the_refusal_passes_without_a_wait() {
    // Shorter than the interval of forced refreshes, longer than anybody shall wait here.
    let key_patience = Duration::from_secs(25);
    let plan = Plan { refresh: RefreshSettings::default(), key_patience, ..Plan::usual() };
    let house = House::furnished(plan).await;
    for expected in [200, 200, 403, 403] {
        if expected == 200 {
            house.emulator.accounts().revoke_all_temporary();
        } else {
            let latest = house.emulator.accounts().latest().unwrap();
            house.emulator.accounts().revoke(&latest.secret_id);
        }
        let answer = tokio::time::timeout(key_patience / 2, house.get()).await.expect("a wait");
        assert_eq!(answer.status, expected);
    }
    assert_eq!(house.asked(), 3, "the first, and a burst of two");
    house.close().await;
}

#[tokio::test]
async fn a_fault_of_sts_that_passes_soon_is_waited_out() {
    let house = House::furnished(Plan::usual()).await;
    house.emulator.accounts().revoke_all_temporary();
    house.emulator.faults().for_next(Service::Sts, 2, Fault::Status(500));
    house.get().await.is_hello();
    house.close().await;
}

#[tokio::test]
async fn a_held_upload_outlives_its_key_and_one_that_is_not_held_does_not() {
    for (replay_body_bytes, expected) in [(1024, 200), (0, 403)] {
        let house = House::furnished(Plan { replay_body_bytes, ..Plan::usual() }).await;
        house.emulator.accounts().revoke_all_temporary();
        let body = "held".repeat(256);
        assert_eq!(house.put("/b.txt", body.as_bytes()).await.status, expected);
        // The refusal rang the refresher in both cases.
        let swapped = async {
            while house.reader.status(house.clock.now()).swaps < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, swapped).await.unwrap();
        let got = house
            .send("GET /b.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"")
            .await;
        let stored = (got.status == 200).then_some(got.body);
        assert_eq!(stored, (expected == 200).then_some(body));
        house.close().await;
    }
}

/// The key is over and STS is away.
async fn without_a_key(plan: Plan) -> House {
    let house = House::furnished(plan).await;
    house.emulator.faults().until_cleared(Service::Sts, Fault::Status(500));
    house.sleeps(Duration::from_secs(3 * 3600));
    house
}

#[tokio::test]
async fn without_a_key_requests_wait_a_moment_and_are_told_when_to_come_back() {
    let plan = Plan { key_patience: Duration::from_millis(200), ..Plan::usual() };
    let house = without_a_key(plan).await;
    let refused = house.get().await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.field("retry-after"), Some("5"));
    assert_eq!(refused.field("x-cos-auth-proxy-error"), Some("no-key"));
    assert!(refused.body.contains("the key expired at"), "{refused:?}");
    house.emulator.faults().clear(Service::Sts);
    let back = async {
        while house.get().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.expect("one key ends it");
    house.close().await;
}

#[tokio::test]
async fn an_expired_key_may_be_tried_and_cos_has_the_last_word() {
    let patience = Duration::from_millis(200);
    let plan = Plan { key_patience: patience, try_expired_keys: true, ..Plan::usual() };
    let house = without_a_key(plan).await;
    let refused = house.get().await;
    assert_eq!((refused.status, refused.field("x-cos-auth-proxy-error")), (400, None));
    assert!(refused.body.contains("ExpiredToken"), "{refused:?}");
    assert_eq!(house.counter("key_requests_on_expired_total"), 1);
    house.close().await;
}

#[tokio::test]
async fn a_key_that_only_our_clock_thinks_expired_serves_when_it_is_tried() {
    let patience = Duration::from_millis(200);
    let plan = Plan { key_patience: patience, try_expired_keys: true, ..Plan::usual() };
    let house = House::furnished(plan).await;
    house.emulator.faults().until_cleared(Service::Sts, Fault::Close);
    // Our clocks run away by three hours, and no server is there to tell but COS.
    house.clock.suspend(Duration::from_secs(3 * 3600));
    house.get().await.is_hello();
    assert_eq!((house.counter("key_requests_on_expired_total"), house.retries("clock")), (1, 1));
    house.get().await.is_hello();
    assert_eq!(house.counter("key_requests_on_expired_total"), 1, "our clock knows better now");
    house.close().await;
}
