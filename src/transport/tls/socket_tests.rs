//! The socket against rustls' own server, in every kind of pieces.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice, Read},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use proptest::prelude::*;
use rustls::{
    SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};

use super::{
    TlsSocket,
    stage::{End, Link, NAME, Town, body, context, why},
};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
/// Bytes that a read of the socket brings at most.
const PIECES: [usize; 6] = [1, 5, 23, 1460, 16 * 1024, usize::MAX];

#[test]
fn bytes_are_the_same_on_both_ends_in_whatever_pieces_they_travel() {
    let body = body(200_000);
    for version in VERSIONS {
        let town = Town::speaking(version);
        for piece in PIECES {
            for size in [1000, 16 * 1024, 512 * 1024] {
                let mut pair = town.meet(&[piece]);
                pair.peer.say(&body);
                pair.write(&body);
                let (got, end) = pair.read_all(size);
                assert!(got == body && end.is_none(), "{version:?}, {piece}, {size}: down");
                assert!(pair.peer.got == body, "{version:?}, {piece}, {size}: up");
            }
        }
    }
}

#[test]
fn a_record_may_be_split_anywhere() {
    for version in VERSIONS {
        let town = Town::speaking(version);
        let mut pair = town.meet(&[usize::MAX]);
        assert!(pair.read_all(100).0.is_empty());
        for cut in 0.. {
            pair.peer.say(b"hello");
            pair.peer.say(b"world");
            let all: Vec<u8> = pair.link.borrow_mut().down.drain(..).collect();
            let Some((first, second)) = all.split_at_checked(cut) else { break };
            pair.link.borrow_mut().down.extend(first);
            let (mut got, _) = pair.read_all(3);
            pair.link.borrow_mut().down.extend(second);
            got.extend(pair.read_all(3).0);
            assert_eq!(got, b"helloworld", "{version:?}, cut after {cut}");
        }
    }
}

#[test]
fn new_keys_in_the_middle_of_a_body_change_nothing() {
    let part = body(40_000);
    let town = Town::speaking(&TLS13);
    for piece in PIECES {
        let mut pair = town.meet(&[piece]);
        let (mut down, mut up) = (0, 0);
        for round in 0..20 {
            pair.peer.say(&part);
            pair.peer.tls.refresh_traffic_keys().unwrap();
            pair.peer.say(&part);
            if round % 3 == 0 {
                pair.write(&part);
                up += part.len();
            }
            let (got, end) = pair.read_all(70_000);
            assert!(got.len() == 2 * part.len() && end.is_none());
            down += got.len();
        }
        pair.write(b"last");
        assert_eq!(pair.peer.failed, None);
        assert_eq!((pair.peer.got.len(), down), (up + 4, 40 * part.len()));
    }
}

#[test]
fn the_end_of_the_socket_is_not_the_end_of_tls() {
    let body = body(300);
    for version in VERSIONS {
        let town = Town::speaking(version);
        for cut in 0.. {
            let mut pair = town.meet(&[1460]);
            pair.read_all(1000); // tickets
            pair.peer.say(&body);
            pair.peer.tls.send_close_notify();
            pair.peer.send();
            let whole = pair.link.borrow().down.len();
            pair.link.borrow_mut().down.truncate(cut);
            pair.link.borrow_mut().ended = true;
            let (got, end) = pair.read_all(1000);
            assert!(body.starts_with(&got), "{version:?}, cut after {cut}: other bytes");
            if cut >= whole {
                assert!(got == body && matches!(end, Some(Ok(()))), "{version:?}: {end:?}");
                assert!(matches!(pair.read(10), Some(Ok(nothing)) if nothing.is_empty()));
                break;
            }
            for end in [end, pair.read_all(1000).1] {
                let kind = end.unwrap().unwrap_err().kind();
                assert_eq!(kind, io::ErrorKind::UnexpectedEof, "{version:?}, cut after {cut}");
            }
        }
    }
}

#[test]
fn a_spoilt_record_is_an_error_after_what_was_whole_and_the_peer_is_told() {
    for version in VERSIONS {
        let mut pair = Town::speaking(version).meet(&[usize::MAX]);
        pair.read_all(100);
        pair.peer.say(b"whole");
        let whole = pair.link.borrow().down.len();
        pair.peer.say(b"spoilt");
        *pair.link.borrow_mut().down.get_mut(whole + 20).unwrap() ^= 1;
        let (got, end) = pair.read_all(100);
        assert_eq!(got, b"whole");
        for end in [end, pair.read_all(100).1] {
            assert_eq!(why(&end.unwrap().unwrap_err()), Some(&rustls::Error::DecryptError));
        }
        assert!(matches!(
            pair.socket.poll_write(&mut context(), &[IoSlice::new(b"x")]),
            Poll::Ready(Err(_))
        ));
        pair.peer.pump();
        let told = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
        assert_eq!(pair.peer.failed, Some(told), "{version:?}");
    }
}

