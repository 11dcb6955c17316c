//! The embedded COS and the proxy before it, as processes of their own.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use super::PATIENCE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cos-auth-proxy");

pub(crate) struct Stand {
    proxy: Process,
    data: SocketAddr,
    telemetry: SocketAddr,
    _cos: Process,
    _folder: tempfile::TempDir,
}

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Stand {
    /// Two data threads and room for 11,000 clients; all else as it is by default.
    pub(crate) fn open() -> Self {
        let mut cos = Command::new(PROGRAM)
            .args(["demo", "--stand-in", "--key-life", "1h"])
            .stdout(Stdio::piped())
            .spawn()
            .map(Process)
            .unwrap();
        let mut line = String::new();
        BufReader::new(cos.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        let written = format!(
            "[listen]\naddress = [\"127.0.0.1:0\"]\nthreads = 2\n[limits]\nconnections = 11000\n\
             [telemetry]\naddress = \"127.0.0.1:0\"\n[control]\naddress = \"unix:{}\"\n\
             [upstream]\nbucket = \"{}\"\nregion = \"{}\"\n\
             endpoint = \"http://{{bucket}}.cos.{{region}}.myqcloud.com\"\nconnect_to = \"{}\"\n\
             [keys.default]\nsource = \"federation-token\"\nendpoint = \"{}\"\n\
             [log]\nformat = \"json\"\n",
            folder.path().join("control.sock").display(),
            text("bucket"),
            text("region"),
            text("cos"),
            text("sts"),
        );
        fs::write(&config, written).unwrap();
        let mut proxy = Command::new(PROGRAM)
            .args(["run", "--config"])
            .arg(&config)
            .env_clear()
            .env("TENCENTCLOUD_SECRET_ID", text("secret_id"))
            .env("TENCENTCLOUD_SECRET_KEY", text("secret_key"))
            .stderr(Stdio::piped())
            .spawn()
            .map(Process)
            .unwrap();
        let (data, telemetry) = listening(&mut proxy);
        Self { proxy, data, telemetry, _cos: cos, _folder: folder }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.data)
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
        let mut scrape = connect(self.telemetry);
        scrape
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        scrape.read_to_string(&mut page).unwrap();
        let prefix = format!("cos_auth_proxy_{name} ");
        page.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads the log until it tells the addresses; the rest is read and dropped by a thread.
fn listening(proxy: &mut Process) -> (SocketAddr, SocketAddr) {
    let mut log = BufReader::new(proxy.0.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the proxy ended before it listened");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        if said["message"] == "listening" {
            std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
            let address = |name: &str| said[name].as_str().unwrap().parse().unwrap();
            return (address("data"), address("telemetry"));
        }
    }
}
