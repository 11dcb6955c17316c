//! The program as a process: signals, drains and exit codes, against the embedded COS.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "process/stand.rs"]
#[expect(dead_code, reason = "no test here asks for metrics")]
mod stand;

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use stand::{PROGRAM, Process, Stand, connect};

impl Process {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        for _ in 0..1500 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process does not end");
    }
}

fn stand(grace: &str) -> Stand {
    Stand::open("", &format!("[shutdown]\ngrace = \"{grace}\""))
}

fn client(stand: &Stand) -> TcpStream {
    connect(stand.data, Duration::from_secs(15))
}

/// An upload of 10 bytes of which 4 are sent; returns once it is under way.
fn half_an_upload(stand: &Stand) -> TcpStream {
    let mut client = client(stand);
    client
        .write_all(b"PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    let mut line = [0; 25];
    client.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"0123").unwrap();
    client
}

#[test]
fn sigterm_lets_a_transfer_end_and_the_exit_is_clean() {
    let mut stand = stand("20s");
    let mut client = half_an_upload(&stand);
    stand.proxy.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    client.write_all(b"456789").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(stand.proxy.exit_code(), Some(0));
}

#[test]
fn a_transfer_that_outlasts_the_grace_is_cut_and_the_exit_code_is_75() {
    let mut stand = stand("300ms");
    let _client = half_an_upload(&stand);
    stand.proxy.signal("TERM");
    assert_eq!(stand.proxy.exit_code(), Some(75));
}

#[test]
fn a_second_signal_ends_the_waiting() {
    let mut stand = stand("60s");
    let _client = half_an_upload(&stand);
    stand.proxy.signal("INT");
    std::thread::sleep(Duration::from_millis(200));
    stand.proxy.signal("INT");
    assert_eq!(stand.proxy.exit_code(), Some(75));
}

#[test]
fn an_idle_proxy_ends_at_once_and_frees_its_port() {
    let mut stand = stand("60s");
    let mut idle = client(&stand);
    idle.write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).unwrap();
    stand.proxy.signal("TERM");
    assert_eq!(stand.proxy.exit_code(), Some(0));
    assert!(TcpStream::connect(stand.data).is_err());
}

#[test]
fn a_port_in_use_is_said_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = Command::new(PROGRAM)
        .args(["run", "--bucket", "b-1250000000", "--region", "ap-guangzhou", "--listen", &address])
        .env_clear()
        .env("TENCENTCLOUD_SECRET_ID", "AKIDprocessprocessprocessprocess0000")
        .env("TENCENTCLOUD_SECRET_KEY", "processprocessprocess")
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(69), "{said}");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}
