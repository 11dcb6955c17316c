//! Hands keys to programs of this host that sign themselves: in the shape of CVM's metadata and in
//! that of the COS STS SDKs. Off unless an address is configured; loopback or a unix socket only.
//!
//! What is handed out ends, by what it says, before the key really does. No web page gets a key: the
//! Host must be this host's and an `Origin` is refused. A bearer token, if one is configured, keeps
//! other users of the host out.

mod answer;
mod asked;
mod bearer;
mod metrics;
mod offer;
mod scope;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{
    clock::{Clock, Timestamp},
    credential::{Credential, KeyReader, KeyShape, Narrowing, NotNarrowed, write_key},
    server::{self, Foreign, ListenAddress, Listener, Peer, ServerLimits},
    shutdown::Shutdown,
};

use answer::{Refusal, Why};
use asked::Asked;
use bearer::Bearer;
use offer::Terms;

pub use asked::Shape;
pub use metrics::KeyEndpointMetrics;

/// Checked settings of the key endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEndpointSettings {
    /// Where to listen, loopback or a unix socket; empty: nowhere. `key_endpoint.address`
    pub address: Vec<ListenAddress>,
    /// Mode of its unix sockets. `key_endpoint.socket_mode`
    pub socket_mode: u32,
    /// What it speaks. `key_endpoint.shapes`
    pub shapes: Vec<Shape>,
    /// The key sets that are handed out, the first one to whoever names none. `key_endpoint.keys`
    pub keys: Vec<String>,
    /// A file with the token that every request must show, read at each.
    /// `key_endpoint.bearer_token_file`
    pub bearer_token_file: Option<PathBuf>,
    /// By how much the end that is told is earlier than the key's own. `key_endpoint.margin`
    pub margin: Duration,
    /// How long a request waits for a key, but not more than 1.5 s. `keys.wait`
    pub wait: Duration,
}

/// Why the key endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyEndpointError {
    /// Others could get keys.
    #[error(
        "key_endpoint.address {address} can be reached from other hosts; use a loopback address \
         such as 127.0.0.1:9003 or a unix socket (unix:/path)"
    )]
    NotLocal {
        /// The address.
        address: ListenAddress,
    },
    /// The system refused.
    #[error("cannot listen for key_endpoint on {address}: {error}")]
    Bind {
        /// The address.
        address: ListenAddress,
        /// What it said.
        error: io::Error,
    },
}

/// A key set that is handed out.
#[derive(Debug)]
pub struct HandedOut {
    /// Its keys.
    pub keys: KeyReader,
    /// Its narrower keys.
    pub narrowing: Narrowing,
}

// Requests may wait some seconds for a key, so more of them are open than on other services.
const CONNECTIONS: usize = 256;
/// Clients of metadata give up after two seconds: nobody is held longer than this.
const LONGEST_HOLD: Duration = Duration::from_millis(1500);
/// Longest body: a scope.
const BODY_BYTES: usize = 16 * 1024;
/// Time for a body to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// Programs with CVM's address built in are led here by the hosts file; no page has this origin.
const METADATA_HOST: &str = "metadata.tencentyun.com";

/// The key endpoint.
#[derive(Debug)]
pub struct KeyEndpoint {
    shapes: Vec<Shape>,
    sets: Vec<HandedOut>,
    bearer: Option<Bearer>,
    terms: Terms,
    clock: Clock,
    metrics: KeyEndpointMetrics,
}

/// Who asks, for the log and the metrics.
struct Visit {
    peer: Peer,
    shape: Option<Shape>,
    request_id: String,
}

impl KeyEndpoint {
    /// Binds every address of `settings`. Nothing is served yet.
    ///
    /// # Errors
    /// [`KeyEndpointError`] for an address that others can reach or that cannot be bound.
    pub fn bind(settings: &KeyEndpointSettings) -> Result<Vec<Listener>, KeyEndpointError> {
        let bind = |address: &ListenAddress| {
            if !address.is_local() {
                return Err(KeyEndpointError::NotLocal { address: address.clone() });
            }
            Listener::bind_open_to(address, settings.socket_mode)
                .map_err(|error| KeyEndpointError::Bind { address: address.clone(), error })
        };
        settings.address.iter().map(bind).collect()
    }

