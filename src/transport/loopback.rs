//! Connections that stay on this host: there is no network to be careful with.

use std::{net::SocketAddr, os::fd::AsFd};

/// Spares a connection within this host what its kernel does for long and crowded ways. Where the
/// host's congestion control paces (`bbr` does, and many hosts of a cloud run it), every segment
/// is held back by a timer of its own, which on loopback costs more than carrying the bytes.
/// Connections to other hosts keep what their operator chose.
pub(super) fn spare_pacing(socket: &impl AsFd, peer: SocketAddr) {
    #[cfg(target_os = "linux")]
    if peer.ip().to_canonical().is_loopback() {
        // Every kernel has it and lets everyone choose it; failing leaves the host's own choice.
        drop(socket2::SockRef::from(socket).set_tcp_congestion(b"reno"));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, peer);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_a_connection_within_this_host_is_spared() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let stream = TcpStream::connect(here).unwrap();
        let congestion = || socket2::SockRef::from(&stream).tcp_congestion().unwrap();
        let usual = congestion();
        spare_pacing(&stream, "192.0.2.1:80".parse().unwrap());
        assert_eq!(congestion(), usual);
        spare_pacing(&stream, here);
        assert!(congestion().starts_with(b"reno"), "{:?}", congestion());
    }
}
