//! The object store's sockets: accepts, reads requests, delivers answers, and does the harm that a
//! test has asked for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{
    CosError,
    answer::{Answer, Delivery},
    cos::Cos,
    faults::{Fault, Service},
    seen::SeenRequest,
    wire::{Body, Connection, Head, Socket, WireError},
};
use crate::shutdown::Shutdown;

/// Wait after a failed accept, so that a shortage of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Size of the answer that nobody should read whole.
const OVERSIZED: usize = 8 * 1024 * 1024;

/// Serves `cos` on `listener` until `shutdown` begins; then every connection is dropped.
pub(crate) fn serve(
    cos: Arc<Cos>,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    shutdown: &Shutdown,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let ending = shutdown.clone();
    shutdown.spawn("emulator cos", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ending.begun() => return,
            };
            let Ok((tcp, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (cos, acceptor, end) = (Arc::clone(&cos), acceptor.clone(), ending.clone());
            ending.spawn("emulator cos connection", async move {
                tokio::select! {
                    () = connection(&cos, tcp, peer, acceptor) => {}
                    () = end.begun() => {}
                }
            });
        }
    });
}

async fn connection(cos: &Cos, tcp: TcpStream, peer: SocketAddr, acceptor: Option<TlsAcceptor>) {
    // Without it, answers in two writes may wait for the peer's delayed acknowledgement.
    let _ = tcp.set_nodelay(true);
    let socket = match acceptor {
        None => Socket::Plain(tcp),
        Some(acceptor) => match acceptor.accept(tcp).await {
            Ok(tls) => Socket::Tls(Box::new(tls)),
            Err(error) => {
                tracing::debug!(%peer, %error, "emulator: TLS handshake failed");
                return;
            }
        },
    };
    let mut connection = Connection::new(socket);
    loop {
        let next = match connection.read_head().await {
            Ok(Some(head)) => exchange(cos, &mut connection, &head).await,
            Ok(None) | Err(WireError::Gone(_)) => return,
            Err(WireError::Bad(reason)) => malformed(cos, &mut connection, reason).await,
        };
        match next {
            Next::KeepAlive => {}
            Next::Close => return connection.close().await,
            Next::Drop => return,
            Next::Reset => return connection.reset(),
        }
    }
}

/// What becomes of a connection after a request.
enum Next {
    KeepAlive,
    /// The answer is out; the peer may still be sending.
    Close,
    /// The answer is cut or missing: end at once.
    Drop,
    Reset,
}

async fn exchange(cos: &Cos, connection: &mut Connection, head: &Head) -> Next {
    let mut seen =
        SeenRequest::of_parts(Service::Cos, cos.now(), &head.method, &head.target, &head.headers);
    seen.secret_id = claimed_id(head);
    let mut body = connection.body(head);
    let mut delivery = Delivery { head_only: head.method == "HEAD", ..Delivery::default() };
    let answer = match cos.faults.next(Service::Cos) {
        Some(Fault::Reset) => {
            dropped(cos, seen, "reset");
            return Next::Reset;
        }
        Some(Fault::Close) => {
            dropped(cos, seen, "close");
            return Next::Drop;
        }
        Some(fault) => faulty(cos, head, &mut body, &mut delivery, &mut seen, fault).await,
        None => cos.respond(head, &mut body, &mut seen).await,
    };
    seen.status = answer.status;
    cos.seen.record(seen);
    delivery.close = !head.keep_alive || !body.can_be_drained();
    if answer.deliver(body.connection(), delivery).await.is_err() {
        return Next::Drop;
    }
    if delivery.close {
        return Next::Close;
    }
    if body.drain().await.is_err() { Next::Drop } else { Next::KeepAlive }
}

/// Answers with a fault that still has an answer.
async fn faulty(
    cos: &Cos,
    head: &Head,
    body: &mut Body<'_>,
    delivery: &mut Delivery,
    seen: &mut SeenRequest,
    fault: Fault,
) -> Answer {
    let refuse = |error: &CosError, seen: &mut SeenRequest| {
        cos.refusal(head.header("host"), &head.target, error, seen)
    };
    match fault {
        Fault::Status(status) => refuse(&CosError::of_status(status), seen),
        Fault::ErrorCode(code) => refuse(&CosError::of_code(code), seen),
        Fault::Throttle => {
            refuse(&CosError::new(503, "SlowDown", "Please reduce your request rate."), seen)
        }
        Fault::Oversized => {
            refuse(&CosError::new(500, "InternalError", "x".repeat(OVERSIZED)), seen)
        }
        Fault::Html200 => {
            "html200".clone_into(&mut seen.verdict);
            let page = "<!DOCTYPE html><html><body>Please sign in to this network.</body></html>";
            Answer::text(200, "text/html", page.to_owned())
        }
        Fault::WrongFields => {
            cos.respond(head, body, seen).await.without_header("x-cos-request-id")
        }
        Fault::Slow(wait) => {
            tokio::time::sleep(wait).await;
            cos.respond(head, body, seen).await
        }
        Fault::TruncateBody(end) => {
            delivery.truncate_at = Some(end);
            cos.respond(head, body, seen).await
        }
        Fault::DripBody(wait) => {
            delivery.drip = Some(wait);
            cos.respond(head, body, seen).await
        }
        // Faults of keys, or ones that have no answer.
        Fault::ExpiresAt(_) | Fault::Reset | Fault::Close => cos.respond(head, body, seen).await,
    }
}

fn dropped(cos: &Cos, mut seen: SeenRequest, fault: &str) {
    fault.clone_into(&mut seen.verdict);
    cos.seen.record(seen);
}

async fn malformed(cos: &Cos, connection: &mut Connection, reason: &'static str) -> Next {
    let headers = http::HeaderMap::new();
    let mut seen = SeenRequest::of_parts(Service::Cos, cos.now(), "", "", &headers);
    let error = CosError::new(400, "InvalidRequest", reason);
    let answer = cos.refusal(None, "", &error, &mut seen);
    seen.status = answer.status;
    cos.seen.record(seen);
    let delivery = Delivery { close: true, ..Delivery::default() };
    if answer.deliver(connection, delivery).await.is_err() { Next::Drop } else { Next::Close }
}

/// The key id that a request says it is signed with, for the log.
fn claimed_id(head: &Head) -> Option<String> {
    let authorization = head.header("authorization")?;
    let id = authorization.split('&').find_map(|field| field.strip_prefix("q-ak="))?;
    Some(id.to_owned())
}
