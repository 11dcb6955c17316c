//! Places to listen: TCP addresses and unix sockets.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, Protocol, Socket as Socket2, Type};

/// Connections the kernel holds for us while we are busy.
const BACKLOG: i32 = 1024;

/// Mode of a unix socket that only its owner may connect to.
const OWNER_ALONE: u32 = 0o600;

/// One place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this host can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// As in `config.toml`: `127.0.0.1:9001` or `unix:/path`.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket that nobody serves yet: clients that connect wait. Closed when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: ListenAddress,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds; needs no runtime. A unix socket is made for its owner alone (mode 0600), takes the
    /// place of a dead one and goes with the listener.
    ///
    /// # Errors
    /// Whatever the system says; `AddrInUse` when somebody serves the unix socket or something
    /// else stands in its place.
    pub fn bind(address: &ListenAddress) -> io::Result<Self> {
        Self::bind_open_to(address, OWNER_ALONE)
    }

    /// The same, with another mode for a unix socket.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_open_to(address: &ListenAddress, mode: u32) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(wanted) => {
                let listener = bind_tcp(*wanted)?;
                let address = ListenAddress::Tcp(listener.local_addr()?);
                Ok(Self { socket: Socket::Tcp(listener), address })
            }
            ListenAddress::Unix(path) => {
                let (listener, file) = bind_unix(path, mode)?;
                listener.set_nonblocking(true)?;
                Ok(Self { socket: Socket::Unix(listener, file), address: address.clone() })
            }
        }
    }

    /// Where it really listens: with the port the system chose when 0 was asked for.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The same socket on the current runtime.
    ///
    /// # Errors
    /// When the runtime does not take the socket.
    pub fn accepting(self) -> io::Result<Accepting> {
        let socket = match self.socket {
            Socket::Tcp(listener) => {
                AcceptingSocket::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Socket::Unix(listener, file) => {
                AcceptingSocket::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        };
        Ok(Accepting { socket, address: self.address })
    }
}

/// A connection that was accepted.
#[derive(Debug)]
pub enum Connection {
    /// TCP, with `TCP_NODELAY`: everything here is written whole.
    Tcp(tokio::net::TcpStream),
    /// A unix socket.
    Unix(tokio::net::UnixStream),
}

/// A listener on a runtime.
#[derive(Debug)]
pub struct Accepting {
    socket: AcceptingSocket,
    address: ListenAddress,
}

#[derive(Debug)]
enum AcceptingSocket {
    Tcp(tokio::net::TcpListener),
    Unix(
        tokio::net::UnixListener,
        #[expect(dead_code, reason = "its drop removes the file")] SocketFile,
    ),
}

impl Accepting {
    /// The next connection. Cancel-safe.
    ///
    /// # Errors
    /// What the system says; the next call may succeed.
    pub async fn accept(&self) -> io::Result<Connection> {
        match &self.socket {
            AcceptingSocket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }
            AcceptingSocket::Unix(listener, _) => Ok(Connection::Unix(listener.accept().await?.0)),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }
}

/// An address of one family only: `127.0.0.1` and `::1` are opened one by one.
fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket2::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The file of a unix socket; removed when dropped if it is still the same file.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // After a restart the path may belong to our successor.
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Binds beside the path, sets who may connect and only then moves it into place, so that
/// there is no moment in which somebody else could connect.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    free_place(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    if fs::symlink_metadata(&beside).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&beside)?;
    }
    let listener = UnixListener::bind(&beside)?;
    let moved = fs::set_permissions(&beside, fs::Permissions::from_mode(mode))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| identity(path));
    match moved {
        Ok(identity) => Ok((listener, SocketFile { path: path.to_owned(), identity })),
        Err(error) => {
            drop(fs::remove_file(&beside));
            Err(error)
        }
    }
}

/// Nothing is there, or a socket that nobody serves.
fn free_place(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let dead = found.file_type().is_socket()
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if dead { Ok(()) } else { Err(io::ErrorKind::AddrInUse.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_is_for_its_owner_alone_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let listener = Listener::bind(&ListenAddress::Unix(path.clone())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let _open = Listener::bind_open_to(&ListenAddress::Unix(path.clone()), 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_served_one_or_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        let address = ListenAddress::Unix(path.clone());
        let first = Listener::bind(&address).unwrap();
        assert_eq!(Listener::bind(&address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        fs::write(&path, "somebody's notes").unwrap();
        assert_eq!(Listener::bind(&address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's notes");
    }

    #[test]
    fn a_listener_leaves_the_socket_of_its_successor_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let address = ListenAddress::Unix(path.clone());
        let first = Listener::bind(&address).unwrap();
        let kept = folder.path().join("first.sock");
        fs::rename(&path, kept).unwrap();
        let _second = Listener::bind(&address).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn loopback_is_told_from_the_rest_also_when_mapped() {
        for (address, local) in [
            ("127.0.0.1:1", true),
            ("127.8.8.8:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(ListenAddress::Tcp(address.parse().unwrap()).is_local(), local, "{address}");
        }
    }
}
