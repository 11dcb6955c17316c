//! The checked settings of all rooms.

use std::time::Duration;

use super::{
    clock::clock,
    environment::Environment,
    key_endpoint::key_endpoint,
    key_sets::{self, KeyNote, key_sets},
    layers::Layers,
    listen::{self, Door},
    problem::Problems,
    routes, upstream,
};
use crate::{
    clock::ClockSettings,
    control::ControlSettings,
    credential::KeySetSettings,
    key_endpoint::KeyEndpointSettings,
    log::{LogFormat, LogSettings},
    proxy::ProxySettings,
    telemetry::TelemetrySettings,
    transport::TransportSettings,
};

/// Everything a running proxy is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Admission and names.
    pub proxy: ProxySettings,
    /// Sockets, buffers, deadlines.
    pub transport: TransportSettings,
    /// Where keys come from; at least one.
    pub keys: Vec<KeySetSettings>,
    /// How `keys` were understood, one note each.
    pub key_notes: Vec<KeyNote>,
    /// What is learnt about the servers' clocks.
    pub clock: ClockSettings,
    /// `/metrics` and health.
    pub telemetry: TelemetrySettings,
    /// Orders of the operator.
    pub control: ControlSettings,
    /// Keys for programs that sign themselves; off without an address.
    pub key_endpoint: KeyEndpointSettings,
    /// Logs.
    pub log: LogSettings,
    /// How long running requests may take to end. `shutdown.grace`
    pub shutdown_grace: Duration,
}

/// Where a running proxy is asked: all that `status` and its like need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Health and metrics.
    pub telemetry: Vec<Door>,
    /// Orders.
    pub control: Vec<Door>,
}

pub(super) fn settings(
    layers: &Layers,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Settings {
    let doors = listen::doors(layers, problems);
    let mut proxy = upstream::proxy(layers, problems);
    let transport = upstream::transport(layers, doors.transport(), problems);
    let names = key_sets::names(layers, problems);
    proxy.routes = routes::routes(layers, &names, problems);
    let (keys, key_notes) = key_sets(&names, layers, environment, &proxy.routes, problems);
    let key_endpoint = key_endpoint(layers, doors.key_endpoint(), &keys, problems);
    Settings {
        proxy,
        transport,
        keys,
        key_notes,
        clock: clock(layers, problems),
        telemetry: doors.telemetry(),
        control: doors.control(),
        key_endpoint,
        log: log(layers, problems),
        shutdown_grace: layers.span("shutdown.grace"),
    }
}

pub(super) fn addresses(layers: &Layers, problems: &mut Problems) -> Addresses {
    let doors = listen::doors(layers, problems);
    Addresses { telemetry: doors.telemetry, control: doors.control }
}

fn log(layers: &Layers, problems: &mut Problems) -> LogSettings {
    let level = layers.text("log.level").unwrap_or_else(|| "info".to_owned());
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let fits = |part: &str| {
        let level = part.split_once('=').map_or(part, |(_, level)| level);
        levels.contains(&level.trim().to_ascii_lowercase().as_str())
    };
    if !level.split(',').all(fits) {
        problems.add_value(
            "log.level",
            &layers.origin("log.level"),
            "must be error, warn, info, debug or trace, or a list such as \
             \"cos_auth_proxy::credential=debug,info\"",
        );
    }
    LogSettings {
        format: match layers.text("log.format").as_deref() {
            Some("json") => LogFormat::Json,
            Some("human") => LogFormat::Human,
            _ => LogFormat::Auto,
        },
        level,
        access: layers.flag("log.access"),
    }
}
