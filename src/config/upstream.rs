//! Checks what is said about COS: names, endpoints, deadlines.

use std::{fs::File, path::PathBuf};

use super::{layers::Layers, listen, problem::Problems};
use crate::{http1::Limits, proxy::ProxySettings, transport::TransportSettings};

const FAMILIES: [&str; 3] = ["myqcloud.com", "tencentcos.cn", "tencentci.cn"];

/// The settings of the request steps.
pub(super) fn proxy(layers: &Layers, problems: &mut Problems) -> ProxySettings {
    let settings = ProxySettings {
        bucket: layers.text("upstream.bucket"),
        region: layers.text("upstream.region"),
        endpoint: layers.text("upstream.endpoint").unwrap_or_default(),
        service_endpoint: layers.text("upstream.service_endpoint").unwrap_or_default(),
        connect_to: layers.text("upstream.connect_to"),
        domains: layers.list("upstream.domains"),
        host_families: layers.list("upstream.host_families"),
        allowed_hosts: layers.list("listen.allowed_hosts"),
        path_style: listen::path_style(layers, problems),
        held_body_bytes: layers.number("limits.held_body_bytes"),
        // Known once the key sets are.
        routes: Vec::new(),
    };
    let mut refuse = |path: &str, text: &str| {
        problems.add_value(path, &layers.origin(path), text);
    };
    if settings.region.as_deref().is_some_and(|region| !is_region(region)) {
        refuse(
            "upstream.region",
            "must be a region such as ap-guangzhou: small letters, digits, -",
        );
    }
    if settings.bucket.as_deref().is_some_and(|bucket| !is_bucket(bucket)) {
        refuse(
            "upstream.bucket",
            "must be NAME-APPID such as examplebucket-1250000000: small letters, digits, -, and \
             the account's APPID at the end",
        );
    }
    if let Some(text) = endpoint_fault(&settings.endpoint) {
        refuse("upstream.endpoint", text);
    } else if settings.endpoint.contains("{region}")
        && settings.bucket.is_some()
        && settings.region.is_none()
    {
        refuse("upstream.bucket", "needs upstream.region (--region) beside it");
    }
    if let Some(text) = service_endpoint_fault(&settings.service_endpoint) {
        refuse("upstream.service_endpoint", text);
    }
    if settings.connect_to.as_deref().is_some_and(|text| !is_host_and_port(text)) {
        refuse("upstream.connect_to", "must be HOST:PORT, such as 10.0.0.5:443");
    }
    if !settings.domains.iter().all(|name| is_host(name)) {
        refuse("upstream.domains", "must be host names, such as [\"files.example.com\"]");
    }
    if !settings.allowed_hosts.iter().all(|name| is_host(name)) {
        refuse("listen.allowed_hosts", "must be host names without port");
    }
    if !settings.host_families.iter().all(|name| FAMILIES.contains(&name.as_str())) {
        refuse(
            "upstream.host_families",
            "may hold \"myqcloud.com\", \"tencentcos.cn\", \"tencentci.cn\"; other names belong \
             into upstream.domains",
        );
    }
    settings
}

