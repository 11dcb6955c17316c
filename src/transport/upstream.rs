//! Opening a connection to upstream within its deadlines.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    metrics::{Meter, TlsHandshake, UpstreamErrorKind},
    proxy::{Origin, Reason, Refused, Scheme},
};

#[cfg(any(test, feature = "in-memory"))]
use super::in_memory::Dialer;
use super::{
    loopback,
    stream::Stream,
    tls::{self, Rooms, TlsSocket},
};

/// Why there is no connection, for the client and for the metric.
#[derive(Debug)]
pub(super) struct ConnectFailure {
    pub(super) refused: Refused,
    pub(super) kind: UpstreamErrorKind,
}

/// Opens connections; shared by the requests of a thread.
pub(super) struct Connector {
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) rooms: Rc<Rooms>,
    pub(super) patience: Duration,
    pub(super) meter: Arc<Meter>,
    /// Dials in memory instead.
    #[cfg(any(test, feature = "in-memory"))]
    pub(super) memory: Option<Dialer>,
}

impl Connector {
    /// Resolves, connects and, for https, shakes hands; TCP and TLS each within the patience.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Stream, ConnectFailure> {
        #[cfg(any(test, feature = "in-memory"))]
        if let Some(dialer) = &self.memory {
            return self.dial_in_memory(dialer).await;
        }
        let tcp = self.dial(origin).await?;
        // Heads and bodies are written whole: waiting for more would only add latency.
        drop(tcp.set_nodelay(true));
        match origin.scheme {
            Scheme::Http => Ok(Stream::Tcp(tcp)),
            Scheme::Https => self.shake_hands(origin, tcp).await,
        }
    }

    #[cfg(any(test, feature = "in-memory"))]
    async fn dial_in_memory(&self, dialer: &Dialer) -> Result<Stream, ConnectFailure> {
        dialer.dial(self.patience).await.map(Stream::Memory).map_err(|problem| {
            let (reason, kind) = if problem.kind() == io::ErrorKind::TimedOut {
                (Reason::UpstreamConnectTimeout, UpstreamErrorKind::ConnectTimeout)
            } else {
                (Reason::UpstreamConnect, UpstreamErrorKind::Connect)
            };
            failure(reason, kind, format!("cannot connect: {problem}"))
        })
    }

    async fn dial(&self, origin: &Origin) -> Result<TcpStream, ConnectFailure> {
        let deadline = Instant::now() + self.patience;
        let place = format!("{}:{}", origin.dial.host, origin.dial.port);
        let timed_out = || {
            failure(
                Reason::UpstreamConnectTimeout,
                UpstreamErrorKind::ConnectTimeout,
                format!(
                    "no connection to {place} within {:?} (upstream.connect_timeout)",
                    self.patience
                ),
            )
        };
        let addresses = match timeout_at(deadline, resolve(origin)).await {
            Err(_) => return Err(timed_out()),
            Ok(Err(problem)) => {
                return Err(failure(
                    Reason::UpstreamConnect,
                    UpstreamErrorKind::Dns,
                    format!(
                        "{} cannot be resolved: {problem}; check upstream.region, upstream.endpoint and the DNS of this host",
                        origin.dial.host
                    ),
                ));
            }
            Ok(Ok(addresses)) => addresses,
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (tried, address) in addresses.iter().enumerate() {
            // Each address gets a fair share of what is left, so that one dead address is no outage.
            let left = deadline.saturating_duration_since(Instant::now());
            let others = u32::try_from(addresses.len() - tried).unwrap_or(1);
            match timeout(left / others, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    loopback::spare_pacing(&tcp, *address);
                    return Ok(tcp);
                }
                Ok(Err(problem)) => last = problem,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        if last.kind() == io::ErrorKind::TimedOut {
            return Err(timed_out());
        }
        Err(failure(
            Reason::UpstreamConnect,
            UpstreamErrorKind::Connect,
            format!("cannot connect to {place}: {last}"),
        ))
    }

    async fn shake_hands(&self, origin: &Origin, tcp: TcpStream) -> Result<Stream, ConnectFailure> {
        let tls_failure = |problem: String| {
            failure(
                Reason::UpstreamTls,
                UpstreamErrorKind::Tls,
                format!(
                    "TLS with {} failed: {problem}; if it is right to trust it, set upstream.ca_file",
                    origin.server_name
                ),
            )
        };
        let Some(config) = &self.tls else {
            return Err(tls_failure(
                "no trusted root certificate was found on this system".to_owned(),
            ));
        };
        let name = ServerName::try_from(origin.server_name.trim_matches(['[', ']']).to_owned())
            .map_err(|bad| tls_failure(bad.to_string()))?;
        let handshake = TlsSocket::connect(Arc::clone(config), name, tcp, Rc::clone(&self.rooms));
        match timeout(self.patience, handshake).await {
            Err(_) => Err(failure(
                Reason::UpstreamConnectTimeout,
                UpstreamErrorKind::ConnectTimeout,
                format!(
                    "no TLS handshake with {} within {:?} (upstream.connect_timeout)",
                    origin.server_name, self.patience
                ),
            )),
            Ok(Err(problem)) => Err(tls_failure(tls::describe(&problem))),
            Ok(Ok(socket)) => {
                self.meter.tls_handshake(if socket.is_resumed() {
                    TlsHandshake::Resumed
                } else {
                    TlsHandshake::Full
                });
                Ok(Stream::Tls(Box::new(socket)))
            }
        }
    }
}

async fn resolve(origin: &Origin) -> io::Result<Vec<SocketAddr>> {
    let host = origin.dial.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, origin.dial.port)]);
    }
    let found: Vec<_> = tokio::net::lookup_host((host, origin.dial.port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

fn failure(reason: Reason, kind: UpstreamErrorKind, message: String) -> ConnectFailure {
    ConnectFailure { refused: Refused { reason, message: message.into() }, kind }
}
