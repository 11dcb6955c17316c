//! What the demo shows: lines to paste, then requests and key swaps as they happen.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use crate::{
    app::{Bound, StatusReader},
    control::Status,
    emulator::{Emulator, faults::Service, seen::SeenRequest},
    server::ListenAddress,
    shutdown::Shutdown,
};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The demo's screen.
pub(super) struct Screen {
    bound: Bound,
    emulator: Emulator,
    bucket: &'static str,
    region: &'static str,
    terminal: bool,
    shown: u64,
    key: Option<String>,
}

impl Screen {
    pub(super) fn new(
        bound: Bound,
        emulator: Emulator,
        bucket: &'static str,
        region: &'static str,
    ) -> Self {
        Self {
            bound,
            emulator,
            bucket,
            region,
            terminal: io::stdout().is_terminal(),
            shown: 0,
            key: None,
        }
    }

    /// Shows until `shutdown` begins.
    pub(super) async fn show(
        mut self,
        status: tokio::sync::oneshot::Receiver<StatusReader>,
        shutdown: Shutdown,
    ) {
        say(&self.welcome());
        let Ok(status) = status.await else { return };
        loop {
            self.look(&status);
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.begun() => break,
            }
        }
        say(if self.terminal { "\r\x1b[Kended\n" } else { "ended\n" });
    }

    fn welcome(&self) -> String {
        let data = place(&self.bound.data);
        let telemetry = place(&self.bound.telemetry);
        let (bucket, region) = (self.bucket, self.region);
        let seeded = match self.emulator.seeded() {
            0 => String::new(),
            n => format!("{n} files of the seed folder are objects of the bucket.\n"),
        };
        format!(
            "cos-auth-proxy demo: an embedded COS and STS, and the proxy in front of them.\n\
             The programs below hold no key. The proxy gets a new one before the old one ends.\n{seeded}\n\
             Paste into another terminal:\n\n\
             \x20 echo hello | curl -T - http://{data}/hello.txt\n\
             \x20 curl http://{data}/hello.txt\n\
             \x20 curl 'http://{data}/?prefix=hel'\n\n\
             or, with the official SDK (pip install cos-python-sdk-v5):\n\n\
             \x20 python3 -c \"from qcloud_cos import CosConfig, CosS3Client; c = CosS3Client(CosConfig(Region='{region}', Scheme='http', Anonymous=True, Domain='{data}')); print(c.list_objects(Bucket='{bucket}'))\"\n\n\
             Metrics: http://{telemetry}/metrics    End: Ctrl-C\n\n"
        )
    }

    fn look(&mut self, status: &StatusReader) {
        let status = status();
        let mut lines = String::new();
        self.note_swap(&status, &mut lines);
        for request in self.emulator.seen().since(self.shown) {
            self.shown = request.number;
            if request.service == Service::Cos {
                lines.push_str(&request_line(&request));
            }
        }
        if self.terminal {
            say(&format!("\r\x1b[K{lines}{}", bottom_line(&status)));
        } else if !lines.is_empty() {
            say(&lines);
        }
    }

    fn note_swap(&mut self, status: &Status, lines: &mut String) {
        let Some(keys) = status.keys.first() else { return };
        // The first 8 characters of temporary keys may repeat; the instant of arrival does not.
        let key = keys
            .secret_id
            .clone()
            .zip(keys.received_at.clone())
            .map(|(id, at)| format!("{id} {at} {}", keys.swaps));
        if key.is_some() && key != self.key {
            let left = keys.expires_in_seconds.unwrap_or_default();
            lines.push_str(&format!(
                "key   number {} is in use: {}…, {left} s to expiry\n",
                keys.swaps,
                keys.secret_id.as_deref().unwrap_or_default()
            ));
            self.key = key;
        }
        if let Some(error) = &keys.last_error
            && self.key.is_none()
        {
            lines.push_str(&format!("key   none yet: {error}\n"));
        }
    }
}

fn request_line(request: &SeenRequest) -> String {
    let key: String = request.secret_id.as_deref().unwrap_or("nobody").chars().take(12).collect();
    format!(
        "{:<5} {} {} → {} {}, signed with {key}…\n",
        "req", request.method, request.target, request.status, request.verdict
    )
}

fn bottom_line(status: &Status) -> String {
    let keys = status.keys.first();
    let left = keys
        .and_then(|k| k.expires_in_seconds)
        .map_or("no key".to_owned(), |s| format!("key ends in {s} s"));
    let swaps = keys.map_or(0, |k| k.swaps);
    format!(
        "{left} · {swaps} keys so far · {} requests, {} in flight ",
        status.requests_total, status.requests_in_flight
    )
}

fn place(addresses: &[ListenAddress]) -> String {
    match addresses.first() {
        Some(ListenAddress::Tcp(address)) if address.ip().is_loopback() => {
            format!("localhost:{}", address.port())
        }
        Some(other) => other.to_string(),
        None => "(off)".to_owned(),
    }
}

/// A reader of the screen that went away is no reason to end.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
