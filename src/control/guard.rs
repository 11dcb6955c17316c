//! Who may give orders: programs of this host, never a web page that its browser shows.

use http::{Request, StatusCode};

use crate::server::{self, Foreign};

/// Every request carries this header with the value `1`: a page of another origin cannot send it
/// without asking first, and is never allowed to.
pub const CONTROL_HEADER: &str = "x-cos-auth-proxy-control";

/// Why an order is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAllowed {
    #[error(
        "control answers only to Host localhost, 127.0.0.1 or [::1]; another name may be DNS \
         rebinding"
    )]
    Host,
    #[error("control is not for browsers: the request carries Origin or Sec-Fetch-Site")]
    Browser,
    #[error("add the header `{CONTROL_HEADER}: 1`")]
    NoHeader,
}

impl NotAllowed {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Browser | Self::NoHeader => StatusCode::FORBIDDEN,
        }
    }
}

/// Checks a head. Through a unix socket any Host will do: no browser gets there.
pub(super) fn check<B>(request: &Request<B>, by_socket: bool) -> Result<(), NotAllowed> {
    server::from_this_host(request, by_socket, &[]).map_err(|foreign| match foreign {
        Foreign::Host => NotAllowed::Host,
        Foreign::Browser => NotAllowed::Browser,
    })?;
    let mut marks = request.headers().get_all(CONTROL_HEADER).iter();
    match (marks.next(), marks.next()) {
        (Some(mark), None) if mark.as_bytes() == b"1" => Ok(()),
        _ => Err(NotAllowed::NoHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn only_names_of_this_host_are_answered_over_tcp() {
        let mark = (CONTROL_HEADER, "1");
        for host in ["localhost", "LOCALHOST:9002", "127.0.0.1", "127.1.2.3:9002", "[::1]:9002"] {
            assert_eq!(
                check(&request("/status", &[("host", host), mark]), false),
                Ok(()),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "evil@localhost",
            "",
        ] {
            let refused = check(&request("/status", &[("host", host), mark]), false);
            assert_eq!(refused, Err(NotAllowed::Host), "{host}");
            assert_eq!(check(&request("/status", &[("host", host), mark]), true), Ok(()), "{host}");
        }
        let none = request("/status", &[mark]);
        assert_eq!(check(&none, false), Err(NotAllowed::Host));
        let two = request("/status", &[("host", "localhost"), ("host", "localhost"), mark]);
        assert_eq!(check(&two, false), Err(NotAllowed::Host));
        let absolute = request("http://evil.example/status", &[("host", "localhost"), mark]);
        assert_eq!(check(&absolute, false), Err(NotAllowed::Host));
    }

    #[test]
    fn a_browser_is_refused_even_with_the_header() {
        for (name, value) in [("origin", "null"), ("sec-fetch-site", "same-origin")] {
            let request =
                request("/quit", &[("host", "localhost"), (CONTROL_HEADER, "1"), (name, value)]);
            assert_eq!(check(&request, false), Err(NotAllowed::Browser));
            assert_eq!(check(&request, true), Err(NotAllowed::Browser));
        }
    }

    #[test]
    fn the_header_must_be_there_once_with_its_value() {
        let host = ("host", "localhost");
        for marks in [
            &[host][..],
            &[host, (CONTROL_HEADER, "0")],
            &[host, (CONTROL_HEADER, "1"), (CONTROL_HEADER, "1")],
        ] {
            assert_eq!(check(&request("/quit", marks), false), Err(NotAllowed::NoHeader));
        }
    }
}
