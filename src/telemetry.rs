//! Tells how it goes: `/metrics`, `/livez`, `/readyz`, `/startup`. Numbers and states only, never
//! a setting or a secret; never depends on COS.

mod health;

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::{
    metrics::{self, Registry},
    server::{self, ListenAddress, Listener, ServerLimits},
    shutdown::Shutdown,
};

pub use health::{Health, NotReady};

/// Checked settings of telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// Where to listen; empty: nowhere. `telemetry.address`
    pub address: Vec<ListenAddress>,
}

/// The telemetry service.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    health: Health,
}

impl Telemetry {
    /// A service that shows `registry` and `health`.
    #[must_use]
    pub fn new(registry: Registry, health: Health) -> Arc<Self> {
        Arc::new(Self { registry, health })
    }

    /// Serves on `listener` until `shutdown` begins. Give it a shutdown that begins after the
    /// drain: probes and scrapes must be answered while requests end.
    ///
    /// # Errors
    /// When the runtime does not take the socket.
    pub async fn serve(self: Arc<Self>, listener: Listener, shutdown: Shutdown) -> io::Result<()> {
        let handler = move |request: Request<_>| {
            let answer = self.answer(&request);
            std::future::ready(answer)
        };
        server::serve(listener, ServerLimits::default(), shutdown, handler).await
    }

    /// Answers one request; its body is not looked at.
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let answer = match request.uri().path() {
            "/metrics" => Self::metrics,
            "/livez" => Self::livez,
            "/readyz" => Self::readyz,
            "/startup" => Self::startup,
            _ => {
                let paths = "not found; there are /metrics, /livez, /readyz and /startup\n";
                return text(StatusCode::NOT_FOUND, paths);
            }
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            refusal.headers_mut().insert(header::ALLOW, "GET, HEAD".parse().expect("a constant"));
            return refusal;
        }
        answer(self)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        whole(StatusCode::OK, metrics::CONTENT_TYPE, self.registry.encode())
    }

    /// That this runs is the answer: the process's event loop responds.
    fn livez(&self) -> Response<Full<Bytes>> {
        text(StatusCode::OK, "ok\n")
    }

    fn readyz(&self) -> Response<Full<Bytes>> {
        match self.health.ready() {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        }
    }

    fn startup(&self) -> Response<Full<Bytes>> {
        if self.health.started() {
            text(StatusCode::OK, "ok\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, "the first key has not come yet\n")
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    whole(status, "text/plain; charset=utf-8", body)
}

fn whole(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
