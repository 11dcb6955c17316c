//! Orders, and who may give them.

use std::{
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cos_auth_proxy::{
    control::{
        Control, ControlActions, ControlError, ControlSettings, KeyStatus, RefreshOutcome,
        Refreshed, Status, UnknownKeys,
    },
    server::ListenAddress,
};

use crate::running::{Answer, Running, exchange};

/// What control did.
#[derive(Debug, Default)]
struct Orders {
    /// What becomes of the next refreshes; `Swapped` when there is none.
    outcomes: Mutex<Vec<Refreshed>>,
    refreshed: Mutex<Vec<Option<String>>>,
    quits: AtomicUsize,
    levels: Mutex<Vec<String>>,
}

impl Orders {
    fn actions(self: &Arc<Self>) -> ControlActions {
        let (refresh, quit, level) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        ControlActions {
            refresh: Box::new(move |name| {
                if name.is_some_and(|name| name != "default") {
                    let known = vec!["default".to_owned()];
                    return Err(UnknownKeys { name: name.unwrap_or_default().to_owned(), known });
                }
                refresh.refreshed.lock().unwrap().push(name.map(str::to_owned));
                let outcomes = std::mem::take(&mut *refresh.outcomes.lock().unwrap());
                Ok(Box::pin(async move { outcomes.into_iter().map(outcome).collect() }))
            }),
            quit: Box::new(move || {
                quit.quits.fetch_add(1, Ordering::Relaxed);
            }),
            set_log_level: Box::new(move |text| {
                if text == "loud" {
                    return Err("\"loud\" is not a log level".to_owned());
                }
                level.levels.lock().unwrap().push(text.to_owned());
                Ok(())
            }),
            status: Box::new(|| Status {
                version: "1.2.3",
                requests_in_flight: 4,
                keys: vec![KeyStatus {
                    name: "default".to_owned(),
                    secret_id: Some("AKIDexam".to_owned()),
                    expires_in_seconds: Some(-3),
                    ..KeyStatus::default()
                }],
                ..Status::default()
            }),
            last_signature_error: Box::new(|| Some(serde_json::json!({ "signature_failure": 1 }))),
        }
    }

    fn none(&self) -> bool {
        self.refreshed.lock().unwrap().is_empty()
            && self.quits.load(Ordering::Relaxed) == 0
            && self.levels.lock().unwrap().is_empty()
    }
}

fn outcome(outcome: Refreshed) -> RefreshOutcome {
    let keys = KeyStatus {
        name: "default".to_owned(),
        secret_id: Some("AKIDexam".to_owned()),
        ..KeyStatus::default()
    };
    let error = (outcome == Refreshed::Failed).then(|| "sts says no (request r-1)".to_owned());
    RefreshOutcome { outcome, error, keys }
}

fn control(orders: &Arc<Orders>) -> Running {
    let actions = orders.actions();
    Running::start(move |listener, shutdown| Control::new(actions).serve(listener, shutdown))
}

#[test]
fn orders_are_carried_out_and_answered() {
    let orders = Arc::new(Orders::default());
    let control = control(&orders);
    orders.outcomes.lock().unwrap().push(Refreshed::Swapped);
    let refresh = control.order("POST /refresh", "");
    assert_eq!((refresh.status, &refresh.json()["keys"][0]["name"]), (200, &"default".into()));
    assert_eq!(refresh.json()["keys"][0]["outcome"], "swapped");
    assert_eq!(refresh.json()["keys"][0]["secret_id"], "AKIDexam");
    assert_eq!(control.order("POST /refresh?keys=default", "").status, 200);
    assert_eq!(*orders.refreshed.lock().unwrap(), [None, Some("default".to_owned())]);
    let unknown = control.order("POST /refresh?keys=other", "");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"], "no key set is named \"other\"; there are: default");
    assert_eq!(control.order("POST /refresh?key=default", "").status, 400);

    assert_eq!(control.order("PUT /log-level", " debug\n").status, 200);
    assert_eq!(*orders.levels.lock().unwrap(), ["debug"]);
    assert_eq!(control.order("PUT /log-level", "loud").status, 400);
    assert_eq!(control.order("PUT /log-level", &"x".repeat(5000)).status, 413);

    let status = control.order("GET /status", "");
    assert_eq!(status.status, 200);
    assert!(status.head.contains("content-type: application/json"), "{}", status.head);
    let status = status.json();
    assert_eq!(status["requests_in_flight"], 4);
    assert_eq!(status["keys"][0]["secret_id"], "AKIDexam");
    assert_eq!(status["keys"][0]["expires_in_seconds"], -3);
    assert_eq!(status["keys"][0]["last_error"], serde_json::Value::Null);

    let failure = control.order("GET /last-signature-error", "");
    assert_eq!((failure.status, &failure.json()["signature_failure"]), (200, &1.into()));

    assert_eq!(control.order("POST /quit", "").status, 202);
    assert_eq!(orders.quits.load(Ordering::Relaxed), 1);
}

