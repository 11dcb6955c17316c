//! Telemetry and control over real sockets.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic too")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cos_auth_proxy::{
    clock::Clock,
    control::{
        Control, ControlActions, ControlError, ControlSettings, KeyStatus, Status, UnknownKeys,
    },
    metrics::Registry,
    server::{self, ListenAddress, Listener, ServerLimits},
    shutdown::Shutdown,
    telemetry::{Health, Telemetry},
};
use http::{Request, Response};
use http_body_util::Full;

/// A service on its own runtime and thread; ends with its owner.
struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start<F>(serve: impl FnOnce(Listener, Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let listener = loopback();
        let ListenAddress::Tcp(address) = *listener.address() else { unreachable!("TCP") };
        Self::serve(address, listener, serve)
    }

    fn serve<F>(
        address: SocketAddr,
        listener: Listener,
        serve: impl FnOnce(Listener, Shutdown) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let shutdown = Shutdown::new();
        let ending = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, ending)).unwrap();
        });
        Self { address, shutdown, thread: Some(thread) }
    }

    /// Ends the service and waits for it.
    fn end(&mut self) {
        self.shutdown.begin();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    fn ask(&self, request: &str) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        exchange(stream, request)
    }

    /// A request with the usual headers of a well-behaved caller.
    fn order(&self, start: &str, body: &str) -> Answer {
        let length = body.len();
        self.ask(&format!(
            "{start} HTTP/1.1\r\nHost: localhost\r\nx-cos-auth-proxy-control: 1\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.begin();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the service panicked");
        }
    }
}

fn loopback() -> Listener {
    Listener::bind(&ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())).unwrap()
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line in {text:?}"));
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a request that asks for the connection to be closed and reads to the end.
fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Answer::parse(&text)
}

fn telemetry(health: Health) -> Running {
    let registry = Registry::new("1.2.3", 1_700_000_000);
    Running::start(move |listener, shutdown| {
        Telemetry::new(registry, health).serve(listener, shutdown)
    })
}

fn without_keys() -> Health {
    Health::new(Clock::system(), Vec::new(), Arc::default())
}

#[test]
fn metrics_are_in_the_text_format_with_its_media_type() {
    let telemetry = telemetry(without_keys());
    let answer = telemetry.get("/metrics");
    assert_eq!(answer.status, 200);
    let media_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(answer.head.contains(media_type), "{}", answer.head);
    assert!(answer.body.contains("cos_auth_proxy_build_info{version=\"1.2.3\"} 1\n"));
    assert!(answer.body.contains("\nprocess_start_time_seconds 1700000000\n"));
    assert!(answer.body.ends_with("# EOF\n"));
    if cfg!(target_os = "linux") {
        for series in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
            let line = answer.body.lines().find_map(|l| l.strip_prefix(&format!("{series} ")));
            assert!(line.unwrap().parse::<f64>().unwrap() > 0.0, "{series}");
        }
        assert!(answer.body.contains("\nprocess_cpu_seconds_total "));
    }
}

