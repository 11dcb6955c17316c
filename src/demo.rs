//! The demo: an embedded COS and STS on loopback, and the proxy in front of them with keys that
//! live a minute. Also the stand-in alone, for trying a proxy of one's own against it.

mod screen;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use crate::{
    app::{self, App, ExitReason, Stop},
    clock::Clock,
    config::{self, FlagText, Inputs, Settings},
    credential::{Endpoint, RefreshSettings, SourceSettings},
    emulator::{self, Emulator, EmulatorSettings, accounts::Account},
    log,
    shutdown::Shutdown,
};

/// The demo's only account. It exists in the embedded STS and nowhere else.
const SECRET_ID: &str = "AKIDdemodemodemodemodemodemodemodemo";
const SECRET_KEY: &str = "demodemodemodemodemodemodemodemo";
const BUCKET: &str = "examplebucket-1250000000";
const REGION: &str = "ap-guangzhou";
/// Time for transfers under way at the end.
const GRACE: Duration = Duration::from_millis(500);
const USUAL_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// What the demo is told.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// A folder whose files are served.
    pub seed: Option<PathBuf>,
    /// Where clients connect; telemetry and control take the two ports above it.
    pub listen: Option<SocketAddr>,
    /// Life of each key.
    pub key_life: Duration,
    /// Only the embedded COS and STS; says where they are as one line of JSON.
    pub stand_in: bool,
}

/// Why the demo does not begin.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Emulator(#[from] emulator::StartError),
    #[error(transparent)]
    App(#[from] app::StartError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    #[error("the demo's own settings are wrong: {0}")]
    Settings(#[from] config::Problems),
}

/// Runs the demo until Ctrl-C.
#[must_use]
pub fn run(options: DemoOptions) -> ExitReason {
    let result = if options.stand_in { stand_in(options) } else { with_proxy(&options) };
    result.unwrap_or_else(|error| {
        drop(writeln!(io::stderr(), "cos-auth-proxy demo: {error}"));
        match error {
            DemoError::Emulator(emulator::StartError::Seed { .. }) => ExitReason::Configuration,
            DemoError::App(
                app::StartError::Data(_)
                | app::StartError::Telemetry { .. }
                | app::StartError::Control(_)
                | app::StartError::KeyEndpoint(_),
            )
            | DemoError::Emulator(_) => ExitReason::CannotBind,
            DemoError::App(_) | DemoError::Thread(_) | DemoError::Settings(_) => ExitReason::Bug,
        }
    })
}

fn with_proxy(options: &DemoOptions) -> Result<ExitReason, DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let elsewhere = Elsewhere::start(options.clone())?;
    let settings = settings(options, &elsewhere.emulator)?;
    // The screen is for people; only what goes wrong interrupts it.
    let log =
        log::init(&log::LogSettings { level: "warn".to_owned(), ..settings.log.clone() }).ok();
    let ended = runtime.block_on(async {
        let mut app = App::bind(settings)?;
        let status = app.watch();
        let screen = screen::Screen::new(app.bound(), elsewhere.emulator.clone(), BUCKET, REGION);
        let shutdown = Shutdown::new();
        shutdown.spawn("screen", screen.show(status, shutdown.clone()));
        let ended = app.run(Clock::system(), log, app::until_signalled()).await;
        shutdown.begin();
        shutdown.finished(Duration::from_secs(1)).await;
        ended
    })?;
    elsewhere.end();
    // Whoever ends a demo does not want to wait for its transfers, nor hear that they were cut.
    Ok(if ended == ExitReason::DrainDeadline { ExitReason::Clean } else { ended })
}

fn stand_in(options: DemoOptions) -> Result<ExitReason, DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let elsewhere = Elsewhere::start(options)?;
    let emulator = &elsewhere.emulator;
    let said = serde_json::json!({
        "cos": emulator.cos_address().to_string(),
        "sts": format!("http://{}", emulator.sts_address()),
        "key_server": format!("http://{}/sts", emulator.key_server_address()),
        "bucket": BUCKET,
        "region": REGION,
        "secret_id": SECRET_ID,
        "secret_key": SECRET_KEY,
    });
    drop(writeln!(io::stdout(), "{said}"));
    runtime.block_on(app::until_signalled().next());
    elsewhere.end();
    Ok(ExitReason::Clean)
}

