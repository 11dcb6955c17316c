//! Tells programs of this host from web pages that its browser shows.

use std::net::IpAddr;

use http::{Request, header, uri::Authority};

/// Why a request is not taken for one of a program of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// `Host` names another host, or is not there once: perhaps DNS rebinding.
    Host,
    /// It carries `Origin`, or a `Sec-Fetch-Site` of a page.
    Browser,
}

/// Checks a head. Through a unix socket any Host will do, since no browser gets there; over TCP it
/// must be localhost, a loopback address or one of `also`.
///
/// # Errors
/// [`Foreign`] says what gives it away.
pub fn from_this_host<B>(
    request: &Request<B>,
    by_socket: bool,
    also: &[&str],
) -> Result<(), Foreign> {
    if !by_socket && !names_this_host(request, also) {
        return Err(Foreign::Host);
    }
    let headers = request.headers();
    let fetched =
        headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() != b"none".as_slice());
    if headers.contains_key(header::ORIGIN) || fetched {
        return Err(Foreign::Browser);
    }
    Ok(())
}

/// Exactly one Host, and it and an absolute target name this host.
fn names_this_host<B>(request: &Request<B>, also: &[&str]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| is_this_host(&host, also))
        && request.uri().authority().is_none_or(|authority| is_this_host(authority, also))
}

fn is_this_host(authority: &Authority, also: &[&str]) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let known = |known: &&str| name.eq_ignore_ascii_case(known);
    known(&"localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || also.iter().any(known)
}
