//! Checks where clients, metrics and orders come in.

use std::{fmt, net::SocketAddr, path::PathBuf};

use crate::{
    control::ControlSettings, proxy::PathStyle, server, telemetry::TelemetrySettings, transport,
};

use super::{layers::Layers, problem::Problems};

/// All doors, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doors {
    pub(super) data: Vec<Door>,
    pub(super) telemetry: Vec<Door>,
    pub(super) control: Vec<Door>,
    pub(super) key_endpoint: Vec<Door>,
}

impl Doors {
    pub(super) fn transport(&self) -> Vec<transport::ListenAddress> {
        self.data.iter().cloned().map(into_transport).collect()
    }

    pub(super) fn telemetry(&self) -> TelemetrySettings {
        TelemetrySettings { address: self.telemetry.iter().cloned().map(into_server).collect() }
    }

    pub(super) fn control(&self) -> ControlSettings {
        ControlSettings { address: self.control.iter().cloned().map(into_server).collect() }
    }

    pub(super) fn key_endpoint(&self) -> Vec<server::ListenAddress> {
        self.key_endpoint.iter().cloned().map(into_server).collect()
    }
}

/// An address, as `config.toml` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Reads all addresses; wide ones are refused where they would do harm.
pub(super) fn doors(layers: &Layers, problems: &mut Problems) -> Doors {
    let data = parse(layers, "listen.address", problems);
    let telemetry = parse(layers, "telemetry.address", problems);
    let control = parse(layers, "control.address", problems);
    let key_endpoint = parse(layers, "key_endpoint.address", problems);
    if data.is_empty() && problems.is_empty() {
        let origin = layers.origin("listen.address");
        problems.add_value("listen.address", &origin, "must name at least one address");
    }
    if data.iter().any(is_wide) && !layers.flag("listen.allow_remote_clients") {
        problems.add_value(
            "listen.address",
            &layers.origin("listen.address"),
            "is not loopback: whoever reaches it would use our key; listen on 127.0.0.1, [::1] or \
             unix:/path, or say --allow-remote-clients (listen.allow_remote_clients = true)",
        );
    }
    if control.iter().any(is_wide) {
        problems.add_value(
            "control.address",
            &layers.origin("control.address"),
            "must be loopback (127.0.0.1, [::1]) or unix:/path: its orders need no password",
        );
    }
    if key_endpoint.iter().any(is_wide) {
        problems.add_value(
            "key_endpoint.address",
            &layers.origin("key_endpoint.address"),
            "must be loopback (127.0.0.1, [::1]) or unix:/path: whoever reaches it gets whole keys",
        );
    }
    let named = [
        ("listen", &data),
        ("telemetry", &telemetry),
        ("control", &control),
        ("key_endpoint", &key_endpoint),
    ];
    refuse_shared(layers, &named, problems);
    Doors { data, telemetry, control, key_endpoint }
}

/// How a bare path is read.
pub(super) fn path_style(layers: &Layers, problems: &mut Problems) -> PathStyle {
    match layers.text("listen.path_style").as_deref() {
        Some("key") => {
            if layers.text("upstream.bucket").is_none() {
                problems.add_value(
                    "listen.path_style",
                    &layers.origin("listen.path_style"),
                    "is \"key\", which needs upstream.bucket (--bucket)",
                );
            }
            PathStyle::Key
        }
        Some("bucket/key") => PathStyle::BucketKey,
        _ => PathStyle::Auto,
    }
}

fn parse(layers: &Layers, path: &str, problems: &mut Problems) -> Vec<Door> {
    let mut doors = Vec::new();
    for text in layers.list(path) {
        let door = match text.strip_prefix("unix:") {
            Some(file) if file.starts_with('/') => Some(Door::Unix(PathBuf::from(file))),
            Some(_) => None,
            None if text.is_empty() => continue,
            None => text.parse().ok().map(Door::Tcp),
        };
        match door {
            Some(door) if doors.contains(&door) => {
                problems.add_value(path, &layers.origin(path), "names an address twice");
            }
            Some(door) => doors.push(door),
            None => problems.add_value(
                path,
                &layers.origin(path),
                "must be ADDRESS:PORT with a numeric address, such as 127.0.0.1:9000 or \
                 [::1]:9000, or unix:/absolute/path",
            ),
        }
    }
    doors
}

fn is_wide(door: &Door) -> bool {
    match door {
        Door::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Door::Unix(_) => false,
    }
}

fn refuse_shared(layers: &Layers, named: &[(&str, &Vec<Door>)], problems: &mut Problems) {
    for (index, (name, doors)) in named.iter().enumerate() {
        for (other, others) in named.iter().take(index) {
            let taken = |door: &&Door| match door {
                Door::Tcp(address) => address.port() != 0 && others.contains(door),
                Door::Unix(_) => others.contains(door),
            };
            if doors.iter().any(|door| taken(&door)) {
                let path = format!("{name}.address");
                let text = format!("is an address of {other}.address too: give each its own port");
                problems.add_value(&path, &layers.origin(&path), text);
            }
        }
    }
}

fn into_transport(door: Door) -> transport::ListenAddress {
    match door {
        Door::Tcp(address) => transport::ListenAddress::Tcp(address),
        Door::Unix(path) => transport::ListenAddress::Unix(path),
    }
}

fn into_server(door: Door) -> server::ListenAddress {
    match door {
        Door::Tcp(address) => server::ListenAddress::Tcp(address),
        Door::Unix(path) => server::ListenAddress::Unix(path),
    }
}
