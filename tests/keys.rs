//! The sources of keys against servers that verify from the documentation, and against servers that
//! misbehave: whatever an answer is, a good key stays.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "sources/stand.rs"]
mod stand;

use std::{sync::Arc, time::Duration};

use cos_auth_proxy::{
    credential::{
        self, AssumeRoleSettings, Endpoint, HttpMethod, HttpSettings, KeyMetrics, KeySetSettings,
        ParentKey, RefreshSettings, RequestHeader, SourceSettings,
    },
    emulator::{
        accounts::{KeyServerRules, Role, Subject},
        faults::{Fault, Service},
    },
    secret::{SecretId, SecretKey, SessionToken},
};
use stand::{BUCKET, PATIENCE, ROLE, SECRET_ID, SECRET_KEY, Stand, refused_code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_federation_token_reaches_the_bucket_and_nothing_else() {
    let stand = Stand::open().await;
    let (reader, _handle) = stand.start(SourceSettings::FederationToken(stand.federation()));
    let key = reader.wait(PATIENCE).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    assert_eq!(key.id.as_str(), issued.secret_id);
    assert_eq!(key.expires_at.unwrap().unix_seconds(), issued.expires_at);
    assert_eq!(issued.expires_at - issued.issued_at, 7200);
    assert_eq!(issued.subject, Subject::Federated("cos-auth-proxy".to_owned()));
    let policy = issued.policy.as_ref().unwrap();
    let of =
        |bucket: &str, key: &str| format!("qcs::cos:ap-guangzhou:uid/1250000000:{bucket}/{key}");
    for (action, resource, allowed) in [
        ("name/cos:PutObject", of(BUCKET, "a/b"), true),
        ("name/cos:GetBucket", of(BUCKET, ""), true),
        ("name/cos:DeleteObject", of(BUCKET, "x"), true),
        ("name/cos:GetObject", of("other-1250000000", "a/b"), false),
        ("name/cos:DeleteBucket", of(BUCKET, ""), false),
        ("name/cos:PutBucketPolicy", of(BUCKET, ""), false),
    ] {
        assert_eq!(policy.allows(action, &resource), allowed, "{action} {resource}");
    }
    let seen = stand.seen.since(0);
    let request = seen.first().unwrap();
    assert_eq!((request.verdict.as_str(), request.action.as_str()), ("ok", "GetFederationToken"));
    assert!(request.host.starts_with("127.0.0.1:"), "{}", request.host);
    stand.close().await;
}

#[tokio::test]
async fn a_role_is_assumed_by_a_permanent_key_and_by_a_temporary_one() {
    let stand = Stand::open().await;
    let mut role = stand.role();
    role.policy = Some(credential::bucket_policy("ap-guangzhou", BUCKET));
    let key = stand.once(SourceSettings::AssumeRole(role)).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    assert_eq!(key.id.as_str(), issued.secret_id);
    assert!(!issued.policy.as_ref().unwrap().allows("name/cos:PutBucketPolicy", "x"));
    let Subject::RoleSession { session, .. } = &issued.subject else { panic!("no role session") };
    assert_eq!(session, "pod-7-of-reports");

    let wide = stand.once(SourceSettings::AssumeRole(stand.role())).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    let mut chained = stand.role();
    chained.parent = ParentKey::new(
        wide.id.clone(),
        SecretKey::new(&issued.secret_key).unwrap(),
        Some(SessionToken::new(&issued.token).unwrap()),
    )
    .into();
    let chained = stand.once(SourceSettings::AssumeRole(chained)).await.unwrap();
    assert_ne!(chained.id, wide.id);
    assert_eq!(stand.seen.since(0).last().unwrap().secret_id.as_deref(), Some(wide.id.as_str()));
    stand.close().await;
}

#[tokio::test]
async fn a_role_with_an_external_id_wants_it() {
    let stand = Stand::open().await;
    let external_id = Some("partner:7".to_owned());
    stand.accounts.add_role(Role { external_id: external_id.clone(), ..Role::unlimited(ROLE) });
    let without = stand.once(SourceSettings::AssumeRole(stand.role())).await;
    assert_eq!(refused_code(without), "UnauthorizedOperation");
    let with = AssumeRoleSettings { external_id, ..stand.role() };
    assert!(stand.once(SourceSettings::AssumeRole(with)).await.is_ok());
    stand.close().await;
}

#[tokio::test]
async fn a_duration_above_the_roles_own_is_lowered() {
    let stand = Stand::open().await;
    stand.accounts.add_role(Role { longest_session: 10_000, ..Role::unlimited(ROLE) });
    let role = AssumeRoleSettings { duration: Duration::from_secs(43_200), ..stand.role() };
    stand.once(SourceSettings::AssumeRole(role)).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    assert_eq!(issued.expires_at - issued.issued_at, 7200);
    stand.close().await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_with_code_and_request_and_without_the_secret() {
    let stand = Stand::open().await;
    let mut role = stand.role();
    let id = SecretId::new(SECRET_ID).unwrap();
    role.parent = ParentKey::new(id, SecretKey::new("WrongSecretKeyValue").unwrap(), None).into();
    let told = stand.once(SourceSettings::AssumeRole(role)).await.unwrap_err().to_string();
    assert!(told.contains("AuthFailure.SignatureFailure") && told.contains("request "), "{told}");
    assert!(!told.contains("WrongSecretKeyValue") && !told.contains(SECRET_ID), "{told}");
    stand.close().await;
}

#[tokio::test]
async fn a_server_whose_clock_differs_by_an_hour_is_followed() {
    for offset in [3600, -3600] {
        let stand = Stand::open().await;
        stand.accounts.set_clock_offset(offset);
        let (reader, _handle) = stand.start(SourceSettings::FederationToken(stand.federation()));
        reader.wait(PATIENCE).await.unwrap();
        assert_eq!(stand.seen.count_verdict(Service::Sts, "AuthFailure.SignatureExpire"), 1);
        assert_eq!(stand.seen.count(Service::Sts), 2, "asked again at once");
        let learnt = stand.clock.offset_millis() / 1000;
        assert!((learnt - offset).abs() <= 2, "{learnt}");
        stand.close().await;
    }
}

#[tokio::test]
async fn every_shape_of_a_key_server_is_read() {
    let stand = Stand::open().await;
    for shape in ["A", "B", "C", "D", "E", "F", "G"] {
        let source = SourceSettings::Http(stand.http(&format!("?shape={shape}")));
        let key = stand.once(source).await.unwrap();
        let issued = stand.accounts.latest().unwrap();
        assert_eq!(key.id.as_str(), issued.secret_id, "shape {shape}");
        assert_eq!(key.expires_at.unwrap().unix_seconds(), issued.expires_at, "shape {shape}");
    }
    stand.close().await;
}

#[tokio::test]
async fn a_key_server_gets_the_method_headers_body_and_the_token_as_it_is_now() {
    let stand = Stand::open().await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let bearer = |token: &str| {
        let rules = KeyServerRules { bearer: Some(token.to_owned()), policy: None };
        stand.accounts.set_key_server_rules(rules);
        std::fs::write(&token_file, format!("{token}\n")).unwrap();
    };
    let scope = format!(
        r#"[{{"action":"name/cos:PutObject","bucket":"{BUCKET}","region":"ap-guangzhou","prefix":"a/*"}}]"#
    );
    let mut settings = stand.http("");
    settings.method = HttpMethod::Post;
    settings.body = Some(scope.into());
    settings.headers = vec![RequestHeader::new("x-team", "reports").unwrap()];
    settings.bearer_token_file = Some(token_file.clone());
    bearer("first");
    let (reader, handle) = stand.start(SourceSettings::Http(settings));
    reader.wait(PATIENCE).await.unwrap();
    let request = stand.seen.since(0).pop().unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("x-team"), Some("reports"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let policy = stand.accounts.latest().unwrap().policy.clone().unwrap();
    let key = format!("qcs::cos:ap-guangzhou:uid/1250000000:{BUCKET}/a/b");
    assert!(
        policy.allows("name/cos:PutObject", &key) && !policy.allows("name/cos:GetObject", &key)
    );

    bearer("second");
    assert_eq!(handle.refresh_now().await.unwrap().swaps, 2);
    std::fs::remove_file(&token_file).unwrap();
    let gone = handle.refresh_now().await.unwrap_err().to_string();
    assert!(gone.contains("cannot read") && gone.contains("token"), "{gone}");
    assert!(reader.current(stand.clock.now()).is_ok());
    stand.close().await;
}

/// Where log lines go.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_swap_and_each_failure_is_logged_with_the_next_try_and_without_a_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For this thread only, which is the one the test and its tasks run on.
    let _logging = tracing::subscriber::set_default(subscriber);
    let stand = Stand::open().await;
    let (reader, handle) = stand.start(SourceSettings::FederationToken(stand.federation()));
    let key = reader.wait(PATIENCE).await.unwrap();
    let issued = stand.accounts.latest().unwrap();
    stand.faults.for_next(Service::Sts, 1, Fault::Throttle);
    handle.refresh_now().await.unwrap_err();
    let status = handle.status();
    assert_eq!(status.last_error_class, Some("throttled"));
    stand.faults.for_next(Service::Sts, 1, Fault::ExpiresAt(0));
    handle.refresh_now().await.unwrap_err();
    stand.close().await;

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let of_keys: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["target"] == "cos_auth_proxy::keys")
        .collect();
    let [swap, failure, refusal] = of_keys.as_slice() else { panic!("{of_keys:#?}") };
    assert_eq!(failure["fields"]["sts_request_id"], status.last_error_request_id.unwrap());
    for (line, cause) in [(swap, "start"), (failure, "asked"), (refusal, "asked")] {
        assert_eq!(line["fields"]["cause"], cause);
    }
    assert_eq!(swap["fields"]["keys"], "default");
    assert_eq!(swap["fields"]["secret_id"], key.id.short());
    assert_eq!(swap["fields"]["expires_at"], key.expires_at.unwrap().to_string());
    assert_eq!(failure["fields"]["retry"], "throttled");
    for line in [swap, failure, refusal] {
        assert!(line["fields"]["next_refresh_at"].is_string(), "{line}");
        assert!(line["fields"]["sts_request_id"].is_string(), "{line}");
    }
    for secret in [SECRET_KEY, &issued.secret_key, &issued.token] {
        assert!(!text.contains(secret), "a secret is in the log");
    }
}

/// Every bad answer an emulated server can give: none may touch a good key.
fn bad_answers(now: u64) -> Vec<Fault> {
    vec![
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(404),
        Fault::Status(204),
        Fault::Status(302),
        Fault::Html200,
        Fault::Throttle,
        Fault::ErrorCode("InternalError"),
        Fault::ErrorCode("AuthFailure.UnauthorizedOperation"),
        Fault::TruncateBody(0),
        Fault::TruncateBody(60),
        Fault::Oversized,
        Fault::WrongFields,
        Fault::ExpiresAt(0),
        Fault::ExpiresAt(now - 1),
        Fault::ExpiresAt(now + 30),
        Fault::ExpiresAt(9_223_372_036),
        Fault::ExpiresAt(u64::MAX),
        Fault::Reset,
        Fault::Close,
        Fault::Slow(Duration::from_secs(60)),
        Fault::DripBody(Duration::from_secs(1)),
    ]
}

async fn no_bad_answer_replaces_a_good_key(stand: Stand, source: SourceSettings, service: Service) {
    let (reader, handle) = stand.start(source);
    let good = reader.wait(PATIENCE).await.unwrap();
    for fault in bad_answers(stand.clock.now().unix_seconds()) {
        stand.faults.until_cleared(service, fault);
        let told = handle.refresh_now().await.expect_err(&format!("{fault:?}")).to_string();
        assert!(!told.contains(SECRET_KEY) && !told.contains('<'), "{told}");
        let held = reader.current(stand.clock.now()).unwrap();
        assert!(Arc::ptr_eq(&held, &good), "{fault:?} touched the key");
        let status = reader.status(stand.clock.now());
        assert_eq!(status.last_error.as_deref(), Some(told.as_str()));
        stand.faults.clear(service);
    }
    assert!(handle.refresh_now().await.unwrap().secret_id.is_some());
    let held = reader.current(stand.clock.now()).unwrap();
    assert_ne!(held.id, good.id, "a good answer does replace it");
    stand.close().await;
}

#[tokio::test]
async fn no_bad_answer_of_sts_replaces_a_good_key() {
    let stand = Stand::open().await;
    let source = SourceSettings::FederationToken(stand.federation());
    no_bad_answer_replaces_a_good_key(stand, source, Service::Sts).await;
}

#[tokio::test]
async fn no_bad_answer_of_a_key_server_replaces_a_good_key() {
    let stand = Stand::open().await;
    let source = SourceSettings::Http(stand.http("?shape=B"));
    no_bad_answer_replaces_a_good_key(stand, source, Service::KeyServer).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_by_host_and_port() {
    let stand = Stand::open().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = Endpoint::new(&format!("http://{closed}/sts?token=hidden")).unwrap();
    let told = stand.once(SourceSettings::Http(HttpSettings::get(url))).await.unwrap_err();
    assert!(told.to_string().contains(&closed.to_string()), "{told}");
    assert!(!told.to_string().contains("hidden"), "{told}");
    stand.close().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start_all_at_once() {
    let stand = Stand::open().await;
    let mut federation = stand.federation();
    federation.parent.token = Some(Arc::new(SessionToken::new("token").unwrap()));
    federation.policy = "{".to_owned();
    federation.duration = Duration::from_secs(200_000);
    let settings = KeySetSettings {
        refresh: RefreshSettings { refresh_from: 0.9, ..RefreshSettings::default() },
        ..KeySetSettings::new("reports", SourceSettings::FederationToken(federation))
    };
    let metrics = KeyMetrics::default();
    let refused =
        credential::start(&settings, &stand.clock, &metrics, &stand.shutdown).unwrap_err();
    let fields: Vec<_> = refused.problems.iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["refresh.refresh_from", "parent", "duration", "policy"]);
    assert_eq!(stand.seen.count(Service::Sts), 0);
    stand.close().await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_when_its_file_is_given() {
    let stand = Stand::open().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    let port = serve_one_key_over_tls(&made, &stand).await;
    let url = Endpoint::new(&format!("https://localhost:{port}/")).unwrap();

    let told = stand.once(SourceSettings::Http(HttpSettings::get(url.clone()))).await.unwrap_err();
    assert!(told.to_string().contains("certificate"), "{told}");
    let trusting =
        HttpSettings { ca_file: Some(ca_file.clone()), ..HttpSettings::get(url.clone()) };
    assert_eq!(stand.once(SourceSettings::Http(trusting)).await.unwrap().id.as_str(), "AKIDtls");
    std::fs::write(&ca_file, "not a certificate").unwrap();
    let broken = HttpSettings { ca_file: Some(ca_file), ..HttpSettings::get(url) };
    let told = stand.once(SourceSettings::Http(broken)).await.unwrap_err();
    assert!(told.to_string().contains("no certificate"), "{told}");
    stand.close().await;
}

/// An https server on loopback that answers every request with the same key; returns its port.
async fn serve_one_key_over_tls(made: &rcgen::CertifiedKey<rcgen::KeyPair>, stand: &Stand) -> u16 {
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let end = stand.clock.now().unix_seconds() + 7200;
    let body = format!(
        r#"{{"TmpSecretId":"AKIDtls","TmpSecretKey":"s","Token":"t","ExpiredTime":{end}}}"#
    );
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let ending = stand.shutdown.clone();
    stand.shutdown.spawn("tls key server", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ending.begun() => return,
            };
            let Ok((stream, _)) = accepted else { return };
            // A client that does not trust us goes away here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}
