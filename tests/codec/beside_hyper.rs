//! The codec beside hyper: what the codec finds in a stream of bytes, hyper must find too.

use std::{convert::Infallible, sync::Mutex};

use cos_auth_proxy::http1::{AnswerTo, Version};
use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::reading::{Kind, Message, Stop, read_all};

/// Room for everything either side writes, so that nobody waits for the other.
const PIPE: usize = 1 << 20;

/// What a comparison met, to show that it compares.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// Complete messages that both understood alike.
    pub(crate) compared: u32,
    /// Those of them with a body.
    pub(crate) with_body: u32,
    /// Whether the codec refused the stream at its end.
    pub(crate) refused: bool,
}

impl Met {
    fn count(&mut self, message: &Message) {
        self.compared += 1;
        self.with_body += u32::from(!message.body.is_empty());
    }
}

/// Fails unless hyper understands every request in `bytes` that the codec accepts, alike, and no
/// further one.
pub(crate) fn compare_requests(bytes: &[u8]) -> Met {
    let (ours, stop) = read_all(Kind::Requests, bytes, &[]);
    let hyper = block_on(hyper_serves(bytes));
    let mut met = Met { refused: matches!(stop, Stop::Refused(_)), ..Met::default() };
    for (at, message) in ours.iter().enumerate() {
        // hyper leaves the body of CONNECT to the tunnel.
        if !representable(&message.target) || message.what == "CONNECT" {
            return met;
        }
        if !message.complete {
            let body = hyper.get(at).and_then(|seen| seen.body.as_ref());
            let cut = stop == Stop::Refused("truncated-body");
            assert!(!cut || body.is_none(), "hyper takes a cut body for whole");
            break;
        }
        assert!(hyper.len() > at, "hyper refuses {message:?}");
        compare(message, &hyper[at]);
        let target = &hyper[at].target;
        assert!(same_target(&message.target, target), "{}", target.escape_ascii());
        met.count(message);
    }
    assert!(
        stop != Stop::Clean || hyper.len() == ours.len(),
        "hyper sees {} requests",
        hyper.len()
    );
    met
}

/// Fails unless hyper understands the answer in `bytes` that the codec accepts, alike.
pub(crate) fn compare_answer(to: AnswerTo, bytes: &[u8]) -> Met {
    let (ours, stop) = read_all(Kind::Answer(to), bytes, &[]);
    let mut met = Met { refused: matches!(stop, Stop::Refused(_)), ..Met::default() };
    let Some(last) = ours.last().filter(|last| !last.what.starts_with('1')) else {
        return met;
    };
    let hyper = block_on(hyper_asks(to, bytes));
    if last.complete {
        let hyper = hyper.unwrap_or_else(|| panic!("hyper refuses {last:?}"));
        compare(last, &hyper);
        met.count(last);
    } else if stop == Stop::Refused("truncated-body") {
        assert!(hyper.is_none_or(|seen| seen.body.is_none()), "hyper takes a cut body for whole");
    }
    met
}

/// A message as hyper understood it; `body` is `None` if hyper found the framing broken.
#[derive(Debug)]
struct Seen {
    what: String,
    target: Vec<u8>,
    version: http::Version,
    fields: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    trailers: Vec<(String, Vec<u8>)>,
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Sorted by name; values of one name in their order.
fn listed(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    sorted(map.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())).collect())
}

fn sorted(mut fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

async fn collect(body: Incoming) -> (Option<Vec<u8>>, Vec<(String, Vec<u8>)>) {
    match body.collect().await {
        Ok(all) => {
            let trailers = all.trailers().map(listed).unwrap_or_default();
            (Some(all.to_bytes().to_vec()), trailers)
        }
        Err(_) => (None, Vec::new()),
    }
}

/// The requests a hyper server finds in `bytes`, after which the client closes its side.
async fn hyper_serves(bytes: &[u8]) -> Vec<Seen> {
    let (mut client, server) = tokio::io::duplex(PIPE);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let seen = Mutex::new(Vec::new());
    let service = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let (body, trailers) = collect(body).await;
        seen.lock().unwrap().push(Seen {
            what: head.method.to_string(),
            target: head.uri.to_string().into_bytes(),
            version: head.version,
            fields: listed(&head.headers),
            body,
            trailers,
        });
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.half_close(true).max_headers(128);
    let _ = builder.serve_connection(TokioIo::new(server), service).await;
    seen.into_inner().unwrap()
}

/// The answer a hyper client finds in `bytes`, after which the server closes its side.
async fn hyper_asks(to: AnswerTo, bytes: &[u8]) -> Option<Seen> {
    let (client, server) = tokio::io::duplex(PIPE);
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_headers(128);
    let (mut sender, connection) = builder.handshake(TokioIo::new(client)).await.unwrap();
    let method = if to == AnswerTo::Head { "HEAD" } else { "GET" };
    let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).unwrap();
    let asking = async move {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let (body, trailers) = collect(body).await;
        Some(Seen {
            what: head.status.as_str().to_owned(),
            target: Vec::new(),
            version: head.version,
            fields: listed(&head.headers),
            body,
            trailers,
        })
    };
    let (seen, _, ()) = tokio::join!(asking, connection, answer(server, bytes));
    seen
}

/// Waits for the whole request, answers and closes.
async fn answer(mut server: DuplexStream, bytes: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(server.read_buf(&mut request).await.unwrap(), 0, "hyper sent half a request");
    }
    server.write_all(bytes).await.unwrap();
    server.shutdown().await.unwrap();
}

/// Fails unless hyper understood a complete message as the codec did.
fn compare(ours: &Message, hyper: &Seen) {
    let version = match ours.version {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    };
    assert_eq!(&ours.what, &hyper.what);
    assert_eq!(version, hyper.version);
    assert_eq!(sorted(ours.fields.clone()), hyper.fields.clone());
    assert_eq!(Some(&ours.body), hyper.body.as_ref());
    let trailers = ours.trailers.split_inclusive(|&b| b == b'\n').map(|line| {
        let colon = line.iter().position(|&b| b == b':').unwrap();
        (
            String::from_utf8_lossy(&line[..colon]).to_lowercase(),
            line[colon + 1..].trim_ascii().to_vec(),
        )
    });
    assert_eq!(sorted(trailers.collect()), hyper.trailers.clone());
}

/// Whether hyper's URI type can hold these bytes: it refuses some that programs send raw.
fn representable(target: &[u8]) -> bool {
    http::Uri::try_from(target).is_ok()
}

/// hyper's target has a normalised scheme, and a path where an absolute form has none.
fn same_target(ours: &[u8], hyper: &[u8]) -> bool {
    ours == hyper
        || http::Uri::try_from(ours)
            .is_ok_and(|uri| uri.authority().is_some() && uri.to_string().as_bytes() == hyper)
}
