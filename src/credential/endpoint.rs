//! A URL that keys are asked at, shown without anything that could be a secret.

use std::fmt;

/// Why a text is not a URL that keys can be asked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Not a URL at all.
    #[error("is not a URL: write https://host or http://host:port")]
    NotUrl,
    /// Neither http nor https.
    #[error("must start with https:// or http://")]
    Scheme,
    /// `user:password@`.
    #[error("must not hold a user name or password")]
    UserInfo,
}

/// An http or https URL. `Debug` and `Display` show scheme, host and port only.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(reqwest::Url);

impl Endpoint {
    /// Takes the text of a URL.
    ///
    /// # Errors
    /// [`BadEndpoint`] if it is not an http or https URL without credentials.
    pub fn new(text: &str) -> Result<Self, BadEndpoint> {
        let mut url = text.trim().parse::<reqwest::Url>().or(Err(BadEndpoint::NotUrl))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadEndpoint::UserInfo);
        }
        url.set_fragment(None);
        Ok(Self(url))
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
        self.0.scheme() == "https"
    }

    /// The `Host` header: the port only when it is not the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub(super) fn url(&self) -> reqwest::Url {
        self.0.clone()
    }

    pub(super) fn has_path(&self) -> bool {
        self.0.path() != "/" || self.0.query().is_some()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host_header())
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
    fn other_schemes_and_passwords_are_refused() {
        assert_eq!(Endpoint::new("sts.example").unwrap_err(), BadEndpoint::NotUrl);
        assert_eq!(Endpoint::new("file:///etc/passwd").unwrap_err(), BadEndpoint::Scheme);
        assert_eq!(Endpoint::new("http://a:b@c").unwrap_err(), BadEndpoint::UserInfo);
    }
}
