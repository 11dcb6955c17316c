//! The program as a process: signals, drains and exit codes, against the embedded COS.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cos-auth-proxy");

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

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

/// The embedded COS, the proxy before it, and where the proxy listens.
struct Stand {
    _folder: tempfile::TempDir,
    _cos: Process,
    proxy: Process,
    data: SocketAddr,
}

fn stand(grace: &str) -> Stand {
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
        "[listen]\naddress = [\"127.0.0.1:0\"]\n[telemetry]\naddress = \"127.0.0.1:0\"\n\
         [control]\naddress = \"unix:{}\"\n[upstream]\nbucket = \"{}\"\nregion = \"{}\"\n\
         endpoint = \"http://{{bucket}}.cos.{{region}}.myqcloud.com\"\nconnect_to = \"{}\"\n\
         [keys.default]\nsource = \"federation-token\"\nendpoint = \"{}\"\n\
         [log]\nformat = \"json\"\n[shutdown]\ngrace = \"{grace}\"\n",
        folder.path().join("control.sock").display(),
        text("bucket"),
        text("region"),
        text("cos"),
        text("sts"),
    );
    std::fs::write(&config, written).unwrap();
    let mut proxy = run(&config, &text("secret_id"), &text("secret_key"));
    let data = listening(&mut proxy);
    Stand { _folder: folder, _cos: cos, proxy, data }
}

fn run(config: &Path, id: &str, key: &str) -> Process {
    Command::new(PROGRAM)
        .args(["run", "--config"])
        .arg(config)
        .env_clear()
        .env("TENCENTCLOUD_SECRET_ID", id)
        .env("TENCENTCLOUD_SECRET_KEY", key)
        .stderr(Stdio::piped())
        .spawn()
        .map(Process)
        .unwrap()
}

/// Reads the log until it tells the data address; the rest is read and dropped by a thread.
fn listening(proxy: &mut Process) -> SocketAddr {
    let mut log = BufReader::new(proxy.0.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the proxy ended before it listened");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        if said["message"] == "listening" {
            std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
            return said["data"].as_str().unwrap().parse().unwrap();
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

/// An upload of 10 bytes of which 4 are sent; returns once it is under way.
fn half_an_upload(stand: &Stand) -> TcpStream {
    let mut client = connect(stand.data);
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
    let mut idle = connect(stand.data);
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
