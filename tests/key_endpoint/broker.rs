//! One broker, and sidecars that get their keys from it: the sidecars never notice what happens to
//! the broker's own keys.

use std::{collections::BTreeSet, time::Duration};

use cos_auth_proxy::emulator::faults::{Fault, Service};

use crate::house::{BUCKET, House, Proxy};

const LIFE: Duration = Duration::from_secs(8);
const HOUR: Duration = Duration::from_secs(3600);

fn on(port: u16) -> String {
    format!("[key_endpoint]\naddress = [\"127.0.0.1:{port}\"]\n")
}

fn sidecar_of(url: &str) -> String {
    format!("[keys.default]\nsource = \"http\"\nendpoint = \"{url}\"\n")
}

/// The ways a sidecar may ask a broker: as a key server, as CVM's metadata, as one role of it.
fn ways(broker: &Proxy) -> [String; 3] {
    let address = broker.endpoint();
    let metadata =
        format!("[keys.default]\nsource = \"instance-role\"\nendpoint = \"http://{address}\"\n");
    let role = "latest/meta-data/cam/security-credentials/default";
    [
        sidecar_of(&format!("http://{address}/sts")),
        metadata,
        sidecar_of(&format!("http://{address}/{role}")),
    ]
}

#[tokio::test]
async fn swaps_of_the_broker_reach_its_sidecars_before_a_request_fails() {
    let house = House::open(LIFE).await;
    let broker = house.proxy(&format!("{}{}", on(0), house.federation()), LIFE).await;
    assert_eq!(broker.data("PUT /a/one", "1").await.status, 200);
    let mut sidecars = Vec::new();
    for way in ways(&broker) {
        sidecars.push(house.proxy(&way, LIFE).await);
    }
    let (mut ids, mut of_broker) = (BTreeSet::new(), BTreeSet::new());
    while sidecars.iter().any(|sidecar| sidecar.keys().swaps < 4) {
        for sidecar in &sidecars {
            let answer = sidecar.data("GET /a/one", "").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "1"), "{}", answer.head);
        }
        of_broker.extend(broker.keys().secret_id);
        ids.extend(sidecars.iter().filter_map(|sidecar| sidecar.keys().secret_id));
        of_broker.extend(broker.keys().secret_id);
        assert!(broker.keys().swaps < 40, "the sidecars do not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ids.is_subset(&of_broker), "{ids:?} are not all of {of_broker:?}");
    let calls = house.emulator.seen().count(Service::Sts);
    assert_eq!(calls, broker.keys().swaps, "only the broker asks STS, once a key");
    drop((sidecars, broker));
    house.close().await;
}

#[tokio::test]
async fn a_restart_of_the_broker_costs_its_sidecars_nothing() {
    let house = House::open(LIFE).await;
    let broker = house.proxy(&format!("{}{}", on(0), house.federation()), LIFE).await;
    assert_eq!(broker.data("PUT /a/one", "1").await.status, 200);
    let [sts, ..] = ways(&broker);
    let sidecar = house.proxy(&sts, LIFE).await;
    let before = sidecar.until("a key", |keys| keys.usable).await;
    let port = broker.endpoint().port();
    drop(broker);
    assert_eq!(sidecar.data("GET /a/one", "").await.status, 200, "its key outlives the broker");
    let broker = house.proxy(&format!("{}{}", on(port), house.federation()), LIFE).await;
    while sidecar.keys().secret_id == before.secret_id {
        assert_eq!(sidecar.data("GET /a/one", "").await.status, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sidecar.data("GET /a/one", "").await.status, 200);
    drop((sidecar, broker));
    house.close().await;
}

#[tokio::test]
async fn sidecars_of_a_broker_without_a_key_start_as_soon_as_it_has_one() {
    let house = House::open(HOUR).await;
    house.emulator.faults().until_cleared(Service::Sts, Fault::Status(500));
    let wait = "[keys]\nwait = \"100ms\"\n";
    let broker = format!("{wait}{}{}", on(0), house.federation());
    let broker = house.proxy(&broker, LIFE).await;
    let [sts, ..] = ways(&broker);
    let sidecar = house.proxy(&format!("{wait}{sts}"), LIFE).await;
    let failing = sidecar.until("an error", |keys| keys.last_error.is_some()).await;
    assert!(failing.last_error.unwrap().contains("503"), "the broker says that it has none");
    let refused = sidecar.data("GET /a/one", "").await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("x-cos-auth-proxy-error: no-key"), "{}", refused.head);
    house.emulator.faults().clear(Service::Sts);
    sidecar.until("a key", |keys| keys.usable).await;
    assert_eq!(sidecar.data("PUT /a/one", "1").await.status, 200);
    drop((sidecar, broker));
    house.close().await;
}

#[tokio::test]
async fn a_sidecar_with_a_scope_does_what_lies_inside_and_nothing_else() {
    let house = House::open(HOUR).await;
    let broker = house.proxy(&format!("{}{}", on(0), house.federation()), HOUR).await;
    assert_eq!(broker.data("PUT /a/one", "1").await.status, 200);
    assert_eq!(broker.data("PUT /b/one", "1").await.status, 200);
    let line = |action: &str| {
        serde_json::json!({
            "action": action, "bucket": BUCKET, "region": "ap-guangzhou", "prefix": "a/*",
        })
    };
    let scope = serde_json::json!([line("name/cos:GetObject"), line("name/cos:PutObject")]);
    let [sts, ..] = ways(&broker);
    let sidecar = format!("{sts}method = \"POST\"\nbody = {:?}\n", scope.to_string());
    let sidecar = house.proxy(&sidecar, HOUR).await;
    for (start, body, expected) in [
        ("GET /a/one", "", 200),
        ("PUT /a/two", "2", 200),
        ("GET /b/one", "", 403),
        ("PUT /b/two", "2", 403),
        ("DELETE /a/one", "", 403),
        ("GET /?prefix=a/", "", 403),
    ] {
        let answer = sidecar.data(start, body).await;
        assert_eq!(answer.status, expected, "{start}: {}", answer.body);
        assert!(!answer.head.contains("x-cos-auth-proxy-error"), "COS itself says it");
    }
    drop((sidecar, broker));
    house.close().await;
}

#[tokio::test]
async fn a_sidecar_asks_its_broker_on_a_unix_socket() {
    let house = House::open(HOUR).await;
    let socket = house.path("keys.sock");
    let broker =
        format!("[key_endpoint]\naddress = \"unix:{}\"\n{}", socket.display(), house.federation());
    let broker = house.proxy(&broker, HOUR).await;
    let sidecar = house.proxy(&sidecar_of(&format!("unix:{}", socket.display())), HOUR).await;
    assert_eq!(sidecar.data("PUT /a/one", "1").await.status, 200);
    assert_eq!(sidecar.keys().secret_id, broker.keys().secret_id);
    drop((sidecar, broker));
    house.close().await;
}
