//! A whole proxy on a thread of its own, started from `config.toml` as a user's would be.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use cos_auth_proxy::{
    app::{App, ExitReason, StatusReader, Stop},
    clock::Clock,
    config::Settings,
    control::Status,
    server::ListenAddress,
};
use tokio::sync::oneshot;

/// What every proxy of the rotation is told besides where its keys come from.
pub(crate) const SETTINGS: &str = r#"
[listen]
address = "127.0.0.1:0"
threads = 1
[telemetry]
address = "127.0.0.1:0"
[control]
address = "127.0.0.1:0"
[upstream]
bucket = "examplebucket-1250000000"
region = "ap-guangzhou"
endpoint = "http://{bucket}.cos.{region}.myqcloud.com"
service_endpoint = "http://service.cos.myqcloud.com"
"#;

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) view: View,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<ExitReason>,
}

impl House {
    pub(crate) async fn open(settings: Settings) -> Self {
        let mut app = App::bind(settings).unwrap();
        let address = match app.bound().data.first() {
            Some(ListenAddress::Tcp(address)) => *address,
            other => panic!("the data port is {other:?}"),
        };
        let watched = app.watch();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let running = app.run(Clock::system(), None, Told(Some(stopped)));
            runtime.unwrap().block_on(running).unwrap()
        });
        let view = View(Arc::new(watched.await.unwrap()));
        Self { address, view, stop, thread }
    }

    /// Drains; how the process would end.
    pub(crate) async fn close(self) -> ExitReason {
        drop(self.stop);
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap()
    }
}

/// Looks at a proxy.
#[derive(Clone)]
pub(crate) struct View(Arc<StatusReader>);

impl View {
    fn status(&self) -> Status {
        (self.0)()
    }

    /// Keys that became the current one, in all key sets.
    pub(crate) fn swaps(&self) -> u64 {
        self.status().keys.iter().map(|keys| keys.swaps).sum()
    }

    /// Waits until every key set has a key and its last attempt succeeded.
    pub(crate) async fn until_well(&self) {
        let well = || self.status().keys.iter().all(|k| k.usable && k.last_error.is_none());
        while !well() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Stops when its sender is dropped; never again after that.
struct Told(Option<oneshot::Receiver<()>>);

impl Stop for Told {
    async fn next(&mut self) {
        match self.0.take() {
            Some(stopped) => drop(stopped.await),
            None => std::future::pending().await,
        }
    }
}
