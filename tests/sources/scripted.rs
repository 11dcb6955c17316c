//! Servers that answer what a test tells them, over TCP and over TLS.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

use std::{net::SocketAddr, sync::Arc};

use cos_auth_proxy::shutdown::Shutdown;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

/// An answer.
pub(crate) struct Reply {
    status: u16,
    body: String,
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self { status: 200, body: body.to_owned() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, body: String::new() }
    }
}

/// Answers the request with this number, counted from 0, by its text.
pub(crate) trait Script: FnMut(usize, &str) -> Reply + Send + 'static {}

impl<F: FnMut(usize, &str) -> Reply + Send + 'static> Script for F {}

/// A server on loopback, one request per connection; ends with `shutdown`.
pub(crate) async fn serve(shutdown: &Shutdown, mut script: impl Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ending = shutdown.clone();
    shutdown.spawn("scripted server", async move {
        for number in 0.. {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ending.begun() => return,
            };
            exchange(accepted.unwrap().0, number, &mut script).await;
        }
    });
    address
}

/// A certificate authority of one's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut about = CertificateParams::default();
        about.distinguished_name.push(DnType::CommonName, name);
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// An https server for `host` with a certificate of this authority; returns its port.
    pub(crate) async fn serve(
        &self,
        host: &str,
        shutdown: &Shutdown,
        mut script: impl Script,
    ) -> u16 {
        let key = KeyPair::generate().unwrap();
        let about = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = about.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ending = shutdown.clone();
        shutdown.spawn("scripted tls server", async move {
            for number in 0.. {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = ending.begun() => return,
                };
                // A client that does not trust us goes away here.
                if let Ok(stream) = acceptor.accept(accepted.unwrap().0).await {
                    exchange(stream, number, &mut script).await;
                }
            }
        });
        port
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    script: &mut impl Script,
) {
    let Some(request) = whole_request(&mut stream).await else { return };
    let Reply { status, body } = script(number, &request);
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
    // The client may be gone, which is its own affair.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Head and body as text; `None` if the client left before the end.
async fn whole_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
}
