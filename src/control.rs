//! Orders of the operator: a new key now, quit, log level, status, the last refused signature. Loopback or a unix socket only.
//!
//! No web page may give orders: the Host must be this host's, an `Origin` is refused, and every
//! request carries a header that a page cannot send without being asked first.

mod guard;
mod status;

use std::{fmt, io, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;

use crate::{
    server::{self, ListenAddress, Listener, ServerLimits},
    shutdown::Shutdown,
};

pub use guard::CONTROL_HEADER;
pub use status::{KeyStatus, RefreshOutcome, Refreshed, Status};

/// Checked settings of control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where to listen, loopback or a unix socket; empty: nowhere. `control.address`
    pub address: Vec<ListenAddress>,
}

/// Why control cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Others could give orders.
    #[error(
        "control.address {address} can be reached from other hosts; use a loopback address such \
         as 127.0.0.1:9002 or a unix socket (unix:/path)"
    )]
    NotLocal {
        /// The address.
        address: ListenAddress,
    },
    /// The system refused.
    #[error("cannot listen for control on {address}: {error}")]
    Bind {
        /// The address.
        address: ListenAddress,
        /// What it said.
        error: io::Error,
    },
}

/// No key set has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no key set is named {name:?}; there are: {}", known.join(", "))]
pub struct UnknownKeys {
    /// What was asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

/// What the orders do. Each but `refresh` returns at once.
pub struct ControlActions {
    /// Asks for a new key for the named key set, or for all at the same time, and tells what became
    /// of each within a bounded time.
    pub refresh: Box<RefreshAction>,
    /// Begins the end of the process, as SIGTERM does.
    pub quit: Box<dyn Fn() + Send + Sync>,
    /// Sets the log level or filter; the error is told to the caller.
    pub set_log_level: Box<SetLogLevelAction>,
    /// How it goes.
    pub status: Box<dyn Fn() -> Status + Send + Sync>,
    /// The last request whose signature COS refused, nothing secret in it; `None` if there is none.
    pub last_signature_error: Box<dyn Fn() -> Option<serde_json::Value> + Send + Sync>,
}

/// See [`ControlActions::refresh`].
pub type RefreshAction = dyn Fn(Option<&str>) -> Result<Refreshing, UnknownKeys> + Send + Sync;
/// Refreshes under way. Dropping it stops the waiting and not the refreshes.
pub type Refreshing = Pin<Box<dyn Future<Output = Vec<RefreshOutcome>> + Send>>;
/// See [`ControlActions::set_log_level`].
pub type SetLogLevelAction = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl fmt::Debug for ControlActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlActions").finish_non_exhaustive()
    }
}

/// Longest body of an order: a log filter.
const BODY_BYTES: usize = 4096;

/// The control service.
#[derive(Debug)]
pub struct Control {
    actions: ControlActions,
}

impl Control {
    /// Binds every address of `settings`. Nothing is served yet.
    ///
    /// # Errors
    /// [`ControlError`] for an address that others can reach or that cannot be bound.
    pub fn bind(settings: &ControlSettings) -> Result<Vec<Listener>, ControlError> {
        let bind = |address: &ListenAddress| {
            if !address.is_local() {
                return Err(ControlError::NotLocal { address: address.clone() });
            }
            Listener::bind(address)
                .map_err(|error| ControlError::Bind { address: address.clone(), error })
        };
        settings.address.iter().map(bind).collect()
    }

    /// A service that carries out `actions`.
    #[must_use]
    pub fn new(actions: ControlActions) -> Arc<Self> {
        Arc::new(Self { actions })
    }

    /// Serves on `listener` until `shutdown` begins.
    ///
    /// # Errors
    /// When the runtime does not take the socket.
    pub async fn serve(self: Arc<Self>, listener: Listener, shutdown: Shutdown) -> io::Result<()> {
        let by_socket = matches!(listener.address(), ListenAddress::Unix(_));
        let handler = move |request: Request<Incoming>| {
            let control = Arc::clone(&self);
            async move { control.answer(request, by_socket).await }
        };
        server::serve(listener, ServerLimits::default(), shutdown, handler).await
    }

