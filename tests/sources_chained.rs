//! Roles taken with the key of another key set: `via`.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "sources/pod.rs"]
mod pod;
#[path = "sources/stand.rs"]
mod stand;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use cos_auth_proxy::{
    app::{App, Stop},
    config::{self, Inputs, Settings},
    credential::{
        self, AssumeRoleSettings, KeyMetrics, KeyReader, KeySetSettings, RefreshError,
        RefreshSettings, RefresherHandle, RetryClass, RoleParent, SourceError, SourceSettings,
        read_tags,
    },
    emulator::{
        accounts::Role,
        faults::{Fault, Service},
    },
    server::ListenAddress,
};
use pod::{POD_ROLE, PROVIDER, Pod};
use stand::{BUCKET, PATIENCE, ROLE, Stand, class, other_role, session_arn, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A pod's key set, and one that takes a role with its key.
struct Chain {
    pod: Pod,
    sets: Vec<KeySetSettings>,
}

impl Chain {
    async fn open() -> Self {
        let pod = Pod::open().await;
        let refresh = RefreshSettings {
            attempt_timeout: Duration::from_secs(2),
            forced_burst: 1000,
            // So long that no test sees one of its ends.
            parent_pause_least: Duration::from_secs(3600),
            parent_pause_most: Duration::from_secs(3600),
            ..RefreshSettings::default()
        };
        let parent = KeySetSettings::new("pod", pod.source());
        let role = AssumeRoleSettings {
            parent: RoleParent::KeySet("pod".to_owned()),
            policy: Some(credential::bucket_policy("ap-guangzhou", BUCKET)),
            external_id: Some("partner:7".to_owned()),
            tags: read_tags(["team=reports", "tier=a=b"]).unwrap(),
            ..pod.stand.role()
        };
        let external_id = role.external_id.clone();
        pod.stand.accounts.add_role(Role { external_id, ..Role::unlimited(ROLE) });
        let child = KeySetSettings::new("app", SourceSettings::AssumeRole(role));
        let sets = [child, parent].map(|set| KeySetSettings { refresh: refresh.clone(), ..set });
        Self { pod, sets: sets.into() }
    }

    fn start(&self) -> Started {
        let stand = &self.pod.stand;
        let metrics = KeyMetrics::default();
        let started =
            credential::start_all(&self.sets, &stand.clock, &metrics, &stand.shutdown).unwrap();
        let [app, pod] = <[_; 2]>::try_from(started).unwrap();
        assert_eq!((app.0.name(), pod.0.name()), ("app", "pod"), "in the order of the settings");
        Started { app, pod }
    }

    /// The ids that signed the calls of the role, in order.
    fn callers(&self) -> Vec<String> {
        let seen = self.pod.stand.seen.since(0).into_iter();
        seen.filter(|s| s.action == "AssumeRole").filter_map(|s| s.secret_id).collect()
    }
}

struct Started {
    app: (KeyReader, RefresherHandle),
    pod: (KeyReader, RefresherHandle),
}

#[tokio::test]
async fn a_role_is_taken_with_the_key_that_another_key_set_holds_at_that_time() {
    let chain = Chain::open().await;
    let stand = &chain.pod.stand;
    chain.pod.trusts("jwt-1");
    let Started { app, pod } = chain.start();
    let key = app.0.wait(PATIENCE).await.unwrap();
    let first = pod.0.current(stand.clock.now()).unwrap().id.as_str().to_owned();
    let tags = stand.accounts.session_tags(key.id.as_str());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags, [pair("team", "reports"), pair("tier", "a=b")]);
    let issued = stand.accounts.latest().unwrap();
    assert_eq!(key.id.as_str(), issued.secret_id);
    assert!(!issued.policy.as_ref().unwrap().allows("name/cos:PutBucketPolicy", "x"));

    let swapped = pod.1.refresh_now().await.unwrap();
    assert_eq!(swapped.swaps, 2);
    let second = pod.0.current(stand.clock.now()).unwrap().id.as_str().to_owned();
    app.1.refresh_now().await.unwrap();
    assert_eq!(chain.callers(), [first, second]);
    // The token of the parent went along each time.
    let asked = stand.seen.since(0);
    let of_role = asked.iter().filter(|seen| seen.action == "AssumeRole");
    assert!(of_role.clone().all(|seen| seen.header("x-tc-token").is_some()), "{asked:?}");
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn a_parents_key_that_sts_refuses_is_replaced_once_and_the_call_made_again() {
    for code in ["AuthFailure.TokenFailure", "AuthFailure.SecretIdNotFound"] {
        let chain = Chain::open().await;
        let stand = &chain.pod.stand;
        chain.pod.trusts("jwt-1");
        let Started { app, pod } = chain.start();
        app.0.wait(PATIENCE).await.unwrap();
        let before = pod.0.current(stand.clock.now()).unwrap().id.clone();
        stand.faults.for_next(Service::Sts, 1, Fault::ErrorCode(code));
        assert_eq!(app.1.refresh_now().await.unwrap().swaps, 2, "{code}");
        let status = pod.0.status(stand.clock.now());
        assert_eq!((status.swaps, status.forced_refreshes), (2, 1), "{code}");
        let after = pod.0.current(stand.clock.now()).unwrap().id.clone();
        assert_ne!(before, after);
        assert_eq!(chain.callers().last().map(String::as_str), Some(after.as_str()));
        assert_eq!(stand.seen.count(Service::Sts), 5, "two first keys; refused, parent, again");
        chain.pod.stand.close().await;
    }
}

#[tokio::test]
async fn a_revoked_parent_heals_the_chain_by_itself() {
    let chain = Chain::open().await;
    let stand = &chain.pod.stand;
    chain.pod.trusts("jwt-1");
    let Started { app, pod } = chain.start();
    app.0.wait(PATIENCE).await.unwrap();
    let revoked = pod.0.current(stand.clock.now()).unwrap();
    stand.accounts.revoke(revoked.id.as_str());
    assert_eq!(app.1.refresh_now().await.unwrap().swaps, 2);
    assert_ne!(pod.0.current(stand.clock.now()).unwrap().id, revoked.id);
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn a_parents_key_that_is_refused_again_and_again_is_told_as_the_parents() {
    let chain = Chain::open().await;
    let stand = &chain.pod.stand;
    chain.pod.trusts("jwt-1");
    let Started { app, pod } = chain.start();
    app.0.wait(PATIENCE).await.unwrap();
    let good = app.0.current(stand.clock.now()).unwrap();
    stand.faults.until_cleared(Service::Sts, Fault::ErrorCode("AuthFailure.TokenFailure"));
    let told = app.1.refresh_now().await.unwrap_err().to_string();
    assert!(told.contains("key set pod") && told.contains("TokenFailure (request "), "{told}");
    assert!(Arc::ptr_eq(&good, &app.0.current(stand.clock.now()).unwrap()));
    assert_eq!(pod.0.status(stand.clock.now()).forced_refreshes, 1);
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn a_chain_whose_parent_has_no_key_says_so_and_goes_on_when_it_has() {
    let chain = Chain::open().await;
    chain.pod.writes("untrusted-jwt");
    let Started { app, pod } = chain.start();
    let told = app.1.refresh_now().await.unwrap_err().to_string();
    assert!(told.contains("the key set pod, which makes the call, has no key"), "{told}");
    assert!(told.contains("WebIdentityTokenError"), "the reason of the parent: {told}");
    assert!(chain.callers().is_empty(), "nothing was asked without a key");
    chain.pod.trusts("jwt-1");
    let (asked, renewed) = tokio::join!(app.1.refresh_now(), pod.1.refresh_now());
    assert!(renewed.is_ok());
    assert!(asked.unwrap().usable, "the attempt under way takes the key as it comes");
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn a_chain_takes_its_first_key_as_soon_as_its_parent_has_one() {
    let chain = Chain::open().await;
    let stand = &chain.pod.stand;
    chain.pod.writes("untrusted-jwt");
    let Started { app, pod } = chain.start();
    let told = until(|| app.0.status(stand.clock.now()).last_error).await;
    assert!(format!("{told:?}").contains("key set pod"), "{told:?}");
    chain.pod.trusts("jwt-1");
    pod.1.refresh_now().await.unwrap();
    let key = app.0.wait(PATIENCE).await.unwrap();
    assert_eq!(key.id.as_str(), stand.accounts.latest().unwrap().secret_id);
    let status = app.0.status(stand.clock.now());
    assert_eq!((status.refreshes.failed, status.refreshes.swapped), (1, 1));
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn one_key_of_a_chain_is_had_without_keeping_any() {
    let chain = Chain::open().await;
    let (clock, accounts) = (&chain.pod.stand.clock, &chain.pod.stand.accounts);
    chain.pod.trusts("jwt-1");
    let key = credential::once_of(&chain.sets, "app", clock).await.unwrap();
    assert_eq!(key.id.as_str(), accounts.latest().unwrap().secret_id);
    assert_eq!(accounts.issued(), 2);
    let key = credential::once_of(&chain.sets, "pod", clock).await.unwrap();
    assert_eq!((key.id.as_str(), accounts.issued()), (&*accounts.latest().unwrap().secret_id, 3));

    chain.pod.stand.faults.for_next(Service::Sts, 1, Fault::ErrorCode("InternalError"));
    let fault = credential::once_of(&chain.sets, "app", clock).await.unwrap_err();
    let RefreshError::Source(SourceError::ParentWithoutKey { name, .. }) = &fault else {
        panic!("{fault}")
    };
    assert_eq!(name, "pod");
    assert_eq!(class(&fault), RetryClass::Parent);
    assert!(fault.to_string().contains("InternalError (request "), "{fault}");
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn three_key_sets_make_a_chain_too() {
    let chain = Chain::open().await;
    let stand = &chain.pod.stand;
    chain.pod.trusts("jwt-1");
    stand.accounts.add_role(Role::unlimited(other_role()));
    let last = AssumeRoleSettings {
        parent: RoleParent::KeySet("app".to_owned()),
        role_arn: other_role(),
        ..stand.role()
    };
    // The key in the middle must be allowed to take a role.
    let mut sets = chain.sets.clone();
    if let SourceSettings::AssumeRole(role) = &mut sets[0].source {
        role.policy = None;
    }
    sets.insert(0, KeySetSettings::new("last", SourceSettings::AssumeRole(last)));
    let key = credential::once_of(&sets, "last", &stand.clock).await.unwrap();
    assert_eq!(key.id.as_str(), stand.accounts.latest().unwrap().secret_id);
    assert_eq!(session_arn(stand), other_role());
    let metrics = KeyMetrics::default();
    let started = credential::start_all(&sets, &stand.clock, &metrics, &stand.shutdown).unwrap();
    for (reader, _) in &started {
        reader.wait(PATIENCE).await.unwrap();
    }
    chain.pod.stand.close().await;
}

#[tokio::test]
async fn a_chain_without_a_beginning_starts_nothing() {
    let stand = Stand::open().await;
    let set = |name: &str, via: &str| {
        let parent = RoleParent::KeySet(via.to_owned());
        let role = AssumeRoleSettings { parent, ..stand.role() };
        KeySetSettings::new(name, SourceSettings::AssumeRole(role))
    };
    let good = KeySetSettings::new("good", SourceSettings::FederationToken(stand.federation()));
    let metrics = KeyMetrics::default();
    for (sets, text) in [
        (vec![good.clone(), set("a", "a")], "keys.a: via: names the key set itself"),
        (vec![good.clone(), set("a", "b"), set("b", "a")], "keys.a: via: goes round in a circle"),
        (vec![good.clone(), set("a", "nobody")], "keys.a: via: there is no key set [keys.nobody]"),
    ] {
        let refused = credential::start_all(&sets, &stand.clock, &metrics, &stand.shutdown);
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(text), "{told}");
        let told = credential::once_of(&sets, "a", &stand.clock).await.unwrap_err().to_string();
        assert!(told.contains(text), "{told}");
    }
    let alone = set("a", "b");
    assert!(credential::start(&alone, &stand.clock, &metrics, &stand.shutdown).is_err());
    assert_eq!(stand.seen.count(Service::Sts), 0);
    stand.close().await;
}

/// What an operator writes for the chain of [`Chain`], and the variables of its pod.
fn written(pod: &Pod) -> (String, BTreeMap<String, String>) {
    let sts = &pod.stand.sts;
    let file = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[telemetry]\naddress = \"127.0.0.1:0\"\n\
         [control]\naddress = \"127.0.0.1:0\"\n\
         [keys.pod]\nsource = \"web-identity\"\nendpoint = \"{sts}\"\n\
         [keys.app]\nsource = \"assume-role\"\nvia = \"pod\"\nendpoint = \"{sts}\"\n\
         role_arn = \"{ROLE}\"\nexternal_id = \"partner:7\"\n"
    );
    let token_file = pod.token_file().display().to_string();
    let variables = [
        ("TKE_PROVIDER_ID", PROVIDER),
        ("TKE_ROLE_ARN", POD_ROLE),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", &token_file),
        ("HOSTNAME", "reports-7d9f"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    (file, variables.map(own).into())
}

fn settings(pod: &Pod) -> Settings {
    let (text, environment) = written(pod);
    let file = pod.folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let inputs = Inputs { file: Some(file), flags: Vec::new(), environment: &environment };
    config::load(&inputs).unwrap()
}

/// Ends the house when the test does.
struct AtEnd(Option<tokio::sync::oneshot::Receiver<()>>);

impl Stop for AtEnd {
    async fn next(&mut self) {
        match self.0.take() {
            Some(end) => drop(end.await),
            None => std::future::pending().await,
        }
    }
}

async fn first_line(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_house_signs_with_the_last_key_of_a_chain_and_only_that_one_makes_it_ready() {
    let chain = Chain::open().await;
    let stand = &chain.pod.stand;
    chain.pod.trusts("jwt-1");
    // The role is missing at first, so that only the parent has a key.
    stand
        .accounts
        .add_role(Role { external_id: Some("other".to_owned()), ..Role::unlimited(ROLE) });
    let mut house = App::bind(settings(&chain.pod)).unwrap();
    let ListenAddress::Tcp(telemetry) = house.bound().telemetry[0] else { panic!("TCP") };
    let (end, ended) = tokio::sync::oneshot::channel();
    let watched = house.watch();
    let asking = async {
        let status = watched.await.unwrap();
        let refused = until(|| status().keys.iter().find_map(|k| k.last_error.clone())).await;
        assert!(format!("{refused:?}").contains("UnauthorizedOperation"), "{refused:?}");
        let usable: Vec<_> = status().keys.iter().map(|k| (k.name.clone(), k.usable)).collect();
        assert_eq!(usable, [("app".to_owned(), false), ("pod".to_owned(), true)]);
        let ready = first_line(telemetry, "/readyz").await;
        assert!(ready.contains(" 503 "), "the parent's key signs no request: {ready}");
        drop(end);
    };
    let running = house.run(stand.clock.clone(), None, AtEnd(Some(ended)));
    let (ran, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(running, asking) })
        .await
        .expect("the house does not end");
    ran.unwrap();
    chain.pod.stand.close().await;
}
