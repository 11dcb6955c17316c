//! A request allocates nothing once its connections stand and buffers have grown.
//!
//! A binary of its own, because the counter replaces the global allocator; it counts for all threads,
//! those of the transport too. Client and upstream are plain threads that allocate nothing either.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "wire/house.rs"]
#[expect(dead_code, reason = "the stage of tests/wire, of which this test needs little")]
mod house;

use std::{
    alloc::System,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use house::Plan;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WARM_UP: usize = 300;
const MEASURED: usize = 2000;

/// Reads until `buffer` ends with a head and `body` bytes.
fn read_message(stream: &mut TcpStream, buffer: &mut [u8], body: usize) {
    let mut read = 0;
    loop {
        let n = stream.read(&mut buffer[read..]).unwrap();
        assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&buffer[..read]));
        read += n;
        let head = buffer[..read].windows(4).position(|w| w == b"\r\n\r\n");
        if head.is_some_and(|head| read >= head + 4 + body) {
            return;
        }
    }
}

/// Answers every request of one connection with 1 KiB.
fn upstream(listener: TcpListener, request_body: usize) {
    let answer = [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nx-cos-request-id: abc\r\nETag: \"e\"\r\n\r\n"
            [..],
        &[b'x'; 1024],
    ]
    .concat();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let mut first = [0];
            if !matches!(stream.peek(&mut first), Ok(1)) {
                return;
            }
            read_message(&mut stream, &mut buffer, request_body);
            stream.write_all(&answer).unwrap();
        }
    });
}

/// Allocations of all threads during [`MEASURED`] requests like this one.
fn allocations(request: &[u8], request_body: usize) -> usize {
    // The acceptor lives here, so it must run by itself.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = Plan::usual();
    plan.connect_to = Some(listener.local_addr().unwrap());
    let house = runtime.block_on(plan.open());
    upstream(listener, request_body);
    let mut client = TcpStream::connect(house.address).unwrap();
    client.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    let mut ask = |times: usize| {
        for _ in 0..times {
            client.write_all(request).unwrap();
            read_message(&mut client, &mut buffer, 1024);
        }
    };
    ask(WARM_UP);
    let region = Region::new(ALLOCATOR);
    ask(MEASURED);
    region.change().allocations
}

#[test]
fn a_request_in_the_steady_state_allocates_nothing() {
    let put = [&b"PUT /key?a=b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1024\r\nx-cos-meta-a: b\r\n\r\n"[..], &[b'y'; 1024]].concat();
    for (what, request, request_body) in
        [("GET", &b"GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], 0), ("PUT", &put, 1024)]
    {
        let counted = allocations(request, request_body);
        // What the thread does once a second (its sweep) may allocate; requests may not.
        assert!(counted < MEASURED / 50, "{what}: {counted} allocations in {MEASURED} requests");
    }
}
