//! A URL that keys are asked at, shown without anything that could be a secret.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Why a text is not a URL that keys can be asked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Not a URL at all.
    #[error("is not a URL: write https://host, http://host:port or unix:/path/of.sock")]
    NotUrl,
    /// Neither http nor https.
    #[error("must start with https:// or http://")]
    Scheme,
    /// `user:password@`.
    #[error("must not hold a user name or password")]
    UserInfo,
    /// `unix:` without an absolute path.
    #[error("must be unix:/path/of.sock, or unix:/path/of.sock:/path?query of the request")]
    Socket,
}

/// An http or https URL, or http on a unix socket. `Debug` and `Display` show scheme, host and port,
/// or the socket, only.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: reqwest::Url,
    socket: Option<PathBuf>,
}

/// What is asked on a unix socket when nothing else is said: where a key endpoint hands out keys.
const USUAL_PATH: &str = "/sts";

impl Endpoint {
    /// Takes the text of a URL, or `unix:SOCKET`, optionally followed by `:` and what to ask there
    /// (`/sts` unless told otherwise).
    ///
    /// # Errors
    /// [`BadEndpoint`] if it is not an http or https URL without credentials, nor such a socket.
    pub fn new(text: &str) -> Result<Self, BadEndpoint> {
        if let Some(socket) = text.trim().strip_prefix("unix:") {
            return Self::on_socket(socket);
        }
        let mut url = text.trim().parse::<reqwest::Url>().or(Err(BadEndpoint::NotUrl))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadEndpoint::UserInfo);
        }
        url.set_fragment(None);
        Ok(Self { url, socket: None })
    }

    fn on_socket(text: &str) -> Result<Self, BadEndpoint> {
        let (socket, asked) = match text.split_once(":/") {
            Some((socket, rest)) => (socket, format!("/{rest}")),
            None => (text, USUAL_PATH.to_owned()),
        };
        let socket = PathBuf::from(socket);
        let url = format!("http://localhost{asked}").parse().ok();
        match url.filter(|_| socket.is_absolute()) {
            Some(url) => Ok(Self { url, socket: Some(socket) }),
            None => Err(BadEndpoint::Socket),
        }
    }

    /// `https://sts.tencentcloudapi.com`.
    #[must_use]
    pub fn public_sts() -> Self {
        Self::new("https://sts.tencentcloudapi.com").expect("a constant that is a URL")
    }

    /// `https://sts.internal.tencentcloudapi.com`: the same API for those inside Tencent Cloud's
    /// networks who have no way to the internet.
    #[must_use]
    pub fn internal_sts() -> Self {
        Self::new("https://sts.internal.tencentcloudapi.com").expect("a constant that is a URL")
    }

    /// `http://metadata.tencentyun.com`: a link-local service of each CVM.
    #[must_use]
    pub fn instance_metadata() -> Self {
        Self::new("http://metadata.tencentyun.com").expect("a constant that is a URL")
    }

    /// Whether TLS is used.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The `Host` header: the port only when it is not the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The unix socket it is asked on, if it is one.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    pub(super) fn url(&self) -> reqwest::Url {
        self.url.clone()
    }

    pub(super) fn has_path(&self) -> bool {
        self.url.path() != "/" || self.url.query().is_some()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix:{}", socket.display()),
            None => write!(f, "{}://{}", self.url.scheme(), self.host_header()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_has_the_port_only_when_it_is_not_the_schemes_own() {
        let host = |text| Endpoint::new(text).unwrap().host_header();
        assert_eq!(host("https://sts.tencentcloudapi.com:443/"), "sts.tencentcloudapi.com");
        assert_eq!(host("http://127.0.0.1:8123"), "127.0.0.1:8123");
        assert_eq!(host("http://[::1]:80"), "[::1]");
        assert_eq!(host("https://[::1]:80"), "[::1]:80");
    }

    #[test]
    fn what_is_shown_has_no_path_and_no_query() {
        let endpoint = Endpoint::new("https://keys.example/sts?token=hidden#x").unwrap();
        assert_eq!(format!("{endpoint} {endpoint:?}"), "https://keys.example https://keys.example");
    }

    #[test]
    fn a_unix_socket_is_asked_at_the_usual_path_or_the_one_that_follows() {
        let of = |text: &str| {
            let endpoint = Endpoint::new(text).unwrap();
            (endpoint.socket.clone().unwrap(), endpoint.url.to_string(), endpoint.to_string())
        };
        let shown = "unix:/run/keys.sock".to_owned();
        let socket = PathBuf::from("/run/keys.sock");
        assert_eq!(
            of("unix:/run/keys.sock"),
            (socket.clone(), "http://localhost/sts".to_owned(), shown.clone())
        );
        assert_eq!(
            of("unix:/run/keys.sock:/sts?keys=reports"),
            (socket, "http://localhost/sts?keys=reports".to_owned(), shown)
        );
        for bad in ["unix:", "unix:keys.sock", "unix::/sts"] {
            assert_eq!(Endpoint::new(bad).unwrap_err(), BadEndpoint::Socket, "{bad}");
        }
    }

    #[test]
    fn other_schemes_and_passwords_are_refused() {
        assert_eq!(Endpoint::new("sts.example").unwrap_err(), BadEndpoint::NotUrl);
        assert_eq!(Endpoint::new("file:///etc/passwd").unwrap_err(), BadEndpoint::Scheme);
        assert_eq!(Endpoint::new("http://a:b@c").unwrap_err(), BadEndpoint::UserInfo);
    }
}