#[test]
fn an_alert_in_the_middle_of_a_body_is_told_as_what_it_is() {
    for version in VERSIONS {
        let mut pair = Town::speaking(version).meet(&[23]);
        pair.peer.say(b"half");
        // The peer cannot read us, and says so.
        pair.link.borrow_mut().up.extend(b"\x17\x03\x03\x00\x20garbage garbage garbage garbage ");
        pair.peer.pump();
        assert!(pair.peer.failed.is_some());
        let (got, end) = pair.read_all(100);
        assert_eq!(got, b"half");
        let failure = end.unwrap().unwrap_err();
        assert!(
            matches!(why(&failure), Some(rustls::Error::AlertReceived(_))),
            "{version:?}: {failure}"
        );
    }
}

#[test]
fn a_ticket_on_an_idle_connection_is_neither_data_nor_an_end_and_no_room_is_held() {
    let mut pair = Town::speaking(&TLS13).meet(&[usize::MAX]);
    assert!(!pair.link.borrow().down.is_empty(), "the peer sent no ticket");
    for _ in 0..3 {
        assert!(pair.read(1).is_none());
        assert_eq!(pair.socket.held(), 0);
        pair.peer.tls.refresh_traffic_keys().unwrap();
        pair.peer.send();
    }
    pair.peer.say(&body(100_000));
    assert_eq!(pair.read_all(4096).0.len(), 100_000);
    pair.write(&body(100_000));
    assert!(pair.read(1).is_none());
    assert_eq!(pair.socket.held(), 0);
}

#[test]
fn a_socket_that_takes_nothing_holds_back_one_batch_and_no_more() {
    let body = body(1 << 20);
    let mut pair = Town::speaking(&TLS13).meet(&[usize::MAX]);
    pair.link.borrow_mut().takes = 0;
    let mut written = 0;
    while let Poll::Ready(n) =
        pair.socket.poll_write(&mut context(), &[IoSlice::new(&body[written..])])
    {
        written += n.unwrap();
    }
    assert_eq!(written, 64 * 1024);
    while written < body.len() {
        pair.link.borrow_mut().takes = 10_000;
        if let Poll::Ready(n) =
            pair.socket.poll_write(&mut context(), &[IoSlice::new(&body[written..])])
        {
            written += n.unwrap();
        }
        assert!(pair.socket.held() <= 66 * 1024, "{}", pair.socket.held());
    }
    pair.link.borrow_mut().takes = usize::MAX;
    assert!(pair.socket.poll_flush(&mut context()).is_ready());
    pair.peer.pump();
    assert!(pair.peer.got == body);
}

#[test]
fn what_arrives_while_we_write_is_kept_for_the_next_read() {
    for version in VERSIONS {
        let mut pair = Town::speaking(version).meet(&[usize::MAX]);
        pair.peer.say(b"early answer");
        // Received with the first byte that is read, but not opened yet.
        assert_eq!(pair.read(5).unwrap().unwrap(), b"early");
        pair.peer.say(&body(30_000));
        assert_eq!(pair.read(7).unwrap().unwrap(), b" answer");
        assert_eq!(pair.read(1).unwrap().unwrap(), body(1));
        pair.write(&body(100_000));
        assert!(pair.peer.got == body(100_000));
        assert_eq!(pair.read_all(1000).0, body(30_000)[1..]);
    }
}

#[test]
fn the_end_is_said_once_and_after_everything_else() {
    for version in VERSIONS {
        let mut pair = Town::speaking(version).meet(&[7]);
        pair.write(b"all");
        for _ in 0..2 {
            assert!(pair.socket.poll_shutdown(&mut context()).is_ready());
        }
        pair.peer.pump();
        assert_eq!((pair.peer.failed, &pair.peer.got[..]), (None, &b"all"[..]));
        assert_eq!(pair.peer.tls.reader().read(&mut [0]).unwrap(), 0, "{version:?}: no end");
    }
}

