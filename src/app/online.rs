//! `check --online`: one key and one HEAD of the bucket, through a house of its own.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::{clock::Clock, config::Settings, credential, transport::ListenAddress};

use super::{App, Stop};

/// The HEAD as a whole.
const PATIENCE: Duration = Duration::from_secs(15);

/// Gets one key, opens the configured proxy on a free port and sends one HEAD of the bucket
/// through it. Changes nothing and disturbs no running proxy.
///
/// # Errors
/// What failed and what to do.
pub fn check_online(settings: &Settings) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|problem| format!("cannot start: {problem}"))?;
    runtime.block_on(check(settings))
}

async fn check(settings: &Settings) -> Result<String, String> {
    let clock = Clock::system();
    let set = settings.keys.first().ok_or("no key set is configured")?;
    let key = credential::once_of(&settings.keys, &set.name, &clock).await;
    let key = key.map_err(|error| format!("no key: {error}"))?;
    let life = key.remaining(clock.now()).map(|life| Duration::from_secs(life.as_secs()));
    let valid = life.map_or("without a known end".to_owned(), |life| {
        format!("for another {}", humantime::format_duration(life))
    });
    let mut said = format!("key {}… from {}, valid {valid}", key.id.short(), set.source.kind());
    drop(key);
    if let Some(warning) = life.and_then(credential::short_life) {
        said.push_str(&format!("\nwarning: {warning}"));
    }
    if settings.proxy.bucket.is_none() {
        said.push_str("\nno bucket is configured, so no HEAD was sent");
        return Ok(said);
    }
    let status = head_bucket(settings.clone(), clock)
        .await
        .map_err(|problem| format!("{said}\n{problem}"))?;
    Ok(format!("{said}\nHEAD of the bucket: {status}"))
}

async fn head_bucket(mut settings: Settings, clock: Clock) -> Result<String, String> {
    settings.transport.listen = vec![ListenAddress::Tcp(([127, 0, 0, 1], 0).into())];
    settings.transport.threads = 1;
    settings.telemetry.address.clear();
    settings.control.address.clear();
    settings.key_endpoint.address.clear();
    let app = App::bind(settings).map_err(|error| error.to_string())?;
    let Some(ListenAddress::Tcp(address)) = app.bound().data.first().cloned() else {
        return Err("no free port on 127.0.0.1".to_owned());
    };
    let (stop, stopped) = oneshot::channel();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(|problem| problem.to_string())?;
    let asking = async {
        let answer = client.head(format!("http://{address}/")).send().await;
        drop(stop);
        answer
    };
    let (ended, answer) = tokio::join!(app.run(clock, None, Once(Some(stopped))), asking);
    ended.map_err(|error| error.to_string())?;
    let answer = answer.map_err(|problem| format!("the HEAD of the bucket failed: {problem}"))?;
    let reason =
        answer.headers().get("x-cos-auth-proxy-error").and_then(|value| value.to_str().ok());
    match (answer.status(), reason) {
        (status, None) if status.is_success() => Ok(status.to_string()),
        (status, Some(reason)) => Err(format!(
            "HEAD of the bucket: {status}, answered by the proxy ({reason}): look the reason up in docs/ERRORS.md"
        )),
        (status, None) => Err(format!(
            "HEAD of the bucket: {status} from COS; 403: the key may not do that, 404: no such bucket in this region"
        )),
    }
}

/// Stops when its sender is dropped.
struct Once(Option<oneshot::Receiver<()>>);

impl Stop for Once {
    async fn next(&mut self) {
        match self.0.take() {
            Some(stopped) => drop(stopped.await),
            None => std::future::pending().await,
        }
    }
}
