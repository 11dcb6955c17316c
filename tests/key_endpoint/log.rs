//! Each hand-out and each refusal is a line that says who asked, and never what was given.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        Credential, Endpoint, HttpSettings, KeyMetrics, KeySetSettings, Narrowing, SourceSettings,
        channel,
    },
    key_endpoint::{HandedOut, KeyEndpoint, KeyEndpointMetrics, KeyEndpointSettings, Shape},
    secret::{SecretId, SecretKey, SessionToken},
    server::ListenAddress,
    shutdown::Shutdown,
};

use crate::house::{PATIENCE, ask, ask_socket};

/// Where log lines go.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn all(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
        parsed.filter(|line: &serde_json::Value| line["target"] == "cos_auth_proxy::keys").collect()
    }
}

#[tokio::test]
async fn who_got_a_key_is_in_the_log_and_the_key_is_not() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For this thread only, which is the one the test and its tasks run on.
    let _logging = tracing::subscriber::set_default(subscriber);
    let folder = tempfile::tempdir().unwrap();
    let (token_file, socket) = (folder.path().join("token"), folder.path().join("keys.sock"));
    std::fs::write(&token_file, "the-bearer-token").unwrap();
    let clock = Clock::system();
    let (keys_writer, keys) = channel();
    keys_writer.publish(Credential {
        id: SecretId::new("AKIDlogged-and-the-rest-is-not").unwrap(),
        secret: SecretKey::new("the-secret-key").unwrap(),
        token: Some(SessionToken::new("the-session-token").unwrap()),
        expires_at: Some(clock.now() + Duration::from_secs(3600)),
        received_at: clock.now(),
    });
    let settings = KeyEndpointSettings {
        address: vec![
            ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()),
            ListenAddress::Unix(socket.clone()),
        ],
        socket_mode: 0o600,
        shapes: vec![Shape::Sts],
        keys: vec!["default".to_owned()],
        bearer_token_file: Some(token_file.clone()),
        margin: Duration::from_secs(60),
        wait: Duration::from_secs(3),
    };
    let url = Endpoint::new("http://127.0.0.1:1/").unwrap();
    let set = KeySetSettings::new("default", SourceSettings::Http(HttpSettings::get(url)));
    let narrowing = Narrowing::new(set, None, clock.clone(), KeyMetrics::default());
    let sets = vec![HandedOut { keys, narrowing }];
    let endpoint = KeyEndpoint::new(&settings, sets, clock, KeyEndpointMetrics::default());
    let shutdown = Shutdown::new();
    let mut address = None;
    for listener in KeyEndpoint::bind(&settings).unwrap() {
        if let ListenAddress::Tcp(tcp) = listener.address() {
            address = Some(*tcp);
        }
        let serving = Arc::clone(&endpoint).serve(listener, shutdown.clone());
        shutdown.spawn("key endpoint", async move { serving.await.unwrap() });
    }
    let address = address.unwrap();
    // Another test's thread may have met a line for the first time in the very moment in which this
    // subscriber came, and decided that nobody listens.
    tracing::callsite::rebuild_interest_cache();
    let with = |token: &str| format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
    let given = ask(address, "GET /sts", &with("the-bearer-token"), "").await;
    assert_eq!(given.status, 200);
    assert_eq!(ask(address, "GET /sts", &with("a-guess"), "").await.status, 401);
    assert_eq!(ask(address, "GET /guessed", &with("the-bearer-token"), "").await.status, 404);
    assert_eq!(ask_socket(&socket, "GET /sts", "").await.status, 401);
    shutdown.begin();
    assert!(shutdown.finished(PATIENCE).await);

    let logged = lines.all();
    let [handed, guess, elsewhere, by_socket] = logged.as_slice() else { panic!("{logged:#?}") };
    let fields = &handed["fields"];
    assert_eq!((&handed["level"], &fields["shape"]), (&"INFO".into(), &"sts".into()));
    assert_eq!((&fields["keys"], &fields["secret_id"]), (&"default".into(), &"AKIDlogg".into()));
    assert!(fields["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{fields}");
    assert_eq!(
        fields["request_id"],
        given.json()["requestId"],
        "both logs can be laid side by side"
    );
    for refusal in [guess, elsewhere, by_socket] {
        assert_eq!(refusal["level"], "WARN");
        assert!(refusal["fields"]["reason"].is_string(), "{refusal}");
    }
    let peer = by_socket["fields"]["peer"].as_str().unwrap();
    assert!(peer.starts_with("user ") && peer.contains("process "), "{peer}");
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let never = [
        "the-secret-key",
        "the-session-token",
        "the-bearer-token",
        "a-guess",
        "rest-is-not",
        "guessed",
    ];
    for secret in never {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
}
