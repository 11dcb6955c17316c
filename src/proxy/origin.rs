//! Where a request goes: the name that is signed and the address that is dialled.

use std::sync::Arc;

/// `http` or `https` towards COS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The port that a URL of this scheme need not name.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The address to open a connection to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dial {
    /// Name or address; an IPv6 address without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
}

impl Dial {
    /// Reads `host:port` or `[v6]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port != 0)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                rest.strip_suffix(']').filter(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok())?
            }
            None if host.contains(':') => return None,
            None => host,
        };
        let plain = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
        plain.then(|| Self { host: host.into(), port })
    }
}

/// One upstream name; also the key of the connection pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Scheme.
    pub scheme: Scheme,
    /// Exactly what stands in `Host` (with port only if not the scheme's own) and is signed.
    pub authority: Box<str>,
    /// TLS server name: the authority without port.
    pub server_name: Box<str>,
    /// Where to connect.
    pub dial: Dial,
}

/// Shared by the requests of one origin.
pub type SharedOrigin = Arc<Origin>;

impl Origin {
    /// The origin of `name` and, if it is not the scheme's own, `port`; dialled at `connect_to`
    /// when that is set.
    pub(super) fn new(
        scheme: Scheme,
        name: &str,
        port: Option<u16>,
        connect_to: Option<&Dial>,
    ) -> Self {
        let port = port.filter(|&port| port != scheme.default_port());
        let authority = match port {
            Some(port) => format!("{name}:{port}").into(),
            None => Box::from(name),
        };
        let dial = connect_to.cloned().unwrap_or_else(|| Dial {
            host: name.trim_start_matches('[').trim_end_matches(']').into(),
            port: port.unwrap_or(scheme.default_port()),
        });
        Self { scheme, authority, server_name: name.into(), dial }
    }
}

/// Why an endpoint setting cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadEndpoint {
    #[error("must start with http:// or https://")]
    Scheme,
    #[error("must be a scheme and a host, without path, query or user")]
    NotAHost,
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
}

/// `upstream.endpoint`: scheme, host template and port.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) scheme: Scheme,
    host: String,
    port: Option<u16>,
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            _ => return Err(BadEndpoint::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port: Option<u16> = port.parse().ok().filter(|&port| port != 0);
                (host, Some(port.ok_or(BadEndpoint::Port)?))
            }
            _ => (rest, None),
        };
        let bare = host.replace("{bucket}", "b").replace("{region}", "r");
        if super::hosts::HostName::parse(&bare).is_none_or(|name| name.port.is_some()) {
            return Err(BadEndpoint::NotAHost);
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port })
    }

    pub(super) fn names_bucket(&self) -> bool {
        self.host.contains("{bucket}")
    }

    pub(super) fn names_region(&self) -> bool {
        self.host.contains("{region}")
    }

    /// The host name of `bucket`; `None` when the template needs a region and there is none.
    pub(super) fn host(&self, bucket: &str, region: Option<&str>) -> Option<String> {
        let host = self.host.replace("{bucket}", bucket);
        if !self.names_region() {
            return Some(host);
        }
        region.map(|region| host.replace("{region}", region))
    }

    /// The origin of `bucket`; `None` when the template needs a region and there is none.
    pub(super) fn origin(
        &self,
        bucket: &str,
        region: Option<&str>,
        connect_to: Option<&Dial>,
    ) -> Option<Origin> {
        self.host(bucket, region).map(|host| Origin::new(self.scheme, &host, self.port, connect_to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_becomes_a_name_a_port_and_an_address() {
        let endpoint = Endpoint::parse("https://{bucket}.cos.{region}.myqcloud.com").unwrap();
        let origin = endpoint.origin("b-1", Some("ap-x"), None).unwrap();
        assert_eq!(&*origin.authority, "b-1.cos.ap-x.myqcloud.com");
        assert_eq!(origin.dial, Dial { host: "b-1.cos.ap-x.myqcloud.com".into(), port: 443 });
        assert_eq!(endpoint.origin("b-1", None, None), None);

        let endpoint = Endpoint::parse("http://{bucket}.cos.test:8080/").unwrap();
        let origin = endpoint.origin("b-1", None, Dial::parse("[::1]:7").as_ref()).unwrap();
        assert_eq!(&*origin.authority, "b-1.cos.test:8080");
        assert_eq!(&*origin.server_name, "b-1.cos.test");
        assert_eq!(origin.dial, Dial { host: "::1".into(), port: 7 });

        let default_port = Endpoint::parse("http://{bucket}.x:80").unwrap();
        assert_eq!(&*default_port.origin("b-1", None, None).unwrap().authority, "b-1.x");
    }

    #[test]
    fn an_endpoint_that_is_not_a_host_is_refused() {
        for (text, why) in [
            ("{bucket}.cos.x", BadEndpoint::Scheme),
            ("ftp://x", BadEndpoint::Scheme),
            ("http://x/path", BadEndpoint::NotAHost),
            ("http://u@x", BadEndpoint::NotAHost),
            ("http://", BadEndpoint::NotAHost),
            ("http://x:0", BadEndpoint::Port),
            ("http://x:99999", BadEndpoint::Port),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap_err(), why, "{text}");
        }
        for text in ["x", "x:", "x:0", ":80", "::1:80", "[x]:80", "a b:1"] {
            assert_eq!(Dial::parse(text), None, "{text}");
        }
    }
}