#[test]
fn without_a_key_the_process_is_alive_and_not_ready_and_not_started() {
    let telemetry = telemetry(without_keys());
    assert_eq!(telemetry.get("/livez").status, 200);
    let ready = telemetry.get("/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body, "not ready: the first key has not come yet; the log says why\n");
    assert_eq!(telemetry.get("/startup").status, 503);
}

#[test]
fn a_draining_process_is_alive_and_not_ready() {
    let draining = Arc::new(AtomicBool::new(true));
    let telemetry = telemetry(Health::new(Clock::system(), Vec::new(), draining));
    assert_eq!(telemetry.get("/livez").status, 200);
    let ready = telemetry.get("/readyz");
    assert_eq!((ready.status, ready.body.contains("draining")), (503, true), "{ready:?}");
}

#[test]
fn other_paths_and_methods_are_refused_and_head_has_no_body() {
    let telemetry = telemetry(without_keys());
    for path in ["/", "/metrics/", "/livez/..", "/status", "/quit", "//metrics"] {
        assert_eq!(telemetry.get(path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = telemetry
            .ask(&format!("{method} /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    let head = telemetry.ask("HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn garbage_and_oversized_heads_are_refused_and_the_next_request_is_served() {
    let telemetry = telemetry(without_keys());
    let huge = format!("GET /livez HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    for nonsense in ["\r\n\r\n\0\0\0\r\n\r\n", "GET\r\n\r\n", &huge] {
        let mut stream = TcpStream::connect(telemetry.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The service may close while this is still being sent.
        drop(stream.write_all(nonsense.as_bytes()));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{nonsense:.40}");
    }
    assert_eq!(telemetry.get("/livez").status, 200);
}

#[test]
fn more_connections_than_allowed_wait_and_are_served_when_others_leave() {
    let handler = |_: Request<_>| async { Response::new(Full::new(Bytes::from_static(b"ok"))) };
    let limits = ServerLimits { connections: 2, ..ServerLimits::default() };
    let service = Running::start(move |listener, shutdown| {
        server::serve(listener, limits, shutdown, handler)
    });
    let first = TcpStream::connect(service.address).unwrap();
    let second = TcpStream::connect(service.address).unwrap();
    let mut third = TcpStream::connect(service.address).unwrap();
    third.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.read(&mut [0; 1]).is_err(), "a third connection was served");
    drop((first, second));
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = String::new();
    third.read_to_string(&mut text).unwrap();
    assert_eq!(Answer::parse(&text).status, 200);
}

#[test]
fn idle_connections_do_not_hold_up_the_end_and_an_answer_under_way_is_finished() {
    let (started, wait_started) = std::sync::mpsc::channel();
    let release = Arc::new(tokio::sync::Notify::new());
    let released = Arc::clone(&release);
    let handler = move |_: Request<_>| {
        let (started, released) = (started.clone(), Arc::clone(&released));
        async move {
            started.send(()).unwrap();
            released.notified().await;
            Response::new(Full::new(Bytes::from_static(b"finished")))
        }
    };
    let mut service = Running::start(move |listener, shutdown| {
        server::serve(listener, ServerLimits::default(), shutdown, handler)
    });
    let mut idle = TcpStream::connect(service.address).unwrap();
    let mut busy = TcpStream::connect(service.address).unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait_started.recv_timeout(Duration::from_secs(20)).unwrap();
    service.shutdown.begin();
    idle.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "the idle connection is closed");
    release.notify_one();
    let mut text = String::new();
    busy.read_to_string(&mut text).unwrap();
    assert_eq!(Answer::parse(&text).body, "finished");
    service.end();
    assert!(TcpStream::connect(service.address).is_err(), "nobody listens after the end");
}

#[test]
fn a_request_that_never_ends_does_not_outlive_the_grace() {
    let (started, wait_started) = std::sync::mpsc::channel();
    let handler = move |_: Request<_>| {
        let started = started.clone();
        async move {
            started.send(()).unwrap();
            std::future::pending::<Response<Full<Bytes>>>().await
        }
    };
    let limits = ServerLimits { grace: Duration::from_millis(50), ..ServerLimits::default() };
    let mut service = Running::start(move |listener, shutdown| {
        server::serve(listener, limits, shutdown, handler)
    });
    let mut stuck = TcpStream::connect(service.address).unwrap();
    stuck.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait_started.recv_timeout(Duration::from_secs(20)).unwrap();
    service.end();
    assert_eq!(stuck.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
}

/// What control did.
#[derive(Debug, Default)]
struct Orders {
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
                Ok(vec!["default".to_owned()])
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
        }
    }

    fn none(&self) -> bool {
        self.refreshed.lock().unwrap().is_empty()
            && self.quits.load(Ordering::Relaxed) == 0
            && self.levels.lock().unwrap().is_empty()
    }
}

fn control(orders: &Arc<Orders>) -> Running {
    let actions = orders.actions();
    Running::start(move |listener, shutdown| Control::new(actions).serve(listener, shutdown))
}

#[test]
fn orders_are_carried_out_and_answered() {
    let orders = Arc::new(Orders::default());
    let control = control(&orders);
    let refresh = control.order("POST /refresh", "");
    assert_eq!((refresh.status, &refresh.json()["refreshing"][0]), (202, &"default".into()));
    assert_eq!(control.order("POST /refresh?keys=default", "").status, 202);
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

    assert_eq!(control.order("POST /quit", "").status, 202);
    assert_eq!(orders.quits.load(Ordering::Relaxed), 1);
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
        for order in ["POST /quit", "POST /refresh", "PUT /log-level", "GET /status"] {
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
    let actions = orders.actions();
    let nowhere = "127.0.0.1:0".parse().unwrap();
    let mut control = Running::serve(nowhere, listener, move |listener, shutdown| {
        Control::new(actions).serve(listener, shutdown)
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
