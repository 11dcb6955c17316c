//! Small HTTP calls for keys: every step has a deadline, every answer a bound.
//!
//! A client is made for each call and dropped after it. Calls are rare, so connections would be
//! stale, certificate files may have changed, and the trust store's memory is better given back.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Request, header};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    credential::{endpoint::Endpoint, error::SourceError},
};

/// A key and its surroundings fit many times.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How to call one server.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    pub(super) endpoint: Endpoint,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) connect_timeout: Duration,
    pub(super) total_timeout: Duration,
}

/// An answer with status 200, whole.
pub(super) struct Answer {
    /// The server's `Date`.
    pub(super) date: Option<Timestamp>,
    /// May hold a key.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl HttpClient {
    /// Sends `request` and reads the answer, both within the deadline.
    ///
    /// Goes straight to the server: proxies of the environment are not asked, since they would see
    /// keys and are often the wrong way to a server inside the same network. Redirects are not
    /// followed, since they would send a signed request elsewhere.
    pub(super) async fn call(&self, request: Request) -> Result<Answer, SourceError> {
        let client = self.client()?;
        match tokio::time::timeout(self.total_timeout, self.exchange(&client, request)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(self.timed_out(self.total_timeout)),
        }
    }

    async fn exchange(
        &self,
        client: &reqwest::Client,
        request: Request,
    ) -> Result<Answer, SourceError> {
        let mut response = client.execute(request).await.map_err(|fault| self.broke(&fault))?;
        if response.status() != reqwest::StatusCode::OK {
            let status = response.status().as_u16();
            return Err(SourceError::Status { endpoint: self.endpoint.to_string(), status });
        }
        let date = response
            .headers()
            .get(header::DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|since_epoch| Timestamp::from_unix_seconds(since_epoch.as_secs()));
        // Its full size from the start: a growing buffer would leave copies of keys behind.
        let mut body = Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER));
        while let Some(piece) = response.chunk().await.map_err(|fault| self.broke(&fault))? {
            if body.len() + piece.len() > LONGEST_ANSWER {
                return Err(self.unreadable("it is longer than 64 KiB"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { date, body })
    }

    fn client(&self) -> Result<reqwest::Client, SourceError> {
        let builder = reqwest::Client::builder();
        let builder = match self.endpoint.socket() {
            Some(socket) => builder.unix_socket(socket),
            None => builder,
        };
        builder
            .tls_backend_preconfigured(self.tls()?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(self.connect_timeout)
            .user_agent(concat!("cos-auth-proxy/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|fault| self.broke(&fault))
    }

    fn tls(&self) -> Result<ClientConfig, SourceError> {
        let mut roots = RootCertStore::empty();
        if self.endpoint.is_https() {
            // Single broken certificates in the system's store are normal; the others still count.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if let Some(path) = &self.ca_file {
            let refused =
                |fault: String| SourceError::File { path: path.display().to_string(), fault };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|fault| refused(fault.to_string()))?;
            if certificates.is_empty() {
                return Err(refused("it holds no certificate in PEM form".to_owned()));
            }
            for certificate in certificates {
                roots.add(certificate).map_err(|fault| refused(fault.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider was made for these versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }

    pub(super) fn unreadable(&self, fault: &str) -> SourceError {
        SourceError::Unreadable { endpoint: self.endpoint.to_string(), fault: fault.to_owned() }
    }

    fn timed_out(&self, waited: Duration) -> SourceError {
        SourceError::TimedOut { endpoint: self.endpoint.to_string(), waited }
    }

    fn broke(&self, fault: &reqwest::Error) -> SourceError {
        if fault.is_timeout() && fault.is_connect() {
            return self.timed_out(self.connect_timeout);
        }
        // The innermost cause says most ("connection refused"); the outer ones repeat the URL.
        let mut cause: &dyn Error = fault;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let fault =
            if fault.source().is_none() { "the request failed".into() } else { cause.to_string() };
        SourceError::Unreachable { endpoint: self.endpoint.to_string(), fault }
    }
}