#[test]
fn the_status_of_a_refresh_is_that_of_its_worst_outcome() {
    use Refreshed::{Failed, Limited, Pending, Swapped, Unchanged};
    let orders = Arc::new(Orders::default());
    let control = control(&orders);
    for (outcomes, expected) in [
        (vec![Swapped, Unchanged], 200),
        (vec![Swapped, Pending], 202),
        (vec![Pending, Limited], 429),
        (vec![Limited, Failed, Swapped], 502),
    ] {
        let count = outcomes.len();
        *orders.outcomes.lock().unwrap() = outcomes;
        let answer = control.order("POST /refresh", "");
        assert_eq!(answer.status, expected);
        let told = answer.json()["keys"].as_array().unwrap().clone();
        assert_eq!(told.len(), count, "each key set is told");
        let failed = told.iter().find(|keys| keys["outcome"] == "failed");
        assert!(failed.is_none_or(|keys| keys["error"] == "sts says no (request r-1)"));
    }
}

#[test]
fn orders_that_a_web_page_could_send_are_refused_and_do_nothing() {
    let orders = Arc::new(Orders::default());
    let control = control(&orders);
    let mark = "x-cos-auth-proxy-control: 1\r\n";
    for (headers, expected) in [
        ("Host: localhost\r\n".to_owned(), 403),
        ("Host: localhost\r\nx-cos-auth-proxy-control: yes\r\n".to_owned(), 403),
        (format!("Host: rebound.example:9002\r\n{mark}"), 421),
        (format!("Host: localhost\r\nHost: evil.example\r\n{mark}"), 421),
        (mark.to_owned(), 421),
        (format!("Host: localhost\r\nOrigin: http://localhost:9002\r\n{mark}"), 403),
        (format!("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n{mark}"), 403),
    ] {
        for order in [
            "POST /quit",
            "POST /refresh",
            "PUT /log-level",
            "GET /status",
            "GET /last-signature-error",
        ] {
            let answer = control.ask(&format!(
                "{order} HTTP/1.1\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
            ));
            assert_eq!(answer.status, expected, "{order} {headers}");
            assert!(answer.json()["error"].is_string());
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
    let preflight = control.ask(
        "OPTIONS /quit HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
         Access-Control-Request-Headers: x-cos-auth-proxy-control\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(preflight.status, 403);
    assert!(orders.none(), "{orders:?}");
}

#[test]
fn wrong_paths_and_methods_are_told_what_there_is() {
    let orders = Arc::new(Orders::default());
    let control = control(&orders);
    for (start, expected) in [
        ("GET /quit", 405),
        ("GET /refresh", 405),
        ("POST /log-level", 405),
        ("POST /status", 405),
        ("POST /last-signature-error", 405),
        ("GET /metrics", 404),
        ("POST /quit/", 404),
    ] {
        assert_eq!(control.order(start, "").status, expected, "{start}");
    }
    assert!(orders.none(), "{orders:?}");
}

#[test]
fn control_is_never_bound_where_other_hosts_reach_it() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let address = ListenAddress::Tcp(address.parse().unwrap());
        let settings = ControlSettings { address: vec![address] };
        let error = Control::bind(&settings).unwrap_err();
        assert!(matches!(error, ControlError::NotLocal { .. }), "{error}");
        assert!(error.to_string().contains("loopback"), "{error}");
    }
}

#[test]
fn control_answers_on_a_unix_socket_whatever_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let settings = ControlSettings { address: vec![ListenAddress::Unix(path.clone())] };
    let listener = Control::bind(&settings).unwrap().remove(0);
    let orders = Arc::new(Orders::default());
    let nowhere = "127.0.0.1:0".parse().unwrap();
    let mut control = Running::serve(nowhere, listener, move |listener, shutdown| {
        Control::new(orders.actions()).serve(listener, shutdown)
    });
    let answer = ask_unix(&path, "x-cos-auth-proxy-control: 1\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(ask_unix(&path, "").status, 403);
    control.end();
    assert!(!path.exists(), "the socket's file goes with the service");
}

fn ask_unix(path: &Path, header: &str) -> Answer {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    exchange(
        stream,
        &format!("GET /status HTTP/1.1\r\nHost: proxy\r\n{header}Connection: close\r\n\r\n"),
    )
}