    /// A service that hands out `sets`.
    #[must_use]
    pub fn new(
        settings: &KeyEndpointSettings,
        sets: Vec<HandedOut>,
        clock: Clock,
        metrics: KeyEndpointMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            shapes: settings.shapes.clone(),
            sets,
            bearer: settings.bearer_token_file.clone().map(Bearer::new),
            terms: Terms { margin: settings.margin, wait: settings.wait.min(LONGEST_HOLD) },
            clock,
            metrics,
        })
    }

    /// Serves on `listener` until `shutdown` begins.
    ///
    /// # Errors
    /// When the runtime does not take the socket.
    pub async fn serve(self: Arc<Self>, listener: Listener, shutdown: Shutdown) -> io::Result<()> {
        let by_socket = matches!(listener.address(), ListenAddress::Unix(_));
        let handler = move |request: Request<Incoming>| {
            let endpoint = Arc::clone(&self);
            async move { endpoint.answer(request, by_socket).await }
        };
        let limits = ServerLimits { connections: CONNECTIONS, ..ServerLimits::default() };
        server::serve(listener, limits, shutdown, handler).await
    }

    async fn answer(&self, request: Request<Incoming>, by_socket: bool) -> Response<Full<Bytes>> {
        let visit = Visit {
            peer: request.extensions().get().copied().unwrap_or(Peer::Unknown),
            shape: asked::shape(request.uri().path()).filter(|shape| self.shapes.contains(shape)),
            request_id: request_id(),
        };
        match self.admitted(request, by_socket, &visit).await {
            Ok(answer) => answer,
            Err(refusal) => {
                self.metrics.count(visit.shape, refusal.why.label());
                tracing::warn!(
                    target: "cos_auth_proxy::keys",
                    peer = %visit.peer, shape = visit.shape.map(Shape::name),
                    request_id = visit.request_id, reason = refusal.text,
                    "no key was handed out"
                );
                answer::refused(visit.shape, &refusal, &visit.request_id)
            }
        }
    }

    async fn admitted(
        &self,
        request: Request<Incoming>,
        by_socket: bool,
        visit: &Visit,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        server::from_this_host(&request, by_socket, &[METADATA_HOST]).map_err(foreign)?;
        if let Some(bearer) = &self.bearer {
            bearer.check(request.headers()).await?;
        }
        let asked = asked::read(&request, visit.shape)?;
        match asked {
            Asked::Roles => {
                self.metrics.count(visit.shape, "listed");
                let names: Vec<_> = self.sets.iter().map(|set| set.keys.name()).collect();
                Ok(answer::roles(&names))
            }
            Asked::Role { name } => {
                let set = self.set(Some(&name))?;
                let key = self.whole(set).await?;
                Ok(self.hand_out(visit, KeyShape::Metadata, set, &key, None))
            }
            Asked::Sts { keys } => {
                let set = self.set(keys.as_deref())?;
                let post = *request.method() == Method::POST;
                let wanted = if post { scope::read(request.into_body()).await? } else { None };
                let key = match &wanted {
                    Some(wanted) => self.narrowed(set, wanted).await?,
                    None => self.whole(set).await?,
                };
                let permissions = wanted.map(|wanted| wanted.len());
                Ok(self.hand_out(visit, KeyShape::Sts, set, &key, permissions))
            }
        }
    }

    fn set(&self, name: Option<&str>) -> Result<&HandedOut, Refusal> {
        let Some(name) = name else {
            return self.sets.first().ok_or_else(|| Refusal::new(Why::NotFound, "no key set"));
        };
        self.sets.iter().find(|set| set.keys.name() == name).ok_or_else(|| {
            let names: Vec<_> = self.sets.iter().map(|set| set.keys.name()).collect();
            let text = format!("no such key set is handed out; there are: {}", names.join(", "));
            Refusal::new(Why::NotFound, text)
        })
    }

    /// The key set's own key.
    async fn whole(&self, set: &HandedOut) -> Result<Offered, Refusal> {
        let (key, expires_at) = self.terms.whole(&set.keys, &self.clock).await?;
        Ok(Offered { key, expires_at })
    }

    /// A key for `wanted` only.
    async fn narrowed(
        &self,
        set: &HandedOut,
        wanted: &[crate::credential::Permission],
    ) -> Result<Offered, Refusal> {
        let key = set.narrowing.key(wanted).await.map_err(|fault| not_narrowed(&fault))?;
        let expires_at = self.terms.narrowed(&key, self.clock.now())?;
        Ok(Offered { key, expires_at })
    }

    fn hand_out(
        &self,
        visit: &Visit,
        shape: KeyShape,
        set: &HandedOut,
        offered: &Offered,
        permissions: Option<usize>,
    ) -> Response<Full<Bytes>> {
        let Offered { key, expires_at } = offered;
        let outcome = if permissions.is_some() { "narrowed" } else { "handed_out" };
        self.metrics.count(visit.shape, outcome);
        tracing::info!(
            target: "cos_auth_proxy::keys",
            keys = set.keys.name(), shape = visit.shape.map(Shape::name), peer = %visit.peer,
            secret_id = key.id.short(), told_expires_at = %expires_at, permissions,
            request_id = visit.request_id,
            "a key was handed out"
        );
        answer::key(write_key(key, shape, Some(*expires_at), &visit.request_id))
    }
}

/// A key, and the end that is told.
struct Offered {
    key: Arc<Credential>,
    expires_at: Timestamp,
}

fn foreign(foreign: Foreign) -> Refusal {
    match foreign {
        Foreign::Host => Refusal::new(
            Why::WrongHost,
            "the key endpoint answers only to Host localhost, 127.0.0.1 or [::1]; another name \
             may be DNS rebinding",
        ),
        Foreign::Browser => Refusal::new(
            Why::Browser,
            "the key endpoint is not for browsers: the request carries Origin or Sec-Fetch-Site",
        ),
    }
}

fn not_narrowed(fault: &NotNarrowed) -> Refusal {
    let text = fault.to_string();
    match fault {
        NotNarrowed::Source { .. } | NotNarrowed::NotCovered(_) => {
            Refusal::new(Why::ScopeNotAllowed, text)
        }
        NotNarrowed::NoKey { retry_in, .. } => Refusal::later(Why::NoKey, text, *retry_in),
        NotNarrowed::Limited { retry_in } => Refusal::later(Why::TooManyScopes, text, *retry_in),
    }
}

/// A name for one hand-out, so that a program's log and ours can be laid side by side.
fn request_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
