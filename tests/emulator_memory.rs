//! The embedded object store holds no body in memory. Alone in its process: what is measured is the
//! process.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[allow(dead_code, reason = "shared with tests that use the rest of it")]
#[path = "emulator_cos/client.rs"]
mod client;

use client::{HOST, Stand};

#[tokio::test]
async fn a_large_object_passes_without_being_held() {
    const SIZE: u64 = 64 * 1024 * 1024;
    let stand = Stand::open().await;
    let piece = vec![42; 1024 * 1024];
    let before = peak_memory();
    let mut connection = stand.connect().await;
    let head = format!("PUT /big HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {SIZE}\r\n\r\n");
    connection.write(head.as_bytes()).await;
    for _ in 0..64 {
        connection.write(&piece).await;
    }
    connection.answer(false).await.unwrap().ok();
    connection.write(format!("GET /big HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
    assert_eq!(connection.answer(true).await.unwrap().header("content-length"), Some("67108864"));
    connection.skip(SIZE).await;
    let grown = peak_memory() - before;
    assert!(grown < 32 * 1024, "the most memory ever used grew by {grown} KiB");
}

/// The most memory this process ever had resident, in KiB; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
