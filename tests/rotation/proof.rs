//! The proof for one source: its servers, its proxy, its clients and its troubles.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cos_auth_proxy::{app::ExitReason, emulator::Emulator, shutdown::Shutdown};

use crate::{
    client::Client,
    house::{House, SETTINGS},
    load::{Job, Tally, Worker},
    servers::Servers,
    sources::Source,
    trouble,
};

/// Seconds that each key lives: more than a trouble and the attempt it spoils take together.
const KEY_LIFE: u64 = 12;
/// How often a key is written where `file` and `exec` find it.
const ROTATION: Duration = Duration::from_millis(150);
/// The first key, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A new key 0.1 to 0.24 s after the one before; what failed is tried again within moments.
const REFRESH: &str = r#"
[shutdown]
grace = "60s"
[refresh]
from = 0.01
to = 0.02
floor = "100ms"
least_remaining_life = "2s"
connect_timeout = "500ms"
attempt_timeout = "1s"
transient_base = "50ms"
transient_cap_least = "50ms"
transient_cap_most = "200ms"
transient_cap_without_key = "100ms"
throttled_base = "50ms"
throttled_cap = "200ms"
throttled_cap_without_key = "100ms"
operator_pause = "200ms"
operator_pause_without_key = "100ms"
parent_pause_least = "50ms"
parent_pause_most = "200ms"
unchanged_poll = "100ms"
unchanged_poll_near_end = "50ms"
"#;

/// What goes wrong meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Troubles of the matrix, one after the other.
    Troubles,
    /// COS does not know the key in use any more, again and again. Uploads are held, so that they
    /// can be repeated, and nobody sends a HEAD, whose error names no cause.
    Revocations,
}

impl Meanwhile {
    fn jobs(self) -> &'static [Job] {
        match self {
            Self::Troubles => &[Job::Small, Job::Large, Job::SlowUp, Job::SlowDown],
            Self::Revocations => &[Job::Repeatable, Job::Repeatable, Job::Repeatable],
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Self::Troubles => "",
            Self::Revocations => "[limits]\nreplay_body_bytes = \"64KiB\"\n",
        }
    }
}

pub(crate) struct Proof {
    pub(crate) source: Source,
    pub(crate) tally: Arc<Tally>,
    house: House,
    troubles: Arc<AtomicU64>,
    /// Ends the troubles, and the workers once they are between two rounds.
    shutdown: Shutdown,
    /// The last answers need keys too.
    _servers: Arc<Servers>,
}

impl Proof {
    /// Opens the proxy, waits for its first key and lets everybody loose.
    pub(crate) async fn begin(
        source: Source,
        meanwhile: Meanwhile,
        emulator: &Emulator,
        seed: u64,
        parent: &Shutdown,
    ) -> Self {
        let shutdown = Shutdown::new();
        // https in front of one of them: it takes the processor most of its time.
        let tls = source == Source::AssumeRole;
        let servers = Servers::open(source, emulator.accounts(), KEY_LIFE, tls, parent).await;
        let text = format!(
            "{SETTINGS}connect_to = \"{}\"\n{}{REFRESH}{}",
            emulator.cos_address(),
            meanwhile.settings(),
            servers.place.key_set(source, "default")
        );
        let house = House::open(servers.place.load(source, &text).unwrap()).await;
        let ready = tokio::time::timeout(PATIENCE, house.view.until_well()).await;
        assert!(ready.is_ok(), "{source:?}: no first key");

        let mut dice = fastrand::Rng::with_seed(seed);
        let (tally, troubles) = (Arc::<Tally>::default(), Arc::default());
        for job in meanwhile.jobs() {
            let client = Client::new(house.address, parent);
            let worker = Worker::new(client, Arc::clone(&tally), dice.fork(), source.name());
            shutdown.spawn("worker", worker.work(*job));
        }
        let (count, ending) = (Arc::clone(&troubles), shutdown.clone());
        let servers = Arc::new(servers);
        if source.is_written_to() {
            parent.spawn("rotator", rotate(Arc::clone(&servers), parent.clone()));
        }
        let view = house.view.clone();
        match meanwhile {
            Meanwhile::Troubles => {
                let making = trouble::make(Arc::clone(&servers), view, dice, count, ending);
                shutdown.spawn("troubles", making);
            }
            Meanwhile::Revocations => {
                let revoking = trouble::revoke(source, emulator.clone(), view, dice, count);
                shutdown.spawn("revocations", async move {
                    tokio::select! {
                        () = revoking => {}
                        () = ending.begun() => {}
                    }
                });
            }
        }
        Self { source, tally, house, troubles, shutdown, _servers: servers }
    }

    pub(crate) fn swaps(&self) -> u64 {
        self.house.view.swaps()
    }

    /// No worker begins another round, no other trouble comes.
    pub(crate) fn stop(&self) {
        self.tally.stop();
        self.shutdown.begin();
    }

    /// Waits for the last answers and closes the proxy: a line about it, what failed, how it ended.
    pub(crate) async fn end(self) -> (String, Vec<String>, ExitReason) {
        let name = self.source.name();
        let all_ended = self.shutdown.finished(Duration::from_secs(120)).await;
        let mut failures = self.tally.failures();
        let summary = format!(
            "{name}: {} requests, {} swaps, {} troubles, {} failures",
            self.tally.requests(),
            self.house.view.swaps(),
            self.troubles.load(Ordering::Relaxed),
            failures.len(),
        );
        if !all_ended {
            failures.push(format!("{name}: a request hangs"));
        }
        (summary, failures, self.house.close().await)
    }
}

/// Writes a new key again and again, as a rotation on disk does.
async fn rotate(servers: Arc<Servers>, shutdown: Shutdown) {
    while tokio::time::timeout(ROTATION, shutdown.begun()).await.is_err() {
        servers.write_a_new_key();
    }
}
