//! The serving helper: bounds on connections, and the end.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use cos_auth_proxy::server::{self, ServerLimits};
use http::{Request, Response};
use http_body_util::Full;

use crate::running::{Answer, Running};

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
