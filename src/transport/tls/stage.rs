//! What the tests of the socket play on: a link whose pieces they choose, rustls' server at its
//! other end, no runtime.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice, Read, Write},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Rooms, TlsSocket};

pub(super) const NAME: &str = "bucket.example";

/// What lies between the two ends.
pub(super) struct Link {
    pub(super) up: VecDeque<u8>,
    pub(super) down: VecDeque<u8>,
    /// Sizes of pieces, used in turn.
    pub(super) pieces: Vec<usize>,
    pub(super) turn: usize,
    pub(super) ended: bool,
    /// Bytes the socket still takes.
    pub(super) takes: usize,
}

pub(super) struct End(pub(super) Rc<RefCell<Link>>);

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let link = &mut *self.0.borrow_mut();
        if link.down.is_empty() && !link.ended {
            return Poll::Pending;
        }
        link.turn += 1;
        let n = link.pieces[link.turn % link.pieces.len()].min(into.remaining());
        let n = n.min(link.down.len());
        into.put_slice(&link.down.drain(..n).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let link = &mut *self.0.borrow_mut();
        link.turn += 1;
        let n = link.pieces[link.turn % link.pieces.len()].min(from.len()).min(link.takes);
        if n == 0 {
            return Poll::Pending;
        }
        link.takes -= n;
        link.up.extend(&from[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A server and the trust of its clients.
pub(super) struct Town {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl Town {
    pub(super) fn speaking(version: &'static SupportedProtocolVersion) -> Self {
        Self::with(version, &[], 1, |_| {})
    }

    pub(super) fn with(
        version: &'static SupportedProtocolVersion,
        more_names: &[String],
        chain: usize,
        change: impl Fn(&mut rustls::crypto::CryptoProvider),
    ) -> Self {
        let names: Vec<_> =
            std::iter::once(NAME.to_owned()).chain(more_names.iter().cloned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let usual = Arc::new(provider.clone());
        change(&mut provider);
        let server = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone(); chain], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(usual)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }

    /// A connection after its handshake.
    pub(super) fn meet(&self, pieces: &[usize]) -> Pair {
        self.try_meet(pieces).unwrap()
    }

    pub(super) fn try_meet(&self, pieces: &[usize]) -> io::Result<Pair> {
        let link = Rc::new(RefCell::new(Link {
            up: VecDeque::new(),
            down: VecDeque::new(),
            pieces: pieces.to_vec(),
            turn: 0,
            ended: false,
            takes: usize::MAX,
        }));
        let rooms = Rc::new(Rooms::default());
        let name = ServerName::try_from(NAME).unwrap();
        let mut peer = Peer {
            tls: ServerConnection::new(Arc::clone(&self.server)).unwrap(),
            link: Rc::clone(&link),
            got: Vec::new(),
            failed: None,
        };
        let mut connecting = pin!(TlsSocket::connect(
            Arc::clone(&self.client),
            name,
            End(Rc::clone(&link)),
            Rc::clone(&rooms)
        ));
        for _ in 0..1_000_000 {
            if let Poll::Ready(socket) = connecting.as_mut().poll(&mut context()) {
                peer.pump();
                return socket.map(|socket| Pair { socket, peer, link, rooms });
            }
            peer.pump();
        }
        panic!("the handshake does not end");
    }
}

pub(super) fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

pub(super) struct Peer {
    pub(super) tls: ServerConnection,
    pub(super) link: Rc<RefCell<Link>>,
    pub(super) got: Vec<u8>,
    pub(super) failed: Option<rustls::Error>,
}

impl Peer {
    /// Takes what came up, and puts what it has to say on the link.
    pub(super) fn pump(&mut self) {
        let up: Vec<u8> = self.link.borrow_mut().up.drain(..).collect();
        let mut up = &up[..];
        while !up.is_empty() && self.failed.is_none() {
            if self.tls.read_tls(&mut up).unwrap() == 0 {
                break;
            }
            match self.tls.process_new_packets() {
                Ok(_) => drop(self.tls.reader().read_to_end(&mut self.got)),
                Err(failure) => self.failed = Some(failure),
            }
        }
        self.send();
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8 * 1024) {
            self.tls.writer().write_all(part).unwrap();
            self.send();
        }
    }

    pub(super) fn send(&mut self) {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        self.link.borrow_mut().down.extend(records);
    }
}

pub(super) struct Pair {
    pub(super) socket: TlsSocket<End>,
    pub(super) peer: Peer,
    pub(super) link: Rc<RefCell<Link>>,
    pub(super) rooms: Rc<Rooms>,
}

impl Pair {
    /// One read into `size` bytes; `None` while nothing is there.
    pub(super) fn read(&mut self, size: usize) -> Option<io::Result<Vec<u8>>> {
        let mut into = vec![0; size];
        match self.socket.poll_read(&mut context(), &mut into) {
            Poll::Pending => None,
            Poll::Ready(read) => Some(read.map(|n| into[..n].to_vec())),
        }
    }

    /// Everything that is there, and how it ended if it did.
    pub(super) fn read_all(&mut self, size: usize) -> (Vec<u8>, Option<io::Result<()>>) {
        let mut all = Vec::new();
        loop {
            match self.read(size) {
                None => return (all, None),
                Some(Ok(bytes)) if bytes.is_empty() => return (all, Some(Ok(()))),
                Some(Ok(bytes)) => all.extend(bytes),
                Some(Err(failure)) => return (all, Some(Err(failure))),
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (first, second) = rest.split_at(rest.len() / 3);
            let parts = [IoSlice::new(first), IoSlice::new(second)];
            match self.socket.poll_write(&mut context(), &parts) {
                Poll::Ready(written) => rest = &rest[written.unwrap()..],
                Poll::Pending => panic!("the link takes everything"),
            }
        }
        assert!(self.socket.poll_flush(&mut context()).is_ready());
        self.peer.pump();
    }
}

pub(super) fn body(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 37 + i / 251) as u8).collect()
}

pub(super) fn why(failure: &io::Error) -> Option<&rustls::Error> {
    failure.get_ref()?.downcast_ref()
}
