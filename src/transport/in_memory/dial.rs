//! Connections to an upstream in memory: whoever plays upstream answers each call.

use std::{io, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Socket;

/// Calls upstream.
#[derive(Debug, Clone)]
pub(in crate::transport) struct Dialer {
    calls: mpsc::UnboundedSender<Call>,
}

/// One call. It fails when its line is dropped, and takes too long when it is kept.
#[derive(Debug)]
pub(in crate::transport) struct Call {
    pub(in crate::transport) line: oneshot::Sender<Socket>,
}

impl Dialer {
    /// A dialer, and where its calls arrive.
    pub(in crate::transport) fn new() -> (Self, mpsc::UnboundedReceiver<Call>) {
        let (calls, arriving) = mpsc::unbounded_channel();
        (Self { calls }, arriving)
    }

    /// # Errors
    /// `ConnectionRefused`, or `TimedOut` after `patience`.
    pub(in crate::transport) async fn dial(&self, patience: Duration) -> io::Result<Socket> {
        let (line, connected) = oneshot::channel();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        self.calls.send(Call { line }).map_err(|_nobody| refused())?;
        timeout(patience, connected).await?.map_err(|_dropped| refused())
    }
}
