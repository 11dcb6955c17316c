//! An upstream that records every byte and answers only what the judge could read.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::judge::{Reading, Seen, lossy, read};

/// Everything that arrived, on all connections.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Requests that came whole, and were answered.
    pub(crate) whole: Vec<Seen>,
    /// Requests that ended with their connection before they were whole.
    pub(crate) cut: Vec<Seen>,
    /// What the judge did not accept.
    pub(crate) wrong: Vec<String>,
    pub(crate) connections: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Record>);

impl Recorder {
    /// Serves until dropped or until `listener` has ended.
    pub(crate) async fn serve(self: Arc<Self>, listener: &TcpListener, until: impl Future) {
        let taken = |stream| {
            self.0.lock().unwrap().connections += 1;
            Arc::clone(&self).connection(stream)
        };
        serve_all(listener, until, taken).await;
    }

    pub(crate) fn take(&self) -> Record {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    async fn connection(self: Arc<Self>, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut bytes = Vec::new();
        let mut piece = vec![0; 65536];
        loop {
            while let Reading::Whole(seen, length) = read(&bytes) {
                bytes.drain(..length);
                let answer = answer(&seen);
                self.0.lock().unwrap().whole.push(seen);
                if stream.write_all(&answer).await.is_err() {
                    break;
                }
            }
            if let Reading::Wrong(why) = read(&bytes) {
                return self.0.lock().unwrap().wrong.push(why);
            }
            match stream.read(&mut piece).await {
                Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
                Ok(0) | Err(_) => break,
            }
        }
        let mut record = self.0.lock().unwrap();
        match read(&bytes) {
            _ if bytes.is_empty() => {}
            Reading::Cut(Some(seen)) => record.cut.push(seen),
            Reading::Cut(None) => record.wrong.push(format!("half a head: {:?}", lossy(&bytes))),
            Reading::Whole(..) | Reading::Wrong(_) => record.wrong.push(lossy(&bytes)),
        }
    }
}

/// Serves every connection until `until` is over and each of them has ended.
pub(crate) async fn serve_all<C: Future<Output = ()> + Send + 'static>(
    listener: &TcpListener,
    until: impl Future,
    mut serve: impl FnMut(TcpStream) -> C,
) {
    let mut connections = JoinSet::new();
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            accepted = listener.accept() => drop(connections.spawn(serve(accepted.unwrap().0))),
            _ = &mut until => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Says which request it answers.
pub(crate) fn answer(seen: &Seen) -> Vec<u8> {
    let text = echo(seen);
    let body = if seen.method == "HEAD" { "" } else { &text };
    let length = text.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-Echo: {text}\r\n\r\n{body}").into()
}

/// A short text that no other request has (FNV-1a of all of it).
pub(crate) fn echo(seen: &Seen) -> String {
    let parts = [seen.method.as_bytes(), b" ", &seen.target, b" ", &seen.body].concat();
    let hash = parts.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}