    async fn answer(&self, request: Request<Incoming>, by_socket: bool) -> Response<Full<Bytes>> {
        if let Err(refusal) = guard::check(&request, by_socket) {
            tracing::warn!(path = request.uri().path(), reason = %refusal, "control request refused");
            return error(refusal.status(), refusal);
        }
        let wanted = match request.uri().path() {
            "/refresh" | "/quit" => Method::POST,
            "/log-level" => Method::PUT,
            "/status" | "/last-signature-error" => Method::GET,
            _ => {
                let paths = "there are POST /refresh, POST /quit, PUT /log-level, GET /status and \
                             GET /last-signature-error";
                return error(StatusCode::NOT_FOUND, paths);
            }
        };
        if *request.method() != wanted {
            let mut refusal = error(StatusCode::METHOD_NOT_ALLOWED, format!("only {wanted}"));
            let allow = wanted.as_str().parse().expect("a method is a header value");
            refusal.headers_mut().insert(header::ALLOW, allow);
            return refusal;
        }
        match request.uri().path() {
            "/refresh" => self.refresh(request.uri().query()).await,
            "/quit" => self.quit(),
            "/log-level" => self.set_log_level(request.into_body()).await,
            "/last-signature-error" => self.last_signature_error(),
            _ => json(StatusCode::OK, &(self.actions.status)()),
        }
    }

    /// `keys=NAME` chooses one key set.
    async fn refresh(&self, query: Option<&str>) -> Response<Full<Bytes>> {
        let name = match query.unwrap_or_default() {
            "" => None,
            query => match query.strip_prefix("keys=") {
                Some(name) if !name.is_empty() && !name.contains('&') => Some(name),
                _ => return error(StatusCode::BAD_REQUEST, "the only parameter is keys=NAME"),
            },
        };
        let refreshing = match (self.actions.refresh)(name) {
            Ok(refreshing) => refreshing,
            Err(unknown) => return error(StatusCode::NOT_FOUND, &unknown),
        };
        tracing::info!(keys = name.unwrap_or("all"), "a new key is asked for through control");
        let outcomes = refreshing.await;
        for RefreshOutcome { outcome, error, keys } in &outcomes {
            tracing::info!(
                keys = keys.name,
                ?outcome,
                error,
                secret_id = keys.secret_id,
                next_refresh_at = keys.next_refresh_at,
                "what became of the ordered refresh"
            );
        }
        json(status_of(&outcomes), &serde_json::json!({ "keys": outcomes }))
    }

    fn quit(&self) -> Response<Full<Bytes>> {
        tracing::info!("the end was asked for through control");
        (self.actions.quit)();
        json(StatusCode::ACCEPTED, &serde_json::json!({ "quitting": true }))
    }

    fn last_signature_error(&self) -> Response<Full<Bytes>> {
        match (self.actions.last_signature_error)() {
            Some(failure) => json(StatusCode::OK, &failure),
            None => error(
                StatusCode::NOT_FOUND,
                "COS has refused no signature since this proxy started",
            ),
        }
    }

    async fn set_log_level(&self, body: Incoming) -> Response<Full<Bytes>> {
        let body = match server::read_body(body, BODY_BYTES, Duration::from_secs(5)).await {
            Ok(body) => body,
            Err(fault @ server::BodyError::TooLong { .. }) => {
                return error(StatusCode::PAYLOAD_TOO_LARGE, fault);
            }
            Err(fault @ server::BodyError::TooSlow) => {
                return error(StatusCode::REQUEST_TIMEOUT, fault);
            }
            Err(fault @ server::BodyError::Broken) => return error(StatusCode::BAD_REQUEST, fault),
        };
        let Ok(level) = str::from_utf8(&body) else {
            return error(StatusCode::BAD_REQUEST, "the body is not UTF-8");
        };
        match (self.actions.set_log_level)(level.trim()) {
            Ok(()) => json(StatusCode::OK, &serde_json::json!({ "log_level": level.trim() })),
            Err(why) => error(StatusCode::BAD_REQUEST, why),
        }
    }
}

/// The worst of the outcomes, so that a script needs to look no further.
fn status_of(outcomes: &[RefreshOutcome]) -> StatusCode {
    let any = |wanted| outcomes.iter().any(|each| each.outcome == wanted);
    if any(Refreshed::Failed) {
        StatusCode::BAD_GATEWAY
    } else if any(Refreshed::Limited) {
        StatusCode::TOO_MANY_REQUESTS
    } else if any(Refreshed::Pending) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    }
}

fn error(status: StatusCode, why: impl fmt::Display) -> Response<Full<Bytes>> {
    json(status, &serde_json::json!({ "error": why.to_string() }))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let mut text =
        serde_json::to_vec_pretty(body).expect("maps with text keys are always serialisable");
    text.push(b'\n');
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}
