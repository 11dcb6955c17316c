//! Sources that prove who they are without a key, and roles taken with the key of another key set.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "sources/scripted.rs"]
mod scripted;
#[path = "sources/stand.rs"]
mod stand;

use std::{path::PathBuf, sync::Arc, time::Duration};

use cos_auth_proxy::{
    credential::{
        self, AssumeRoleSettings, Endpoint, HttpSettings, InstanceRoleSettings, KeyMetrics,
        KeyReader, KeySetSettings, RefreshError, RefreshSettings, RefresherHandle, RetryClass,
        RoleParent, SourceError, SourceSettings, StsSettings, WebIdentitySettings, read_tags,
    },
    emulator::{
        accounts::{Account, Role, Subject, WebIdentity},
        faults::{Fault, Service},
    },
};
use scripted::{Reply, serve};
use stand::{BUCKET, PATIENCE, ROLE, SECRET_ID, SECRET_KEY, Stand, permanent_key, refused_code};

const PROVIDER: &str = "my-cluster";
const POD_ROLE: &str = "qcs::cam::uin/100000000001:roleName/pod";

/// A stand that knows a role for pods, and the file with a pod's token.
struct Pod {
    stand: Stand,
    folder: tempfile::TempDir,
}

impl Pod {
    async fn open() -> Self {
        let stand = Stand::open().await;
        stand.accounts.add_role(Role::unlimited(POD_ROLE));
        Self { stand, folder: tempfile::tempdir().unwrap() }
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// The kubelet writes this token, and STS takes it.
    fn trusts(&self, token: &str) {
        self.stand.accounts.add_web_identity(WebIdentity {
            provider_id: PROVIDER.to_owned(),
            token: token.to_owned(),
            role_arn: POD_ROLE.to_owned(),
        });
        self.writes(token);
    }

    fn writes(&self, token: &str) {
        std::fs::write(self.token_file(), format!("{token}\n")).unwrap();
    }

    fn settings(&self) -> WebIdentitySettings {
        WebIdentitySettings {
            sts: StsSettings { region: "ap-singapore".to_owned(), ..self.stand.sts_settings() },
            provider_id: PROVIDER.to_owned(),
            token_file: self.token_file(),
            role_arn: POD_ROLE.to_owned(),
            session_name: "cos-auth-proxy-reports-7d9f".to_owned(),
            duration: Duration::from_secs(7200),
        }
    }

    fn source(&self) -> SourceSettings {
        SourceSettings::WebIdentity(self.settings())
    }
}

fn class(fault: &RefreshError) -> RetryClass {
    fault.retry()
}

#[tokio::test]
async fn a_web_identity_asks_unsigned_and_without_any_token_of_a_key() {
    let pod = Pod::open().await;
    pod.trusts("jwt-1");
    let key = pod.stand.once(pod.source()).await.unwrap();
    let issued = pod.stand.accounts.latest().unwrap();
    assert_eq!(key.id.as_str(), issued.secret_id);
    assert_eq!(issued.expires_at - issued.issued_at, 7200);
    let session = "cos-auth-proxy-reports-7d9f".to_owned();
    assert_eq!(issued.subject, Subject::RoleSession { arn: POD_ROLE.to_owned(), session });
    let seen = pod.stand.seen.since(0);
    let [request] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(request.action, "AssumeRoleWithWebIdentity");
    assert_eq!(request.header("authorization"), Some("SKIP"));
    assert_eq!(request.header("x-tc-token"), None);
    assert_eq!(request.header("x-tc-region"), Some("ap-singapore"));
    assert_eq!(request.secret_id, None);
    pod.stand.close().await;
}

#[tokio::test]
async fn the_token_file_is_read_at_each_call() {
    let pod = Pod::open().await;
    pod.trusts("jwt-1");
    let (reader, handle) = pod.stand.start(pod.source());
    let first = reader.wait(PATIENCE).await.unwrap();
    // Rotated: the old token is worth nothing any more.
    pod.stand.accounts.forget_web_identity("jwt-1");
    pod.trusts("jwt-2");
    assert_eq!(handle.refresh_now().await.unwrap().swaps, 2);
    assert_ne!(reader.current(pod.stand.clock.now()).unwrap().id, first.id);
    assert_eq!(pod.stand.seen.count(Service::Sts), 2, "no call was made with the old one");

    // As Kubernetes swaps it: another file gets the name.
    pod.stand.accounts.forget_web_identity("jwt-2");
    let other = pod.folder.path().join("..data_tmp");
    std::fs::write(&other, "  jwt-3 \r\n").unwrap();
    pod.trusts("jwt-3");
    std::fs::rename(&other, pod.token_file()).unwrap();
    assert_eq!(handle.refresh_now().await.unwrap().swaps, 3);
    pod.stand.close().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_read_again_and_the_same_one_not_sent_twice() {
    let pod = Pod::open().await;
    pod.writes("expired-jwt");
    let fault = pod.stand.once(pod.source()).await.unwrap_err();
    assert_eq!(class(&fault), RetryClass::Parent, "asked again in 15 to 60 s");
    let told = fault.to_string();
    assert!(
        told.contains("WebIdentityTokenError (request ") && told.contains("token file"),
        "{told}"
    );
    assert!(!told.contains("expired-jwt"), "{told}");
    assert_eq!(pod.stand.seen.count(Service::Sts), 1);
    pod.stand.close().await;
}

#[tokio::test]
async fn a_token_that_was_rewritten_while_it_was_refused_is_sent_at_once() {
    let pod = Pod::open().await;
    pod.writes("old-jwt");
    let (token_file, end) = (pod.token_file(), pod.stand.clock.now().unix_seconds() + 7200);
    let sts = serve(&pod.stand.shutdown, move |number, request| {
        if number == 0 {
            assert!(request.contains("\"WebIdentityToken\":\"old-jwt\""), "{request}");
            std::fs::write(&token_file, "new-jwt").unwrap();
            return Reply::ok(
                r#"{"Response":{"Error":{"Code":"InvalidParameter.WebIdentityTokenError","Message":"Expired token"},"RequestId":"r-1"}}"#,
            );
        }
        assert!(request.contains("\"WebIdentityToken\":\"new-jwt\""), "{request}");
        Reply::ok(&format!(
            r#"{{"Response":{{"Credentials":{{"TmpSecretId":"AKIDpod","TmpSecretKey":"s","Token":"t"}},"ExpiredTime":{end},"RequestId":"r-2"}}}}"#
        ))
    })
    .await;
    let mut settings = pod.settings();
    settings.sts.endpoint = Endpoint::new(&format!("http://{sts}")).unwrap();
    let key = pod.stand.once(SourceSettings::WebIdentity(settings)).await.unwrap();
    assert_eq!(key.id.as_str(), "AKIDpod");
    pod.stand.close().await;
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_is_named_and_the_key_stays() {
    let pod = Pod::open().await;
    pod.trusts("jwt-1");
    let (reader, handle) = pod.stand.start(pod.source());
    let key = reader.wait(PATIENCE).await.unwrap();
    let path = pod.token_file().display().to_string();
    for (content, text) in [
        (Some(" \n".to_owned()), "the token is empty"),
        (Some("two words".to_owned()), "the token has a character at position 3"),
        (Some("x".repeat(70_000)), "larger than 64 KiB"),
        (None, "No such file"),
    ] {
        std::fs::remove_file(pod.token_file()).unwrap();
        if let Some(content) = content {
            std::fs::write(pod.token_file(), content).unwrap();
        }
        let told = handle.refresh_now().await.unwrap_err().to_string();
        assert!(told.contains(&path) && told.contains(text), "{told}");
        if text == "No such file" {
            break;
        }
    }
    let held = reader.current(pod.stand.clock.now()).unwrap();
    assert!(Arc::ptr_eq(&held, &key));
    assert_eq!(pod.stand.seen.count(Service::Sts), 1);
    pod.stand.close().await;
}

#[tokio::test]
async fn a_role_that_a_web_identity_may_not_take_is_told_with_its_request() {
    let pod = Pod::open().await;
    pod.trusts("jwt-1");
    let settings = WebIdentitySettings { role_arn: ROLE.to_owned(), ..pod.settings() };
    let refused = pod.stand.once(SourceSettings::WebIdentity(settings)).await;
    assert_eq!(refused_code(refused), "InvalidParameter.WebIdentityTokenError");
    for (code, expected) in [
        ("RequestLimitExceeded", RetryClass::Throttled),
        ("InvalidParameter.OverLimit", RetryClass::Throttled),
        ("ResourceNotFound.RoleNotFound", RetryClass::Operator),
        ("InternalError.UnknownError", RetryClass::Transient),
    ] {
        pod.stand.faults.for_next(Service::Sts, 1, Fault::ErrorCode(code));
        let fault = pod.stand.once(pod.source()).await.unwrap_err();
        assert_eq!(class(&fault), expected, "{fault}");
        assert!(fault.to_string().contains(code), "{fault}");
    }
    pod.stand.close().await;
}

fn metadata(stand: &Stand) -> InstanceRoleSettings {
    let address = stand.key_server.trim_end_matches("/sts");
    InstanceRoleSettings {
        endpoint: Endpoint::new(address).unwrap(),
        ..InstanceRoleSettings::default()
    }
}

fn other_role() -> String {
    ROLE.replace("cos-sidecar", "other")
}

fn session_arn(stand: &Stand) -> String {
    match &stand.accounts.latest().unwrap().subject {
        Subject::RoleSession { arn, .. } => arn.clone(),
        Subject::Federated(name) => panic!("{name}"),
    }
}

#[tokio::test]
async fn the_role_of_an_instance_is_found_and_its_key_taken() {
    let stand = Stand::open().await;
    let key = stand.once(SourceSettings::InstanceRole(metadata(&stand))).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    assert_eq!(key.id.as_str(), issued.secret_id);
    assert_eq!(key.expires_at.unwrap().unix_seconds(), issued.expires_at);
    let asked: Vec<_> = stand.seen.since(0).into_iter().map(|seen| seen.target).collect();
    let list = "/latest/meta-data/cam/security-credentials/";
    assert_eq!(asked, [list.to_owned(), format!("{list}cos-sidecar")]);
    stand.close().await;
}

#[tokio::test]
async fn which_role_of_an_instance_is_meant_must_be_clear() {
    let stand = Stand::open().await;
    stand.accounts.add_role(Role::unlimited(other_role()));
    let ask = async |bound: &[&str], chosen: Option<&str>| {
        stand.accounts.bind_instance_roles(Some(bound.iter().map(ToString::to_string).collect()));
        let role = chosen.map(ToOwned::to_owned);
        let settings = InstanceRoleSettings { role, ..metadata(&stand) };
        stand.once(SourceSettings::InstanceRole(settings)).await
    };
    let both = [other_role(), ROLE.to_owned()];
    let both: Vec<_> = both.iter().map(String::as_str).collect();
    for (bound, chosen, text) in [
        (&[][..], None, "shows no role: none is bound"),
        (&[][..], Some("other"), "shows no role: none is bound"),
        (&both[..], None, "has several roles (other, cos-sidecar): choose one with role"),
        (&both[..1], Some("reports"), "does not have the role reports, but other"),
    ] {
        let fault = ask(bound, chosen).await.unwrap_err();
        assert!(fault.to_string().contains(text), "{fault}");
        assert_eq!(class(&fault), RetryClass::Operator, "{fault}");
    }
    ask(&both, Some("other")).await.unwrap();
    assert_eq!(session_arn(&stand), other_role());
    ask(&both, Some("cos-sidecar")).await.unwrap();
    assert_eq!(session_arn(&stand), ROLE);
    stand.close().await;
}

#[tokio::test]
async fn another_role_bound_to_the_instance_is_followed_even_to_a_key_that_ends_sooner() {
    let stand = Stand::open().await;
    stand.accounts.add_role(Role::unlimited(other_role()));
    stand.accounts.set_key_life(Some(6 * 3600));
    // Asked for by the plan of the source itself, sped up, and not by anybody else.
    let refresh =
        RefreshSettings { longest_poll: Duration::from_millis(20), ..RefreshSettings::default() };
    let source = SourceSettings::InstanceRole(metadata(&stand));
    let settings = KeySetSettings { refresh, ..KeySetSettings::new("node", source) };
    let metrics = KeyMetrics::default();
    let (reader, _handle) =
        credential::start(&settings, &stand.clock, &metrics, &stand.shutdown).unwrap();
    let first = reader.wait(PATIENCE).await.unwrap();
    assert_eq!(session_arn(&stand), ROLE);

    stand.accounts.set_key_life(Some(3600));
    stand.accounts.bind_instance_roles(Some(vec![other_role()]));
    let second =
        until(|| reader.current(stand.clock.now()).ok().filter(|k| k.id != first.id)).await;
    assert!(second.expires_at < first.expires_at);
    assert_eq!(session_arn(&stand), other_role());

    // Unbound: the key is kept while it lives.
    stand.accounts.bind_instance_roles(Some(Vec::new()));
    let told = until(|| reader.status(stand.clock.now()).last_error).await;
    assert!(format!("{told:?}").contains("none is bound"), "{told:?}");
    assert!(reader.current(stand.clock.now()).is_ok());
    stand.close().await;
}

/// Waits until `look` finds something.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it does not happen")
}

#[tokio::test]
async fn a_role_that_is_changed_between_the_two_questions_is_asked_for_again() {
    let stand = Stand::open().await;
    let end = stand.clock.now().unix_seconds() + 7200;
    let server = serve(&stand.shutdown, move |number, request| {
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        match (number, path.rsplit('/').next().unwrap_or_default()) {
            (0, "") => Reply::ok("old"),
            (1, "old") => Reply::status(404),
            (2, "") => Reply::ok("new"),
            (3, "new") => Reply::ok(&flat("Success", end)),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let endpoint = Endpoint::new(&format!("http://{server}")).unwrap();
    let settings = InstanceRoleSettings { endpoint, ..InstanceRoleSettings::default() };
    let key = stand.once(SourceSettings::InstanceRole(settings)).await.unwrap();
    assert_eq!(key.id.as_str(), "AKIDnode");
    stand.close().await;
}

fn flat(code: &str, end: u64) -> String {
    format!(
        r#"{{"TmpSecretId":"AKIDnode","TmpSecretKey":"s","Token":"t","ExpiredTime":{end},"Code":"{code}"}}"#
    )
}

#[tokio::test]
async fn what_is_not_plainly_a_role_and_its_key_is_refused() {
    let stand = Stand::open().await;
    let end = stand.clock.now().unix_seconds() + 7200;
    let no_code = flat("", end).replace(r#","Code":"""#, "");
    for (list, key, text) in [
        ("<html>captive portal</html>", String::new(), "not a list of role names"),
        ("../../other", String::new(), "not a list of role names"),
        ("..", String::new(), "not a list of role names"),
        ("a b", String::new(), "not a list of role names"),
        ("node", flat("Failed", end), "code Failed"),
        ("node", flat("", end), "Code is not Success"),
        ("node", flat("OK", end), "Code is not Success"),
        ("node", no_code, "Code is not Success"),
        ("node", "<html>".to_owned(), "not JSON"),
        ("node", flat("Success", 0), "expired"),
    ] {
        let server = serve(&stand.shutdown, move |_number, request| {
            let asks_for_list = request.starts_with("GET /accesskey/ ");
            if asks_for_list { Reply::ok(list) } else { Reply::ok(&key) }
        })
        .await;
        // A path in the address is the path of the list, as EMR has it.
        let endpoint = Endpoint::new(&format!("http://{server}/accesskey")).unwrap();
        let settings = InstanceRoleSettings { endpoint, ..InstanceRoleSettings::default() };
        let fault = stand.once(SourceSettings::InstanceRole(settings)).await.unwrap_err();
        assert!(fault.to_string().contains(text), "{list}: {fault}");
        assert!(!fault.to_string().contains("html"), "{fault}");
    }
    stand.close().await;
}

#[tokio::test]
async fn a_metadata_service_that_hangs_is_given_up_soon() {
    let stand = Stand::open().await;
    stand.faults.until_cleared(Service::KeyServer, Fault::Slow(Duration::from_secs(60)));
    let fault = stand.once(SourceSettings::InstanceRole(metadata(&stand))).await.unwrap_err();
    assert!(fault.to_string().contains("within 2s"), "{fault}");
    assert_eq!(class(&fault), RetryClass::Transient);
    stand.close().await;
}

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

#[tokio::test]
async fn a_root_accounts_federation_token_is_asked_for_again_with_its_own_limit() {
    let stand = Stand::open().await;
    stand.accounts.add_account(Account { root: true, ..Account::example(SECRET_ID, SECRET_KEY) });
    let mut federation = stand.federation();
    federation.duration = Duration::from_secs(129_600);
    let key = stand.once(SourceSettings::FederationToken(federation.clone())).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    assert_eq!((key.id.as_str(), issued.expires_at - issued.issued_at), (&*issued.secret_id, 7200));

    let code = Fault::ErrorCode("InvalidParameter.OverTimeError");
    stand.faults.until_cleared(Service::Sts, code);
    let told = stand.once(SourceSettings::FederationToken(federation)).await.unwrap_err();
    assert!(told.to_string().contains("2h with a root account's key, 36h"), "{told}");
    stand.close().await;
}

#[tokio::test]
async fn only_the_authority_in_the_file_is_believed_and_the_file_is_read_for_each_call() {
    let stand = Stand::open().await;
    let end = stand.clock.now().unix_seconds() + 7200;
    let (ours, theirs) = (scripted::Authority::new("ours"), scripted::Authority::new("theirs"));
    let port = ours
        .serve("localhost", &stand.shutdown, move |_number, _request| {
            Reply::ok(&flat("Success", end))
        })
        .await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let ask = async |host: &str| {
        let url = Endpoint::new(&format!("https://{host}:{port}/sts")).unwrap();
        let trusting = HttpSettings { ca_file: Some(ca_file.clone()), ..HttpSettings::get(url) };
        stand.once(SourceSettings::Http(trusting)).await
    };
    std::fs::write(&ca_file, theirs.pem()).unwrap();
    let told = ask("localhost").await.unwrap_err();
    assert!(told.to_string().contains("certificate"), "{told}");
    assert_eq!(class(&told), RetryClass::Transient);
    std::fs::write(&ca_file, ours.pem()).unwrap();
    assert_eq!(ask("localhost").await.unwrap().id.as_str(), "AKIDnode");
    let told = ask("127.0.0.1").await.unwrap_err();
    assert!(told.to_string().contains("certificate"), "another name: {told}");

    // The same for STS: a stand-in of a private cloud.
    let url = Endpoint::new(&format!("https://localhost:{port}")).unwrap();
    let sts = StsSettings { endpoint: url, ca_file: Some(ca_file), ..StsSettings::default() };
    let role = AssumeRoleSettings { sts, parent: permanent_key().into(), ..stand.role() };
    assert!(stand.once(SourceSettings::AssumeRole(role)).await.is_ok());
    stand.close().await;
}
