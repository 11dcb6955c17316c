//! What many clients cost the process: memory of those that idle, and of those that are slow.

#![cfg(all(feature = "demo", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "many_clients/measures.rs"]
mod measures;
#[path = "process/stand.rs"]
mod stand;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stand::Stand;

const MIB: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);
const GET_SMALL: &[u8] = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn ten_thousand_idle_clients_fit_into_40_mib() {
    const CLIENTS: u64 = 10_000;
    raise_open_files(CLIENTS + 200);
    let stand = Stand::wide();
    let before = stand.resident();
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = stand.connect();
            // Answered by the proxy itself; the connection stays.
            client.write_all(b"HEAD /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            assert!(head(&mut client).starts_with("HTTP/1.1 400 "));
            client
        })
        .collect();
    let resident = stand.resident();
    let each = (resident - before) / CLIENTS;
    assert!(
        resident < 40 * MIB,
        "{} MiB with {CLIENTS} idle clients; {} before, {each} bytes each",
        resident / MIB,
        before / MIB
    );
    drop(clients);
}

#[test]
fn clients_that_do_not_read_or_send_cost_their_own_buffers_and_nobody_else_waits() {
    const EACH: usize = 64;
    let stand = Stand::wide();
    // More than the kernel holds for one who does not read.
    stand.put("large", 16 << 20);
    stand.put("small", 3);
    let before = stand.resident();
    let mut slow = Vec::new();
    for _ in 0..EACH {
        let mut reader = stand.connect();
        reader.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut writer = stand.connect();
        writer
            .write_all(
                b"PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nx",
            )
            .unwrap();
        slow.extend([reader, writer]);
    }
    let late = tokio::time::Instant::now() + PATIENCE;
    while stand.series("requests_in_flight") < 2 * EACH as u64 {
        assert!(
            tokio::time::Instant::now() < late,
            "{} under way",
            stand.series("requests_in_flight")
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut other = stand.connect();
    for _ in 0..100 {
        other.write_all(GET_SMALL).unwrap();
        assert!(head(&mut other).starts_with("HTTP/1.1 200 "));
        other.read_exact(&mut [0; 3]).unwrap();
    }
    let grown = stand.resident().saturating_sub(before);
    assert!(grown < 32 * MIB, "grew by {} MiB", grown / MIB);
}

/// The head of an answer, read byte by byte so that nothing after it is taken.
fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn raise_open_files(wanted: u64) {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum }).unwrap();
    let granted = getrlimit(Resource::Nofile).current;
    assert!(
        granted.is_none_or(|granted| granted >= wanted),
        "this test needs {wanted} open files, and the hard limit is {granted:?}: raise it (ulimit -Hn)"
    );
}
