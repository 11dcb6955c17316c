//! Listening, and handing each connection to the least loaded data thread.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::{
    server::{Connection, ListenAddress, Listener},
    shutdown::Shutdown,
};

use super::{
    loopback,
    places::Places,
    worker::{Arrived, ArrivedStream, Place},
};

/// A failed accept (descriptors used up, usually) is not retried sooner.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What the kernel may hold of an answer that was not sent to the client yet. Less costs CPU on fast
/// transfers (`docs/decisions/0007-slow-clients.md`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_MOST: u32 = 1024 * 1024;

/// After the shutdown began: what the kernel took for us before that is still heard.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Why a data port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {problem}; {fix}")]
pub struct BindError {
    address: ListenAddress,
    problem: io::Error,
    fix: &'static str,
}

/// Opens every address. An address of a family this host does not have is left out, as
/// long as one address can be opened.
///
/// # Errors
/// [`BindError`] for the first address that cannot be had.
pub(super) fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    let mut missing_family = None;
    for address in addresses {
        match bind_one(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_missing_family(address, &error.problem) && addresses.len() > 1 => {
                missing_family = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match missing_family {
        Some(error) if listeners.is_empty() => Err(error),
        Some(error) => {
            tracing::info!(%error, "this host has no such address family; listening on the others");
            Ok(listeners)
        }
        None => Ok(listeners),
    }
}

fn bind_one(address: &ListenAddress) -> Result<Listener, BindError> {
    Listener::bind(address).map_err(|problem| BindError {
        fix: fix_of(&problem),
        address: address.clone(),
        problem,
    })
}

fn fix_of(problem: &io::Error) -> &'static str {
    let kind = problem.kind();
    if kind == io::ErrorKind::AddrInUse {
        "stop the program that uses it, or choose another with --listen"
    } else if kind == io::ErrorKind::PermissionDenied {
        "choose a port above 1023, or a folder this user may write"
    } else {
        "choose another address with --listen"
    }
}

fn is_missing_family(address: &ListenAddress, problem: &io::Error) -> bool {
    let ipv6 = matches!(address, ListenAddress::Tcp(tcp) if tcp.is_ipv6());
    ipv6 && (problem.kind() == io::ErrorKind::AddrNotAvailable
        || problem.kind() == io::ErrorKind::Unsupported
        || problem.raw_os_error() == Some(97))
}

/// One data thread as the acceptor sees it.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) inbox: mpsc::UnboundedSender<Arrived>,
    pub(super) load: Arc<AtomicUsize>,
}

/// Accepts from one listener until the shutdown begins. Never fails: it logs and goes on. At the
/// limit of `places`, one connection waits here and further ones in the kernel.
pub(super) async fn accept(
    listener: Listener,
    doors: Arc<Vec<Door>>,
    places: Arc<Places>,
    shutdown: Shutdown,
) {
    let listener = match listener.accepting() {
        Ok(listener) => listener,
        Err(problem) => return tracing::error!(%problem, "cannot watch a listening socket"),
    };
    let mut last_complaint: Option<Instant> = None;
    let mut last_look: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.begun() => {
                let until = *last_look.get_or_insert_with(|| Instant::now() + LAST_LOOK);
                match timeout_at(until, listener.accept()).await {
                    Ok(accepted) => accepted,
                    Err(_elapsed) => return,
                }
            }
            accepted = listener.accept() => accepted,
        };
        match accepted.and_then(unbound) {
            Ok(stream) => {
                // Taken only now: a listener that waits must not keep a place from the others.
                let permit = tokio::select! {
                    biased;
                    permit = places.take() => permit,
                    () = shutdown.begun() => return,
                };
                let alive = doors.iter().filter(|door| !door.inbox.is_closed());
                let least = alive.min_by_key(|door| door.load.load(Ordering::Relaxed));
                let (Some(permit), Some(door)) = (permit, least) else { return };
                door.load.fetch_add(1, Ordering::Relaxed);
                let place = Place { load: Arc::clone(&door.load), _permit: permit };
                drop(door.inbox.send(Arrived { stream: Ok(stream), place }));
            }
            Err(problem) => {
                if last_complaint.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                    tracing::error!(%problem, "cannot accept a client connection; if descriptors are used up, raise the limit (ulimit -n)");
                    last_complaint = Some(Instant::now());
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

/// The connection free of the acceptor's runtime, so that a data thread can take it.
fn unbound(connection: Connection) -> io::Result<ArrivedStream> {
    match connection {
        Connection::Tcp(tcp) => {
            show_slow_reading(&tcp);
            if let Ok(peer) = tcp.peer_addr() {
                loopback::spare_pacing(&tcp, peer);
            }
            tcp.into_std().map(ArrivedStream::Tcp)
        }
        Connection::Unix(unix) => unix.into_std().map(ArrivedStream::Unix),
    }
}

/// Lets the kernel hold little that is not sent yet. Left alone it takes megabytes from us at once
/// and asks for more when a third of them is sent: a client that reads all the time, but slowly,
/// would look as if it did not read at all, and one that does not would pin all of them.
fn show_slow_reading(tcp: &tokio::net::TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // Failing leaves the kernel's own measure.
    drop(socket2::SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT_MOST));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = tcp;
}

#[cfg(test)]
mod tests {
    use crate::metrics::{Labels, Meters};

    use super::*;

    #[tokio::test]
    async fn eight_long_connections_are_shared_evenly_by_two_threads() {
        let listener = bind(&[ListenAddress::Tcp(([127, 0, 0, 1], 0).into())]).unwrap().remove(0);
        let ListenAddress::Tcp(address) = *listener.address() else { panic!("TCP was asked for") };
        let (doors, mut inboxes): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (inbox, arrivals) = mpsc::unbounded_channel();
                (Door { inbox, load: Arc::new(AtomicUsize::new(0)) }, arrivals)
            })
            .unzip();
        let shutdown = Shutdown::new();
        let labels = Labels { operations: &[], methods: &[], reasons: &[] };
        let places = Places::new(100, Meters::new(labels, 1).meter(0));
        shutdown.spawn("accept", accept(listener, Arc::new(doors), places, shutdown.clone()));

        let mut clients = Vec::new();
        let mut held = [Vec::new(), Vec::new()];
        for _ in 0..8 {
            clients.push(tokio::net::TcpStream::connect(address).await.unwrap());
            let (first, second) = inboxes.split_at_mut(1);
            tokio::select! {
                arrived = first[0].recv() => held[0].push(arrived),
                arrived = second[0].recv() => held[1].push(arrived),
            }
        }
        assert_eq!([held[0].len(), held[1].len()], [4, 4]);

        // Those of one thread end; the next ones go where room is.
        held[0].clear();
        for _ in 0..4 {
            clients.push(tokio::net::TcpStream::connect(address).await.unwrap());
            held[0].push(inboxes[0].recv().await);
        }
        shutdown.begin();
        assert!(shutdown.finished(Duration::from_secs(5)).await);
    }
}
