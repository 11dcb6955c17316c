//! https towards upstream: the test plays an upstream with a certificate of its own.

use std::{io::Write, sync::Arc, time::Duration};

use rustls::{
    HandshakeKind, ServerConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::house::{House, PATIENCE, Plan, Wire, field, reason, status};

const HOST: &str = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";
const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A house whose upstream speaks TLS with a certificate for `name`, and how to speak it.
async fn open(name: &str, trusted: bool) -> (House, TlsAcceptor, tempfile::NamedTempFile) {
    open_speaking(name, trusted, rustls::DEFAULT_VERSIONS, 1).await
}

async fn open_speaking(
    name: &str,
    trusted: bool,
    versions: &[&'static SupportedProtocolVersion],
    threads: usize,
) -> (House, TlsAcceptor, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let other = rcgen::generate_simple_self_signed(["other.example".to_owned()]).unwrap();
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    let trusted = if trusted { made.cert.pem() } else { other.cert.pem() };
    ca_file.write_all(trusted.as_bytes()).unwrap();
    let mut plan = Plan::usual();
    plan.proxy.endpoint = "https://{bucket}.cos.{region}.myqcloud.com".to_owned();
    plan.transport.threads = threads;
    plan.transport.ca_file = Some(ca_file.path().to_owned());
    (plan.open().await, TlsAcceptor::from(Arc::new(config)), ca_file)
}

async fn upstream(house: &House, acceptor: &TlsAcceptor) -> Wire<TlsStream<TcpStream>> {
    let raw = house.upstream().await;
    let shaken = timeout(PATIENCE, acceptor.accept(raw.stream)).await.expect("no handshake");
    Wire::over(shaken.unwrap())
}

#[tokio::test]
async fn a_request_goes_up_over_tls_with_the_buckets_name_and_the_connection_is_kept() {
    let (house, acceptor, _ca) = open(HOST, true).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = upstream(&house, &acceptor).await;
    assert_eq!(upstream.stream.get_ref().1.server_name(), Some(HOST));
    for round in 0..3 {
        if round > 0 {
            client.write(GET).await;
        }
        let head = upstream.head().await;
        assert_eq!(field(&head, "host"), Some(HOST));
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.message().await.1, b"ok");
    }
    assert!(!house.upstream_is_called().await, "a second connection was opened");
}

#[tokio::test]
async fn large_bodies_are_the_same_on_both_ends_of_tls() {
    const SIZE: usize = 8 << 20;
    let body: Vec<u8> = (0..SIZE).map(|i| (i * 37 + i / 251) as u8).collect();
    let (house, acceptor, _ca) = open(HOST, true).await;
    let mut client = house.client().await;
    let putting = async {
        client
            .write(format!("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n"))
            .await;
        client.write(&body).await;
        assert_eq!(status(&client.head().await), 200);
        client.write(GET).await;
        let (_, got) = client.message().await;
        assert!(got == body, "the bytes that came down differ");
    };
    let serving = async {
        let mut upstream = upstream(&house, &acceptor).await;
        let (_, got) = upstream.message().await;
        assert!(got == body, "the bytes that went up differ");
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        upstream.head().await;
        upstream.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
        upstream.write(&body).await;
        upstream
    };
    tokio::join!(putting, serving);
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_502_that_names_the_way_out() {
    let (house, acceptor, _ca) = open(HOST, false).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let raw = house.upstream().await;
    assert!(acceptor.accept(raw.stream).await.is_err(), "the handshake went through");
    let (head, body) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (502, Some("upstream-tls")));
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains(HOST) && text.contains("upstream.ca_file"), "{text}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (house, acceptor, _ca) = open("elsewhere.example", true).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let raw = house.upstream().await;
    assert!(acceptor.accept(raw.stream).await.is_err(), "the handshake went through");
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (502, Some("upstream-tls")));
}

#[tokio::test]
async fn a_body_that_ends_without_the_end_of_tls_looks_cut() {
    for framing in ["Content-Length: 10\r\n\r\nhell", "\r\nhell"] {
        let (house, acceptor, _ca) = open(HOST, true).await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = upstream(&house, &acceptor).await;
        upstream.head().await;
        upstream.write(format!("HTTP/1.1 200 OK\r\n{framing}")).await;
        // The TCP connection ends; no close_notify says that this was meant.
        let (tcp, _) = upstream.stream.get_mut();
        tcp.shutdown().await.unwrap();
        client.head().await;
        let rest = client.rest().await;
        assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 10, "{framing:?}: {rest:?}");
    }
}

#[tokio::test]
async fn new_connections_take_up_the_session_of_the_first_on_every_thread() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (house, acceptor, _ca) = open_speaking(HOST, true, &[version], 2).await;
        let mut open = Vec::new();
        for number in 0..4 {
            // One after the other on open connections: the acceptor spreads them over the threads.
            let mut client = house.client().await;
            client.write(GET).await;
            let mut upstream = upstream(&house, &acceptor).await;
            let expected = if number == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
            assert_eq!(upstream.stream.get_ref().1.handshake_kind(), Some(expected), "{version:?}");
            upstream.head().await;
            upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nha").await;
            assert_eq!(status(&client.head().await), 200);
            assert_eq!(client.exactly(2).await, b"ha");
            open.push((client, upstream));
        }
        let count =
            |kind| house.counter(&format!("upstream_tls_handshakes_total{{kind=\"{kind}\"}}"));
        assert_eq!((count("full"), count("resumed")), (1, 3), "{version:?}");
    }
}

#[tokio::test]
async fn new_keys_between_and_inside_bodies_change_nothing() {
    let part: Vec<u8> = (0..50_000).map(|i| (i * 37 + i / 251) as u8).collect();
    let (house, acceptor, _ca) = open(HOST, true).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = upstream(&house, &acceptor).await;
    for round in 0..3 {
        if round > 0 {
            client.write(GET).await;
        }
        upstream.head().await;
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        for _ in 0..2 {
            upstream.stream.get_mut().1.refresh_traffic_keys().unwrap();
            upstream.write(&part).await;
        }
        upstream.stream.get_mut().1.refresh_traffic_keys().unwrap();
        upstream.stream.flush().await.unwrap();
        let (_, got) = client.message().await;
        assert!(got[..50_000] == part && got[50_000..] == part, "round {round}: other bytes");
    }
    assert!(!house.upstream_is_called().await, "a second connection was opened");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_in_the_handshake_is_a_502() {
    let (house, _acceptor, _ca) = open(HOST, true).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let silent = house.upstream().await;
    drop(silent);
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (502, Some("upstream-tls")));
}

#[tokio::test]
async fn an_upstream_that_says_nothing_in_the_handshake_is_given_up_in_time() {
    let mut plan = Plan::usual();
    let ca = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(ca.cert.pem().as_bytes()).unwrap();
    plan.proxy.endpoint = "https://{bucket}.cos.{region}.myqcloud.com".to_owned();
    plan.transport.ca_file = Some(ca_file.path().to_owned());
    plan.transport.connect_timeout = Duration::from_millis(200);
    let house = plan.open().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let _silent = house.upstream().await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (504, Some("upstream-connect-timeout")));
    assert!(String::from_utf8(body).unwrap().contains("TLS handshake"));
}
