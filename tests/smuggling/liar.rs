//! An upstream that tells the lie it is asked for, and the truth to everybody else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    judge::{Reading, Seen, lossy, read},
    lies::{Lie, To, Told},
    recorder::{answer, serve_all},
};

/// Where liar and client of one lie wait for each other.
pub(crate) struct Meeting {
    lie: Lie,
    /// In pieces of so many bytes.
    pieces: usize,
    /// The client had its answer.
    pub(crate) heard: Semaphore,
    /// Everything was told.
    pub(crate) told: Semaphore,
}

/// The longest wait of one for the other.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Liar {
    meetings: Mutex<BTreeMap<String, Arc<Meeting>>>,
    pub(crate) wrong: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

impl Liar {
    /// The next request for `target` gets this lie.
    pub(crate) fn will_tell(&self, target: &str, lie: &Lie, pieces: usize) -> Arc<Meeting> {
        let lie = lie.clone();
        let (heard, told) = (Semaphore::new(0), Semaphore::new(0));
        let meeting = Arc::new(Meeting { lie, pieces, heard, told });
        self.meetings.lock().unwrap().insert(target.to_owned(), Arc::clone(&meeting));
        meeting
    }

    /// Connections that the proxy opened so far.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Serves until `until` is over and every connection has ended.
    pub(crate) async fn serve(self: Arc<Self>, listener: &TcpListener, until: impl Future) {
        let taken = |stream| {
            *self.connections.lock().unwrap() += 1;
            Arc::clone(&self).connection(stream)
        };
        serve_all(listener, until, taken).await;
    }

    async fn connection(self: Arc<Self>, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut bytes = Vec::new();
        let mut piece = vec![0; 65536];
        let mut spoilt_by: Option<String> = None;
        loop {
            let (seen, length) = match read(&bytes) {
                Reading::Whole(seen, length) => (Some(seen), length),
                Reading::Cut(half) => (half.filter(|half| self.is_told_early(half)), bytes.len()),
                Reading::Wrong(why) => return self.wrong.lock().unwrap().push(why),
            };
            if let Some(seen) = seen {
                bytes.drain(..length);
                if let Some(lie) = &spoilt_by {
                    let target = lossy(&seen.target);
                    self.wrong.lock().unwrap().push(format!("used for {target} after {lie}"));
                }
                match self.meeting(&seen) {
                    None => drop(stream.write_all(&answer(&seen)).await),
                    Some(meeting) => {
                        spoilt_by = (!meeting.lie.clean).then(|| meeting.lie.name.clone());
                        let Some(left) = meeting.tell(stream).await else { return };
                        stream = left;
                    }
                }
                continue;
            }
            match stream.read(&mut piece).await {
                Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn meeting(&self, seen: &Seen) -> Option<Arc<Meeting>> {
        self.meetings.lock().unwrap().get(&lossy(&seen.target)).map(Arc::clone)
    }

    fn is_told_early(&self, half: &Seen) -> bool {
        self.meeting(half).is_some_and(|meeting| meeting.lie.to == To::HalfAPut)
    }
}

impl Meeting {
    /// Tells the lie; the connection, unless its end is a part of it.
    async fn tell(&self, mut stream: TcpStream) -> Option<TcpStream> {
        let mut left = true;
        for told in &self.lie.told {
            match told {
                Told::Bytes(bytes) => {
                    for piece in bytes.chunks(self.pieces) {
                        // The proxy may have heard enough.
                        if stream.write_all(piece).await.is_err() {
                            break;
                        }
                        if self.pieces < bytes.len() {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                Told::Later => {
                    let heard = timeout(PATIENCE, self.heard.acquire()).await;
                    heard.expect("nobody heard an answer").unwrap().forget();
                }
                Told::Close => left = false,
                Told::Reset => {
                    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                    left = false;
                }
            }
        }
        let left = left.then_some(stream);
        self.told.add_permits(1);
        left
    }
}
