//! Where a request goes: the name that is signed and the address that is dialled.

use std::sync::Arc;

/// `http` or `https` towards COS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS.
    Https,
}

/// The address to open a connection to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dial {
    /// Name or address.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
}

/// One upstream name; also the key of the connection pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Scheme.
    pub scheme: Scheme,
    /// Exactly what stands in `Host` (with port only if not the scheme's own) and is signed.
    pub authority: Box<str>,
    /// TLS server name: the authority without port.
    pub server_name: Box<str>,
    /// Where to connect.
    pub dial: Dial,
}

/// Shared by the requests of one origin.
pub type SharedOrigin = Arc<Origin>;
