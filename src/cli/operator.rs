//! Talks to a running proxy: its control address for orders, its telemetry address for health.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use tokio::time::Instant;

use super::{BUG, CLEAN, OUT_OF_TIME, Terminal, UNAVAILABLE, refresh, status};
use crate::config::{Addresses, Door};

/// What the operator wants of a running proxy.
#[derive(Debug)]
pub(super) enum Order {
    Status { json: bool },
    Wait { timeout: Duration },
    Refresh { keys: Option<String> },
    Quit,
    Healthcheck,
}

// Control is on this host: an answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(5);
// But a refresh waits for the key's source; control itself gives up after a minute.
const REFRESH_PATIENCE: Duration = Duration::from_secs(70);
const POLL: Duration = Duration::from_millis(100);

/// An answer of the proxy.
struct Answer {
    status: StatusCode,
    body: String,
}

/// Carries out `order`. Returns the exit code.
pub(super) fn carry_out(order: &Order, addresses: &Addresses, terminal: &mut Terminal) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        terminal.complain("cannot start a runtime");
        return BUG;
    };
    if let Order::Refresh { keys } = order {
        return match runtime.block_on(refreshed(addresses, keys.as_deref())) {
            Ok(report) => {
                if !report.good.is_empty() {
                    terminal.say(&report.good);
                }
                if !report.bad.is_empty() {
                    terminal.complain(&report.bad);
                }
                report.code
            }
            Err(fault) => {
                terminal.complain(&fault);
                UNAVAILABLE
            }
        };
    }
    let outcome = runtime.block_on(obey(order, addresses));
    match outcome {
        Ok(text) => {
            terminal.say(&text);
            CLEAN
        }
        Err((code, fault)) => {
            terminal.complain(&fault);
            code
        }
    }
}

/// The last request whose signature COS refused, as JSON.
pub(super) fn last_signature_error(addresses: &Addresses) -> Result<String, (u8, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or(Err((BUG, "cannot start a runtime".to_owned())))?;
    let answer = runtime.block_on(control(addresses, Method::GET, "/last-signature-error"));
    answer.map_err(|fault| (UNAVAILABLE, fault))
}

async fn obey(order: &Order, addresses: &Addresses) -> Result<String, (u8, String)> {
    let outcome = match order {
        Order::Status { json } => show_status(addresses, *json).await,
        Order::Wait { timeout } => return wait(addresses, *timeout).await,
        Order::Quit => {
            let answer = control(addresses, Method::POST, "/quit").await;
            answer.map(|_| "the proxy ends once its requests are done".to_owned())
        }
        Order::Refresh { .. } | Order::Healthcheck => health(addresses).await,
    };
    outcome.map_err(|fault| (UNAVAILABLE, fault))
}

async fn show_status(addresses: &Addresses, json: bool) -> Result<String, String> {
    let body = control(addresses, Method::GET, "/status").await?;
    if json {
        return Ok(body);
    }
    let status = serde_json::from_str(&body);
    status.map(|status| status::table(&status)).or(Err("the answer is not a status".to_owned()))
}

async fn wait(addresses: &Addresses, timeout: Duration) -> Result<String, (u8, String)> {
    let deadline = Instant::now() + timeout;
    loop {
        let fault = match health(addresses).await {
            Ok(text) => return Ok(text),
            Err(fault) => fault,
        };
        if Instant::now() + POLL > deadline {
            let waited = humantime::format_duration(timeout);
            return Err((OUT_OF_TIME, format!("not ready within {waited}: {fault}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn health(addresses: &Addresses) -> Result<String, String> {
    let Some(address) = addresses.telemetry.first() else {
        return Err("telemetry.address is empty, so readiness cannot be asked".to_owned());
    };
    let answer = send(address, "telemetry.address", Method::GET, "/readyz", PATIENCE).await?;
    let body = answer.body.trim();
    if answer.status.is_success() { Ok("ready".to_owned()) } else { Err(body.to_owned()) }
}

async fn refreshed(addresses: &Addresses, keys: Option<&str>) -> Result<refresh::Report, String> {
    let query = keys.map(|name| format!("?keys={name}")).unwrap_or_default();
    let path = format!("/refresh{query}");
    let answer = order(addresses, Method::POST, &path, REFRESH_PATIENCE).await?;
    // Whatever its status: it is the worst of the outcomes.
    let parsed = serde_json::from_str(&answer.body).ok();
    match parsed.and_then(|body| refresh::report(&body)) {
        Some(report) => Ok(report),
        None => Err(told(&answer)),
    }
}

async fn control(addresses: &Addresses, method: Method, path: &str) -> Result<String, String> {
    let answer = order(addresses, method, path, PATIENCE).await?;
    if answer.status.is_success() { Ok(answer.body) } else { Err(told(&answer)) }
}

async fn order(
    addresses: &Addresses,
    method: Method,
    path: &str,
    patience: Duration,
) -> Result<Answer, String> {
    let Some(address) = addresses.control.first() else {
        return Err("control.address is empty, so nothing can be asked".to_owned());
    };
    send(address, "control.address", method, path, patience).await
}

/// The refusal's own words.
fn told(answer: &Answer) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(&answer.body).ok();
    let told = parsed.as_ref().and_then(|body| body.get("error")?.as_str());
    told.map_or_else(|| format!("refused with status {}", answer.status), str::to_owned)
}

async fn send(
    address: &Door,
    setting: &str,
    method: Method,
    path: &str,
    patience: Duration,
) -> Result<Answer, String> {
    // reqwest asks for a TLS provider even where there is no TLS; a second install changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder().no_proxy().timeout(patience).connect_timeout(PATIENCE);
    let (builder, authority, shown) = match address {
        Door::Tcp(address) => {
            let address = reachable(*address).to_string();
            (builder, address.clone(), address)
        }
        Door::Unix(socket) => {
            let builder = builder.unix_socket(socket.as_path());
            (builder, "localhost".to_owned(), address.to_string())
        }
    };
    let client = builder.build().or(Err("cannot make an HTTP client"))?;
    let request = client
        .request(method, format!("http://{authority}{path}"))
        .header("x-cos-auth-proxy-control", "1");
    let cannot = |error: &reqwest::Error| {
        let why = if error.is_connect() {
            "nothing listens there".to_owned()
        } else if error.is_timeout() {
            format!("no answer in {}", humantime::format_duration(patience))
        } else {
            "what answers there is not this proxy".to_owned()
        };
        format!("no running proxy at {shown} ({setting}): {why}")
    };
    let response = request.send().await.map_err(|error| cannot(&error))?;
    let status = response.status();
    let body = response.text().await.map_err(|error| cannot(&error))?;
    Ok(Answer { status, body })
}

/// An address that listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}
