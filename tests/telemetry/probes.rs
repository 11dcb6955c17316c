//! `/metrics`, `/livez`, `/readyz`, `/startup`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cos_auth_proxy::{
    clock::{Clock, Timestamp},
    credential::channel_named,
    metrics::Registry,
    telemetry::{Health, Telemetry},
};

use crate::{keys::key, running::Running};

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
fn probes_follow_the_key_from_none_to_usable_to_expired_to_renewed() {
    let clock = Clock::system();
    let (writer, reader) = channel_named("default", clock.clone());
    let (_nobody, never) = channel_named("other", clock.clone());
    let draining = Arc::new(AtomicBool::new(false));
    let keys = vec![never, reader];
    let telemetry = telemetry(Health::new(clock.clone(), keys, Arc::clone(&draining)));
    let probes = || ["/livez", "/readyz", "/startup"].map(|path| telemetry.get(path).status);
    assert_eq!(probes(), [200, 503, 503]);
    writer.publish(key("AKIDfirst", Some(clock.now() + Duration::from_secs(3600))));
    assert_eq!(probes(), [200, 200, 200]);
    writer.publish(key("AKIDsecond", Some(Timestamp::from_unix_seconds(1))));
    assert_eq!(probes(), [200, 503, 200]);
    let why = telemetry.get("/readyz").body;
    assert_eq!(why, "not ready: every key has expired and no new one came; the log says why\n");
    writer.publish(key("AKIDthird", None));
    assert_eq!(probes(), [200, 200, 200]);
    draining.store(true, Ordering::Relaxed);
    assert_eq!(probes(), [200, 503, 200]);
}