#[test]
fn a_second_connection_takes_up_the_session_of_the_first() {
    for version in VERSIONS {
        let town = Town::speaking(version);
        for (number, resumed) in [false, true, true].into_iter().enumerate() {
            let mut pair = town.meet(&[1460]);
            assert_eq!(pair.socket.is_resumed(), resumed, "{version:?}, connection {number}");
            assert!(pair.read(100).is_none());
        }
    }
}

#[test]
fn a_server_that_asks_for_another_key_exchange_gets_it() {
    for piece in PIECES {
        let town = Town::with(&TLS13, &[], 1, |provider| {
            provider.kx_groups.retain(|group| group.name() == rustls::NamedGroup::secp384r1);
        });
        let mut pair = town.meet(&[piece]);
        let kind = pair.peer.tls.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
        pair.write(b"hello");
        assert_eq!(pair.peer.got, b"hello");
    }
}

#[test]
fn a_handshake_may_be_long_but_not_without_end() {
    let names: Vec<String> = (0..2000).map(|i| format!("host-{i:06}.example")).collect();
    for version in VERSIONS {
        for piece in [23, 1460, usize::MAX] {
            let mut pair = Town::with(version, &names, 1, |_| {}).meet(&[piece]);
            pair.peer.say(b"hello");
            assert_eq!(pair.read_all(10).0, b"hello");
        }
        let endless = Town::with(version, &names, 4, |_| {}).try_meet(&[1460]);
        assert!(endless.is_err(), "{version:?}");
    }
}

#[test]
fn a_socket_that_ends_in_the_handshake_is_an_error() {
    let town = Town::speaking(&TLS13);
    let link = Rc::new(RefCell::new(Link {
        up: VecDeque::new(),
        down: VecDeque::from(vec![0x16, 3, 3, 0]),
        pieces: vec![1],
        turn: 0,
        ended: true,
        takes: usize::MAX,
    }));
    let name = ServerName::try_from(NAME).unwrap();
    let connecting = TlsSocket::connect(town.client, name, End(link), Rc::default());
    let Poll::Ready(Err(failure)) = pin!(connecting).poll(&mut context()) else {
        panic!("no failure")
    };
    assert_eq!(failure.kind(), io::ErrorKind::UnexpectedEof);
}

#[derive(Debug, Clone)]
enum Act {
    PeerSays(usize),
    PeerChangesKeys,
    WeWrite(usize),
    WeRead(usize),
    LinkTakes(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1usize..60_000).prop_map(Act::PeerSays),
        Just(Act::PeerChangesKeys),
        (1usize..150_000).prop_map(Act::WeWrite),
        (1usize..100_000).prop_map(Act::WeRead),
        (0usize..50_000).prop_map(Act::LinkTakes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever both sides do and in whatever pieces it travels, bytes arrive once and in order.
    #[test]
    fn any_conversation_keeps_its_bytes(
        acts in prop::collection::vec(act(), 1..40),
        pieces in prop::collection::vec(prop_oneof![1usize..40, 1usize..20_000, Just(usize::MAX)], 1..6),
        old in any::<bool>(),
    ) {
        let version = if old { &TLS12 } else { &TLS13 };
        let mut pair = Town::speaking(version).meet(&pieces);
        let (mut said, mut written) = (0usize, 0usize);
        let mut heard = Vec::new();
        let source = body(8 << 20);
        for act in acts {
            match act {
                Act::PeerSays(n) => {
                    pair.peer.say(&source[said..said + n]);
                    said += n;
                }
                Act::PeerChangesKeys if old => {}
                Act::PeerChangesKeys => {
                    pair.peer.tls.refresh_traffic_keys().unwrap();
                    pair.peer.send();
                }
                Act::WeWrite(n) => {
                    let parts = [IoSlice::new(&source[written..written + n])];
                    if let Poll::Ready(n) = pair.socket.poll_write(&mut context(), &parts) {
                        written += n.unwrap();
                    }
                }
                Act::WeRead(n) => {
                    if let Some(bytes) = pair.read(n) {
                        heard.extend(bytes.unwrap());
                    }
                }
                Act::LinkTakes(n) => {
                    pair.link.borrow_mut().takes = n;
                    pair.peer.pump();
                }
            }
        }
        pair.link.borrow_mut().takes = usize::MAX;
        prop_assert!(pair.socket.poll_flush(&mut context()).is_ready());
        pair.peer.pump();
        heard.extend(pair.read_all(10_000).0);
        prop_assert!(heard == source[..said]);
        prop_assert!(pair.peer.got == source[..written]);
        prop_assert_eq!(pair.socket.held(), 0);
        drop(pair.socket);
        prop_assert_eq!(pair.rooms.out(), 0);
    }
}
