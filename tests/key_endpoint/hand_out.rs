//! What the endpoint gives, to whom, and in which form.

use std::time::Duration;

use cos_auth_proxy::emulator::{
    accounts::{KnownKey, Subject},
    faults::{Fault, Service},
};

use crate::house::{House, SECRET_KEY, ask, ask_socket};

const HOUR: Duration = Duration::from_secs(3600);
const ROLES: &str = "/latest/meta-data/cam/security-credentials/";
const ON: &str = "[key_endpoint]\naddress = [\"127.0.0.1:0\"]\n";

#[tokio::test]
async fn both_shapes_give_the_current_key_with_an_end_before_its_own() {
    let house = House::open(HOUR).await;
    let broker = house.proxy(&format!("{ON}{}", house.federation()), HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    let issued = house.emulator.accounts().latest().unwrap();

    let roles = broker.ask(&format!("GET {ROLES}"), "").await;
    assert_eq!((roles.status, roles.body.as_str()), (200, "default"));
    assert!(roles.head.contains("content-type: text/plain"), "{}", roles.head);
    for list in [ROLES, "/meta-data/cam/security-credentials/"] {
        let answer = broker.ask(&format!("GET {list}default"), "").await;
        let key = answer.json();
        assert_eq!(answer.status, 200);
        assert_eq!(key["Code"], "Success");
        assert_eq!(key["TmpSecretId"], issued.secret_id.as_str());
        assert_eq!(key["TmpSecretKey"], issued.secret_key.as_str());
        assert_eq!(key["Token"], issued.token.as_str());
        assert_eq!(key["ExpiredTime"], issued.expires_at - 60);
        assert!(key["Expiration"].as_str().unwrap().ends_with('Z'), "{key}");
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    }
    for start in ["GET /sts", "POST /sts", "GET /sts?keys=default"] {
        let key = broker.ask(start, "").await.json();
        assert_eq!(key["credentials"]["tmpSecretId"], issued.secret_id.as_str());
        assert_eq!(key["credentials"]["tmpSecretKey"], issued.secret_key.as_str());
        assert_eq!(key["credentials"]["sessionToken"], issued.token.as_str());
        assert_eq!(key["expiredTime"], issued.expires_at - 60);
        assert!(key["startTime"].as_u64().unwrap() >= issued.issued_at);
        assert_eq!(key["requestId"].as_str().unwrap().len(), 32);
    }
    assert_eq!(house.emulator.seen().count(Service::Sts), 1, "handing out asks nobody");

    let page = broker.metrics().await;
    for line in [
        "cos_auth_proxy_key_endpoint_requests_total{shape=\"metadata\",outcome=\"listed\"} 1",
        "cos_auth_proxy_key_endpoint_requests_total{shape=\"metadata\",outcome=\"handed_out\"} 2",
        "cos_auth_proxy_key_endpoint_requests_total{shape=\"sts\",outcome=\"handed_out\"} 3",
    ] {
        assert!(page.lines().any(|l| l == line), "no line {line:?}");
    }
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_shapes_own_form() {
    let house = House::open(HOUR).await;
    let broker = house.proxy(&format!("{ON}{}", house.federation()), HOUR).await;
    let role = broker.ask(&format!("GET {ROLES}other"), "").await;
    assert_eq!((role.status, &role.json()["Code"]), (404, &"NotFound".into()));
    let sts = broker.ask("GET /sts?keys=other", "").await;
    assert_eq!((sts.status, &sts.json()["codeDesc"]), (404, &"NotFound".into()));
    assert!(sts.json()["message"].as_str().unwrap().contains("there are: default"));
    assert_eq!(broker.ask("DELETE /sts", "").await.status, 405);
    assert_eq!(broker.ask(&format!("POST {ROLES}default"), "").await.status, 405);
    assert_eq!(broker.ask("GET /metrics", "").await.status, 404);

    let only_sts = format!("{ON}shapes = [\"sts\"]\n{}", house.federation());
    let only_sts = house.proxy(&only_sts, HOUR).await;
    assert_eq!(only_sts.ask(&format!("GET {ROLES}"), "").await.status, 404);
    assert_eq!(only_sts.ask("GET /sts", "").await.status, 200);
    drop((broker, only_sts));
    house.close().await;
}

#[tokio::test]
async fn web_pages_and_other_hosts_names_get_nothing() {
    let house = House::open(HOUR).await;
    let broker = house.proxy(&format!("{ON}{}", house.federation()), HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    for (headers, expected) in [
        ("Host: localhost\r\n", 200),
        ("Host: 127.0.0.1:9003\r\n", 200),
        // Clients with CVM's address built in, led here by the hosts file.
        ("Host: metadata.tencentyun.com\r\n", 200),
        ("Host: rebound.example\r\n", 421),
        ("Host: metadata.tencentyun.com.evil.example\r\n", 421),
        ("", 421),
        ("Host: localhost\r\nHost: localhost\r\n", 421),
        ("Host: localhost\r\nOrigin: http://localhost:9003\r\n", 403),
        ("Host: localhost\r\nOrigin: null\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: none\r\n", 200),
    ] {
        for start in ["GET /sts", "POST /sts", &format!("GET {ROLES}default")] {
            let answer = ask(broker.endpoint(), start, headers, "").await;
            assert_eq!(answer.status, expected, "{start} {headers}");
            assert_eq!(answer.body.contains("AKID"), expected == 200, "{}", answer.body);
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn with_a_token_file_only_those_who_show_it_are_served() {
    let house = House::open(HOUR).await;
    let token = house.path("token");
    std::fs::write(&token, "first\n").unwrap();
    let more = format!("{ON}bearer_token_file = \"{}\"\n{}", token.display(), house.federation());
    let broker = house.proxy(&more, HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    let with = |sent: &'static str| {
        let headers = format!("Host: localhost\r\n{sent}");
        let address = broker.endpoint();
        async move { ask(address, "GET /sts", &headers, "").await }
    };
    assert_eq!(with("Authorization: Bearer first\r\n").await.status, 200);
    for sent in ["", "Authorization: Bearer second\r\n", "Authorization: Basic first\r\n"] {
        let answer = with(sent).await;
        assert_eq!(answer.status, 401, "{sent}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    std::fs::write(&token, "second\n").unwrap();
    assert_eq!(with("Authorization: Bearer first\r\n").await.status, 401, "it was replaced");
    assert_eq!(with("Authorization: Bearer second\r\n").await.status, 200);
    std::fs::remove_file(&token).unwrap();
    assert_eq!(with("Authorization: Bearer second\r\n").await.status, 401, "nobody is let in");
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn a_broker_without_a_key_says_when_to_come_back() {
    let house = House::open(HOUR).await;
    house.emulator.faults().until_cleared(Service::Sts, Fault::ErrorCode("InternalError"));
    let more = format!("[keys]\nwait = \"100ms\"\n{ON}{}", house.federation());
    let broker = house.proxy(&more, HOUR).await;
    for (start, code) in [("GET /sts", "codeDesc"), (&format!("GET {ROLES}default"), "Code")] {
        let answer = broker.ask(start, "").await;
        assert_eq!((answer.status, &answer.json()[code]), (503, &"ServiceUnavailable".into()));
        let after = answer.head.split("retry-after: ").nth(1).unwrap();
        let after: u64 = after.lines().next().unwrap().parse().unwrap();
        assert!((1..=30).contains(&after), "{}", answer.head);
        assert!(!answer.body.contains(SECRET_KEY), "{}", answer.body);
    }
    let roles = broker.ask(&format!("GET {ROLES}"), "").await;
    assert_eq!(roles.body, "default", "the role is there, only its key is not");
    drop(broker);
    house.close().await;
}

#[tokio::test]
async fn a_unix_socket_is_served_whatever_the_host() {
    let house = House::open(HOUR).await;
    let socket = house.path("keys.sock");
    let more = format!(
        "[key_endpoint]\naddress = [\"unix:{}\"]\n{}",
        socket.display(),
        house.federation()
    );
    let broker = house.proxy(&more, HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    assert_eq!(ask_socket(&socket, "GET /sts", "").await.status, 200);
    drop(broker);
    assert!(!socket.exists(), "the socket's file goes with the proxy");
    house.close().await;
}

#[tokio::test]
async fn several_key_sets_are_several_roles() {
    let house = House::open(HOUR).await;
    let more = format!("{ON}keys = [\"default\", \"base\"]\n{}", house.chain());
    let broker = house.proxy(&more, HOUR).await;
    broker.until("a key", |keys| keys.usable).await;
    assert_eq!(broker.ask(&format!("GET {ROLES}"), "").await.body, "default\nbase");
    let id = async |start: &str| {
        let key = broker.ask(start, "").await.json();
        key["TmpSecretId"]
            .as_str()
            .or(key["credentials"]["tmpSecretId"].as_str())
            .unwrap()
            .to_owned()
    };
    let (default, base) = (id("GET /sts").await, id("GET /sts?keys=base").await);
    assert_ne!(default, base);
    assert_eq!(default, id(&format!("GET {ROLES}default")).await);
    assert_eq!(base, id(&format!("GET {ROLES}base")).await);
    assert_eq!(broker.ask("GET /sts?keys=mid", "").await.status, 404, "it is not handed out");
    let whose = |id: &str| match house.emulator.accounts().find(id) {
        Some(KnownKey::Temporary(key)) => key.subject.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(whose(&default), Subject::RoleSession { .. }));
    assert!(matches!(whose(&base), Subject::Federated(_)));
    drop(broker);
    house.close().await;
}
