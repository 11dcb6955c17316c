//! A door in front of a server, on a port that stays the same: open, shut, deaf, or answering with
//! silence. What goes wrong inside an answer is the emulator's to do.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cos_auth_proxy::shutdown::Shutdown;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

/// What happens to those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are let through, after a TLS handshake if the gate has a certificate.
    Open,
    /// Nobody listens: the connection is refused.
    Shut,
    /// The backlog is full and nobody accepts: the connection never comes about.
    Deaf,
    /// The connection is taken and not a byte is said, not even a TLS handshake.
    Mute,
    /// The request is read and nothing is answered.
    NoAnswer,
    /// The head of an answer comes, and half of a header line is its end.
    HalfHead,
    /// The head of an answer comes whole, and no byte of its body.
    HeadOnly,
}

/// A running gate. Ends with the [`Shutdown`] it was opened with, or when it is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    applied: watch::Receiver<Mode>,
    /// Keeps the port ours while nobody listens on it.
    _reservation: TcpSocket,
}

impl Gate {
    /// Opens a gate in front of `server`; with an acceptor it speaks TLS to those who come.
    pub(crate) fn open(server: SocketAddr, tls: Option<TlsAcceptor>, shutdown: &Shutdown) -> Self {
        let reservation = socket("127.0.0.1:0".parse().unwrap());
        let address = reservation.local_addr().unwrap();
        let (mode, watched) = watch::channel(Mode::Open);
        let (applies, applied) = watch::channel(Mode::Open);
        let inside = Arc::new(Inside { server, tls });
        // Listens before anybody can be told the address.
        let listener = socket(address).listen(128).unwrap();
        let ending = shutdown.clone();
        shutdown.spawn("gate", async move {
            tokio::select! {
                () = keep(address, listener, (watched, applies), inside, &ending) => {}
                () = ending.begun() => {}
            }
        });
        Self { address, mode, applied, _reservation: reservation }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns once it is so.
    pub(crate) async fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
        // It fails when the gate has ended with the test.
        let mut applied = self.applied.clone();
        let (Ok(_) | Err(_)) = applied.wait_for(|applied| *applied == mode).await;
    }
}

struct Inside {
    server: SocketAddr,
    tls: Option<TlsAcceptor>,
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn keep(
    address: SocketAddr,
    mut listener: TcpListener,
    (mut watched, applies): (watch::Receiver<Mode>, watch::Sender<Mode>),
    inside: Arc<Inside>,
    shutdown: &Shutdown,
) {
    loop {
        let mode = *watched.borrow_and_update();
        match mode {
            Mode::Shut => {
                drop(listener);
                applies.send_replace(mode);
                if watched.changed().await.is_err() {
                    return;
                }
            }
            Mode::Deaf => {
                drop(listener);
                let deaf = socket(address).listen(0).unwrap();
                let waiting = fill(address).await;
                applies.send_replace(mode);
                if watched.changed().await.is_err() {
                    return;
                }
                drop((deaf, waiting));
            }
            Mode::Open | Mode::Mute | Mode::NoAnswer | Mode::HalfHead | Mode::HeadOnly => {
                applies.send_replace(mode);
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            let (inside, ending) = (Arc::clone(&inside), shutdown.clone());
                            shutdown.spawn("gate connection", async move {
                                tokio::select! {
                                    () = receive(stream, mode, &inside) => {}
                                    () = ending.begun() => {}
                                }
                            });
                        }
                    }
                    changed = watched.changed() => if changed.is_err() { return },
                }
                continue;
            }
        }
        listener = socket(address).listen(128).unwrap();
    }
}

/// Takes every place in the backlog of `address`.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    const NO_PLACE: Duration = Duration::from_millis(100);
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(NO_PLACE, TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the backlog does not fill");
    }
    waiting
}

async fn receive(mut stream: TcpStream, mode: Mode, inside: &Inside) {
    if mode == Mode::Mute {
        return until_gone(&mut stream).await;
    }
    match &inside.tls {
        None => serve(stream, mode, inside.server).await,
        // A client that does not trust us goes away here.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, mode, inside.server).await;
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, mode: Mode, server: SocketAddr) {
    let answer = match mode {
        Mode::Open => {
            let Ok(mut upstream) = TcpStream::connect(server).await else { return };
            // Either side may end it; that is what is being tested.
            let (Ok(_) | Err(_)) = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
            return;
        }
        Mode::HalfHead => "HTTP/1.1 200 OK\r\nContent-Ty",
        Mode::HeadOnly => {
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"
        }
        Mode::NoAnswer | Mode::Shut | Mode::Deaf | Mode::Mute => "",
    };
    let mut request = [0; 16 * 1024];
    if stream.read(&mut request).await.is_ok() && stream.write_all(answer.as_bytes()).await.is_ok()
    {
        let (Ok(()) | Err(_)) = stream.flush().await;
        until_gone(&mut stream).await;
    }
}

async fn until_gone<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// A certificate for `localhost` that nobody trusts but who is given `ca_pem`.
pub(crate) struct Certificate {
    pub(crate) ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        Self { ca_pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}
