//! Who sent a request, as far as the system says.

use std::{fmt, net::SocketAddr};

use super::Connection;

/// The other end of a connection, for log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Address and port.
    Tcp(SocketAddr),
    /// The user of the process behind a unix socket, and the process if the system tells it.
    Unix {
        /// User id.
        user: u32,
        /// Process id.
        process: Option<i32>,
    },
    /// The connection was gone before it could be asked.
    Unknown,
}

impl Peer {
    /// The other end of `connection`.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        match connection {
            Connection::Tcp(stream) => stream.peer_addr().map_or(Self::Unknown, Self::Tcp),
            Connection::Unix(stream) => stream
                .peer_cred()
                .map_or(Self::Unknown, |cred| Self::Unix { user: cred.uid(), process: cred.pid() }),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { user, process: Some(process) } => {
                write!(f, "user {user}, process {process}")
            }
            Self::Unix { user, process: None } => write!(f, "user {user}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
