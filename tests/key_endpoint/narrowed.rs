//! Keys for one scope: never more than the key set's own, and what is refused is said.

use std::time::Duration;

use cos_auth_proxy::emulator::{
    accounts::Subject,
    faults::{Fault, Service},
};

use crate::house::{BUCKET, House, Proxy};

const HOUR: Duration = Duration::from_secs(3600);
const ON: &str = "[key_endpoint]\naddress = [\"127.0.0.1:0\"]\n";

fn scope(action: &str, bucket: &str, prefix: &str) -> String {
    serde_json::json!([{
        "action": action, "bucket": bucket, "region": "ap-guangzhou", "prefix": prefix,
    }])
    .to_string()
}

async fn broker(house: &House) -> Proxy {
    let broker = house.proxy(&format!("{ON}{}", house.federation()), HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    broker
}

#[tokio::test]
async fn a_scope_gets_a_key_of_its_own_whose_end_is_told_early() {
    let house = House::open(HOUR).await;
    let broker = broker(&house).await;
    let body = scope("name/cos:GetObject", BUCKET, "a/*");
    let key = broker.ask("POST /sts", &body).await.json();
    let issued = house.emulator.accounts().latest().unwrap();
    assert_eq!(key["credentials"]["tmpSecretId"], issued.secret_id.as_str());
    assert_eq!(key["expiredTime"], issued.expires_at - 60);
    let of = |key: &str| format!("qcs::cos:ap-guangzhou:uid/1250000000:{BUCKET}/{key}");
    let policy = issued.policy.as_ref().unwrap();
    assert!(policy.allows("name/cos:GetObject", &of("a/x")));
    assert!(!policy.allows("name/cos:GetObject", &of("b/x")));
    let again = broker.ask("POST /sts", &body).await.json();
    assert_eq!(again["credentials"], key["credentials"]);
    assert_eq!(house.emulator.seen().count(Service::Sts), 2, "the set's own key, and this one");
    let page = broker.metrics().await;
    for line in [
        "cos_auth_proxy_key_endpoint_requests_total{shape=\"sts\",outcome=\"narrowed\"} 2",
        "cos_auth_proxy_key_narrowed_fetches_total{keys=\"default\",outcome=\"swapped\"} 1",
        "cos_auth_proxy_key_narrowed_scopes{keys=\"default\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "no line {line:?}");
    }
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn what_lies_outside_is_refused_with_words_and_sts_is_not_asked() {
    let house = House::open(HOUR).await;
    let broker = broker(&house).await;
    for (body, status, code) in [
        (scope("name/cos:GetObject", "other-1250000000", "a/*"), 403, "ScopeNotAllowed"),
        (scope("name/cos:PutBucketPolicy", BUCKET, ""), 403, "ScopeNotAllowed"),
        (scope("name/cos:*", BUCKET, "a/*"), 403, "ScopeNotAllowed"),
        ("[]".to_owned(), 400, "InvalidRequest"),
        ("{}".to_owned(), 400, "InvalidRequest"),
        ("x".repeat(20_000), 400, "InvalidRequest"),
    ] {
        let answer = broker.ask("POST /sts", &body).await;
        assert_eq!((answer.status, &answer.json()["codeDesc"]), (status, &code.into()), "{body}");
        assert!(answer.json()["message"].is_string() && answer.json()["code"].as_u64() > Some(0));
    }
    assert_eq!(house.emulator.seen().count(Service::Sts), 1, "the set's own key only");
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn a_source_that_takes_no_policy_cannot_narrow() {
    let house = House::open(HOUR).await;
    let server = house.emulator.key_server_address();
    let more =
        format!("{ON}[keys.default]\nsource = \"http\"\nendpoint = \"http://{server}/sts\"\n");
    let broker = house.proxy(&more, HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    let answer = broker.ask("POST /sts", &scope("name/cos:GetObject", BUCKET, "a/*")).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("it takes no policy"), "{}", answer.body);
    assert_eq!(broker.ask("POST /sts", "").await.status, 200, "but its own key is handed out");
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn a_scope_without_a_key_says_when_to_come_back() {
    let house = House::open(HOUR).await;
    let broker = broker(&house).await;
    house.emulator.faults().until_cleared(Service::Sts, Fault::Throttle);
    let body = scope("name/cos:GetObject", BUCKET, "a/*");
    for _ in 0..10 {
        let answer = broker.ask("POST /sts", &body).await;
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("retry-after: "), "{}", answer.head);
        assert!(answer.body.contains("RequestLimitExceeded"), "{}", answer.body);
    }
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn a_role_that_another_key_set_takes_is_narrowed_by_sts() {
    let house = House::open(HOUR).await;
    let broker = house.proxy(&format!("{ON}{}", house.chain()), HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    let body = scope("name/cos:GetObject", BUCKET, "a/*");
    let answer = broker.ask("POST /sts", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let issued = house.emulator.accounts().latest().unwrap();
    assert_eq!(answer.json()["credentials"]["tmpSecretId"], issued.secret_id.as_str());
    assert!(matches!(issued.subject, Subject::RoleSession { .. }));
    let of = |key: &str| format!("qcs::cos:ap-guangzhou:uid/1250000000:{BUCKET}/{key}");
    let policy = issued.policy.as_ref().unwrap();
    assert!(policy.allows("name/cos:GetObject", &of("a/x")));
    assert!(!policy.allows("name/cos:GetObject", &of("b/x")));
    drop(broker);
    house.close().await;
}
