//! TLS towards upstream: which roots are trusted and what is offered; the socket that speaks it.

mod rooms;
mod session;
mod socket;
#[cfg(test)]
mod socket_tests;
#[cfg(test)]
mod stage;

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

pub(super) use rooms::Rooms;
pub(super) use socket::TlsSocket;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `upstream.ca_file` cannot be read as PEM certificates.
    #[error("upstream.ca_file {path}: {problem}")]
    CaFile {
        /// The path as configured.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing to verify an https upstream with.
    #[error(
        "no trusted root certificate was found on this system; install ca-certificates or set upstream.ca_file"
    )]
    NoRoots,
    /// The provider refused its own defaults.
    #[error("TLS could not be set up")]
    Provider(#[from] rustls::Error),
}

/// A client configuration that trusts the system's roots and those in `ca_file`. HTTP/1.1 only.
///
/// # Errors
/// [`TlsError`] when `ca_file` is unusable or no root is trusted at all.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        let broken =
            |problem: String| TlsError::CaFile { path: path.display().to_string(), problem };
        let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|failure| broken(failure.to_string()))?;
        if certificates.is_empty() {
            return Err(broken("holds no PEM certificate".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|failure| broken(failure.to_string()))?;
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Turns a TLS failure into words: rustls wraps its reason in an `io::Error`.
pub(super) fn describe(failure: &io::Error) -> String {
    failure
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .map_or_else(|| failure.to_string(), ToString::to_string)
}
