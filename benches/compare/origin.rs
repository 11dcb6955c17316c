//! The upstream of the comparison: answers as fast as it can, from memory.
//!
//! `GET /…/SIZE` answers SIZE bytes (`1k`, `64m`, `0`); `PUT` drains its body and answers 200. Plain
//! and TLS on the two ports it prints. It parses no more than it needs: it is the same for all.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool of the benchmark"
)]

use std::{io, sync::Arc};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

/// Names the proxies ask for; the throw-away certificate is made out to them.
const NAMES: [&str; 2] = ["localhost", "bench-1250000000.cos.ap-guangzhou.myqcloud.com"];

fn main() {
    let folder = std::env::args().nth(1).expect("usage: origin FOLDER (where ca.pem is written)");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let certified = rcgen::generate_simple_self_signed(NAMES.map(String::from)).unwrap();
        std::fs::write(format!("{folder}/ca.pem"), certified.cert.pem()).unwrap();
        let key =
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{} {}", plain.local_addr().unwrap().port(), secure.local_addr().unwrap().port());
        let body: &'static [u8] = vec![b'x'; 1 << 20].leak();
        let tls = tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = secure.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let acceptor = acceptor.clone();
                tokio::task::spawn_local(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drop(serve(stream, body).await);
                    }
                });
            }
        });
        loop {
            let (stream, _) = plain.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::task::spawn_local(async move { drop(serve(stream, body).await) });
            if tls.is_finished() {
                break;
            }
        }
    });
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, pattern: &[u8]) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut have = 0;
    loop {
        let head = loop {
            if let Some(end) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            let n = stream.read(&mut buffer[have..]).await?;
            if n == 0 {
                return Ok(());
            }
            have += n;
        };
        let text = std::str::from_utf8(&buffer[..head]).unwrap_or_default();
        let size = answer_size(text);
        let mut body = body_length(text);
        let here = body.min(have - head);
        body -= here;
        buffer.copy_within(head + here..have, 0);
        have -= head + here;
        while body > 0 {
            let n = stream.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            body = body.saturating_sub(n);
        }
        let mut out = format!(
            "HTTP/1.1 200 OK\r\nServer: tencent-cos\r\nContent-Length: {size}\r\nETag: \"9a0364b9e99bb480dd25e1f0284c8555\"\r\nx-cos-request-id: NWQwZjE0M2Ff\r\n\r\n"
        )
        .into_bytes();
        let first = size.min(16 * 1024);
        out.extend_from_slice(&pattern[..first]);
        stream.write_all(&out).await?;
        let mut left = size - first;
        while left > 0 {
            let n = left.min(pattern.len());
            stream.write_all(&pattern[..n]).await?;
            left -= n;
        }
        stream.flush().await?;
    }
}

fn answer_size(head: &str) -> usize {
    if !head.starts_with("GET") {
        return 0;
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let digits: usize = name.trim_end_matches(['k', 'm']).parse().unwrap_or(0);
    digits
        << if name.ends_with('m') {
            20
        } else if name.ends_with('k') {
            10
        } else {
            0
        }
}

fn body_length(head: &str) -> usize {
    head.lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        })
        .unwrap_or(0)
}