/// The emulator on a thread of its own, so that it does not slow the proxy's control thread.
struct Elsewhere {
    emulator: Emulator,
    shutdown: Shutdown,
    thread: std::thread::JoinHandle<()>,
}

impl Elsewhere {
    fn start(options: DemoOptions) -> Result<Self, DemoError> {
        let shutdown = Shutdown::new();
        let (told, tells) = std::sync::mpsc::sync_channel(1);
        let ending = shutdown.clone();
        let thread = std::thread::Builder::new().name("emulator".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(problem) => return drop(told.send(Err(problem.into()))),
            };
            runtime.block_on(async move {
                let started = start_emulator(options, &ending).await;
                let failed = started.is_err();
                drop(told.send(started));
                if !failed {
                    ending.begun().await;
                    ending.finished(Duration::from_secs(1)).await;
                }
            });
        })?;
        let gone = || io::Error::other("the emulator's thread ended");
        let emulator = tells.recv().map_err(|_ended| gone())??;
        Ok(Self { emulator, shutdown, thread })
    }

    fn end(self) {
        self.shutdown.begin();
        drop(self.thread.join());
    }
}

async fn start_emulator(options: DemoOptions, shutdown: &Shutdown) -> Result<Emulator, DemoError> {
    let settings = EmulatorSettings {
        buckets: vec![BUCKET.to_owned()],
        region: REGION.to_owned(),
        seed: options.seed,
        ..EmulatorSettings::default()
    };
    let emulator = Emulator::start(settings, Clock::system(), shutdown).await?;
    emulator.accounts().add_account(Account::example(SECRET_ID, SECRET_KEY));
    emulator.accounts().set_key_life(Some(options.key_life.as_secs().max(1)));
    Ok(emulator)
}

/// What a user would configure, aimed at the emulator.
fn settings(options: &DemoOptions, emulator: &Emulator) -> Result<Settings, DemoError> {
    let listen = options.listen.unwrap_or(USUAL_LISTEN);
    let beside = |n: u16| match listen.port() {
        0 => SocketAddr::new(listen.ip(), 0),
        port => SocketAddr::new(listen.ip(), port.wrapping_add(n)),
    };
    let flag = |path: &str, text: String| FlagText {
        path: path.to_owned(),
        text,
        spelling: format!("--{path}"),
    };
    let environment = BTreeMap::from([
        ("TENCENTCLOUD_SECRET_ID".to_owned(), SECRET_ID.to_owned()),
        ("TENCENTCLOUD_SECRET_KEY".to_owned(), SECRET_KEY.to_owned()),
    ]);
    let flags = vec![
        flag("upstream.bucket", BUCKET.to_owned()),
        flag("upstream.region", REGION.to_owned()),
        flag("upstream.endpoint", "http://{bucket}.cos.{region}.myqcloud.com".to_owned()),
        flag("upstream.service_endpoint", "http://service.cos.myqcloud.com".to_owned()),
        flag("upstream.connect_to", emulator.cos_address().to_string()),
        flag("listen.address", listen.to_string()),
        flag("telemetry.address", beside(1).to_string()),
        flag("control.address", beside(2).to_string()),
    ];
    let mut settings = config::load(&Inputs { file: None, flags, environment: &environment })?;
    settings.shutdown_grace = GRACE;
    for set in &mut settings.keys {
        set.refresh = RefreshSettings::for_keys_living(options.key_life);
        if let SourceSettings::FederationToken(source) = &mut set.source
            && let Ok(endpoint) = Endpoint::new(&format!("http://{}", emulator.sts_address()))
        {
            source.sts.endpoint = endpoint;
        }
    }
    Ok(settings)
}
