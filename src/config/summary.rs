//! Says how the configuration is understood, for `check`.

use std::fmt::Write as _;

use super::{
    key_sets::KeyNote,
    route_table::table,
    scope::{unused, warnings},
    settings::Settings,
};
use crate::{
    proxy::{PathStyle, ProxySettings},
    server, transport,
};

/// One line for each thing; never a secret.
#[must_use]
pub fn summary(settings: &Settings) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12} {value}");
        }
    };
    row("listen", &join(settings.transport.listen.iter().map(address)));
    row("telemetry", &join(settings.telemetry.address.iter().map(server_address)));
    row("control", &join(settings.control.address.iter().map(server_address)));
    let endpoint = &settings.key_endpoint;
    row("hands keys", &join(endpoint.address.iter().map(server_address)));
    if !endpoint.address.is_empty() {
        row("  of", &endpoint.keys.join(", "));
        row("  as", &join(endpoint.shapes.iter().map(|shape| shape.name().to_owned())));
        let token = endpoint.bearer_token_file.as_ref();
        row(
            "  to",
            &token.map_or("every program of this host".to_owned(), |file| {
                format!("who shows the token in {}", file.display())
            }),
        );
    }
    row("upstream", &upstream(&settings.proxy));
    row("dialled at", settings.proxy.connect_to.as_deref().unwrap_or_default());
    row("bare paths", bare_paths(&settings.proxy));
    if !settings.proxy.routes.is_empty() {
        row("routes", &table(&settings.proxy.routes).join("\n             "));
    }
    let unused = unused(settings);
    for note in &settings.key_notes {
        row("keys", &keys(note, unused.contains(&note.set.as_str())));
        for reason in &note.passed_over {
            row("  not from", reason);
        }
        row("  found in", &note.found_in.join(", "));
        row("  asked at", note.endpoint.as_deref().unwrap_or_default());
        let asked_with = note.via.as_ref().map(|via| format!("the key of {via}"));
        row("  asked with", &asked_with.unwrap_or_default());
        row("  role", note.role.as_deref().unwrap_or_default());
        row("  policy", &note.policy.as_deref().map(pretty).unwrap_or_default());
        row("  kept in", note.cache_file.as_deref().unwrap_or_default());
    }
    for warning in warnings(settings) {
        row("warning", &warning);
    }
    text
}

fn keys(note: &KeyNote, unused: bool) -> String {
    let by = if note.chosen_by_auto { " (auto)" } else { "" };
    let idle = if unused { ", unused" } else { "" };
    format!("{}: {}{by}{idle}", note.set, note.source)
}

fn upstream(proxy: &ProxySettings) -> String {
    let bucket = proxy.bucket.as_deref().unwrap_or("{bucket}");
    let region = proxy.region.as_deref().unwrap_or("{region}");
    proxy.endpoint.replace("{bucket}", bucket).replace("{region}", region)
}

fn bare_paths(proxy: &ProxySettings) -> &'static str {
    let in_bucket = match proxy.path_style {
        PathStyle::Key => true,
        PathStyle::BucketKey => false,
        PathStyle::Auto => proxy.bucket.is_some(),
    };
    match (in_bucket, proxy.region.is_some()) {
        (true, _) => "/key in the bucket",
        (false, true) => "/bucket/key",
        (false, false) => "refused: no region is set; requests must name a COS host",
    }
}

fn pretty(policy: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(policy);
    let text = parsed.and_then(|policy| serde_json::to_string_pretty(&policy));
    text.unwrap_or_default().replace('\n', "\n             ")
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn address(address: &transport::ListenAddress) -> String {
    match address {
        transport::ListenAddress::Tcp(address) => address.to_string(),
        transport::ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn server_address(address: &server::ListenAddress) -> String {
    match address {
        server::ListenAddress::Tcp(address) => address.to_string(),
        server::ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}
