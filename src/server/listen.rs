//! Places to listen: TCP addresses and unix sockets.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

/// One place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

/// A bound place.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; the file goes when the listener does.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn bind(_address: &ListenAddress) -> io::Result<Self> {
        unimplemented!()
    }
}
