//! What is asked of the proxy and what is seen of it, while many clients are there.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use super::{
    PATIENCE,
    stand::{Stand, connect},
};

impl Stand {
    /// Two data threads and room for 11,000 clients.
    pub(crate) fn wide() -> Self {
        Self::open("threads = 2", "[limits]\nconnections = 11000")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.data, PATIENCE)
    }

    /// Uploads `size` bytes to `key`.
    pub(crate) fn put(&self, key: &str, size: usize) {
        let mut client = self.connect();
        let head = format!(
            "PUT /{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        );
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&vec![b'x'; size]).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Memory that the proxy has resident, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.proxy.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The value of a series without labels.
    pub(crate) fn series(&self, name: &str) -> u64 {
        let mut page = String::new();
        let mut scrape = connect(self.telemetry, PATIENCE);
        scrape
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        scrape.read_to_string(&mut page).unwrap();
        let prefix = format!("cos_auth_proxy_{name} ");
        page.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
    }
}
