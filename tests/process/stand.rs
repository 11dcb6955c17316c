//! The embedded COS and the proxy before it, as processes of their own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cos-auth-proxy");

/// A process that does not outlive its test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Both processes, and where the proxy listens.
pub(crate) struct Stand {
    pub(crate) proxy: Process,
    pub(crate) data: SocketAddr,
    pub(crate) telemetry: SocketAddr,
    _cos: Process,
    _folder: tempfile::TempDir,
}

impl Stand {
    /// `listen`: lines for that section; `sections`: further ones. All else as it is by default.
    pub(crate) fn open(listen: &str, sections: &str) -> Self {
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
            "[listen]\naddress = [\"127.0.0.1:0\"]\n{listen}\n[telemetry]\naddress = \"127.0.0.1:0\"\n\
             [control]\naddress = \"unix:{}\"\n[upstream]\nbucket = \"{}\"\nregion = \"{}\"\n\
             endpoint = \"http://{{bucket}}.cos.{{region}}.myqcloud.com\"\nconnect_to = \"{}\"\n\
             [keys.default]\nsource = \"federation-token\"\nendpoint = \"{}\"\n\
             [log]\nformat = \"json\"\n{sections}\n",
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
}

/// A client of which no step may take longer than `patience`.
pub(crate) fn connect(address: SocketAddr, patience: Duration) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.set_write_timeout(Some(patience)).unwrap();
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