/// The settings of sockets, buffers and deadlines.
pub(super) fn transport(
    layers: &Layers,
    listen: Vec<crate::transport::ListenAddress>,
    problems: &mut Problems,
) -> TransportSettings {
    for path in [
        "listen.idle_timeout",
        "upstream.connect_timeout",
        "upstream.first_byte_timeout",
        "upstream.stall_timeout",
        "upstream.pool_idle_timeout",
        "limits.head_timeout",
    ] {
        if layers.span(path).is_zero() {
            problems.add_value(path, &layers.origin(path), "must be more than zero");
        }
    }
    TransportSettings {
        listen,
        threads: layers.number("listen.threads"),
        connections: layers.number("limits.connections"),
        request_limits: Limits {
            head_bytes: layers.number("limits.head_bytes"),
            fields: layers.number("limits.fields"),
            target_bytes: layers.number("limits.target_bytes"),
        },
        head_timeout: layers.span("limits.head_timeout"),
        body_min_rate: layers.number("limits.body_min_rate") as u64,
        requests_per_connection: layers.number("limits.requests_per_connection") as u64,
        client_idle_timeout: layers.span("listen.idle_timeout"),
        connect_timeout: layers.span("upstream.connect_timeout"),
        first_byte_timeout: layers.span("upstream.first_byte_timeout"),
        stall_timeout: layers.span("upstream.stall_timeout"),
        pool_idle_timeout: layers.span("upstream.pool_idle_timeout"),
        pool_idle_per_thread: layers.number("upstream.pool_idle_per_thread"),
        splice: layers.flag("upstream.splice"),
        ca_file: readable(layers, "upstream.ca_file", problems),
        key_patience: layers.span("keys.wait"),
        access_log: layers.flag("log.access"),
        held_body_bytes: layers.number("limits.held_body_bytes"),
        replay_body_bytes: layers.number("limits.replay_body_bytes"),
        try_expired_keys: layers.text("keys.on_expired").as_deref() == Some("try"),
    }
}

/// A file that is named and can be opened.
pub(super) fn readable(layers: &Layers, path: &str, problems: &mut Problems) -> Option<PathBuf> {
    let file = PathBuf::from(layers.text(path)?);
    if let Err(error) = File::open(&file) {
        let text = format!("names a file that cannot be read ({})", error.kind());
        problems.add_value(path, &layers.origin(path), text);
    }
    Some(file)
}

pub(super) fn is_region(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

// `^[a-z0-9][a-z0-9-]*-[0-9]+$`; name and APPID together are one DNS label of a COS host.
pub(super) fn is_bucket(text: &str) -> bool {
    let Some((name, app_id)) = text.rsplit_once('-') else { return false };
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(fits)
        && !app_id.is_empty()
        && app_id.bytes().all(|b| b.is_ascii_digit())
        && text.len() <= 63
}

fn endpoint_fault(endpoint: &str) -> Option<&'static str> {
    if !endpoint.contains("{bucket}") {
        return Some(
            "must hold {bucket}: requests go to a name that begins with the bucket, such as \
             https://{bucket}.cos.{region}.myqcloud.com",
        );
    }
    let example = endpoint.replace("{bucket}", "bucket").replace("{region}", "region");
    service_endpoint_fault(&example)
}

fn service_endpoint_fault(endpoint: &str) -> Option<&'static str> {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let Some(rest) = rest else { return Some("must begin with https:// or http://") };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let fits = !host.contains(['/', '?', '#', '@', '{', '}']);
    (!fits || !(is_host(host) || is_host_and_port(host)))
        .then_some("must be scheme, host and perhaps a port: no path, no user, no other {…}")
}

fn is_host(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.len() <= 253 && text.bytes().all(fits),
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_in_an_app_id() {
        for good in ["examplebucket-1250000000", "a-1", "a-b-c-125", "9x-1"] {
            assert!(is_bucket(good), "{good}");
        }
        for bad in ["examplebucket", "-1", "Bucket-125", "a_b-125", "a-125x", "-a-125", "a.b-125"] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }

    #[test]
    fn endpoints_are_scheme_and_host_with_the_bucket_in_front() {
        for good in [
            "https://{bucket}.cos.{region}.myqcloud.com",
            "http://{bucket}.cos.{region}.myqcloud.com:8080/",
            "https://{bucket}.cos.internal.example",
        ] {
            assert_eq!(endpoint_fault(good), None, "{good}");
        }
        for bad in [
            "https://cos.{region}.myqcloud.com",
            "ftp://{bucket}.example",
            "{bucket}.cos.{region}.myqcloud.com",
            "https://{bucket}.example/path",
            "https://user:password@{bucket}.example",
            "https://{bucket}.{zone}.example",
        ] {
            assert!(endpoint_fault(bad).is_some(), "{bad}");
        }
    }
}
