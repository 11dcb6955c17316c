//! Sources that need no key of their own, and servers behind a private authority.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "sources/pod.rs"]
mod pod;
#[path = "sources/scripted.rs"]
mod scripted;
#[path = "sources/stand.rs"]
mod stand;

use std::{sync::Arc, time::Duration};

use cos_auth_proxy::{
    credential::{
        self, AssumeRoleSettings, Endpoint, HttpSettings, InstanceRoleSettings, KeyMetrics,
        KeySetSettings, RefreshSettings, RetryClass, SourceSettings, StsSettings,
        WebIdentitySettings,
    },
    emulator::{
        accounts::{Account, Role, Subject},
        faults::{Fault, Service},
    },
};
use pod::{POD_ROLE, Pod};
use scripted::{Reply, serve};
use stand::{
    PATIENCE, ROLE, SECRET_ID, SECRET_KEY, Stand, class, other_role, permanent_key, refused_code,
    session_arn, until,
};

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

#[tokio::test]
async fn the_metadata_is_asked_directly_whatever_proxies_the_environment_names() {
    let stand = Stand::open().await;
    stand.accounts.set_key_life(Some(299));
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", trap.local_addr().unwrap());
    let metadata = metadata(&stand).endpoint.to_string();
    let mut check = tokio::process::Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"));
    check
        .args(["check", "--online", "--keys-default-source", "instance-role"])
        .args(["--keys-default-endpoint", &metadata])
        .env_clear()
        .kill_on_drop(true);
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"] {
        check.env(variable, &proxy);
    }
    let ended = tokio::time::timeout(PATIENCE, check.output()).await.unwrap().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{said}");
    let id = stand.accounts.latest().unwrap().secret_id.chars().take(8).collect::<String>();
    assert!(said.contains(&format!("key {id}… from instance-role")), "{said}");
    assert!(said.contains("warning: keys that live less than 5m"), "{said}");
    let fault = trap.accept().unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::WouldBlock, "the proxy was asked");
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
