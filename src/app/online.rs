//! `check --online`: one key and one HEAD of the bucket, through a house of its own.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    config::{self, Settings},
    credential::{self, Credential, KeySetSettings},
    proxy::{Operation, RouteSettings},
    transport::ListenAddress,
};

use super::{App, Stop};

/// The HEAD as a whole.
const PATIENCE: Duration = Duration::from_secs(15);

/// Gets one key of each key set that signs, opens the configured proxy on a free port and sends one HEAD of the bucket
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
    let mut said = String::new();
    let mut failed = false;
    let sets = settings.keys.iter().enumerate().filter(|(at, _)| config::signs(settings, *at));
    for (_, set) in sets {
        let line = match credential::once_of(&settings.keys, &set.name, &clock).await {
            Ok(key) => described(set, &key, &clock),
            Err(error) => {
                failed = true;
                format!("keys.{}: no key: {error}", set.name)
            }
        };
        said.push_str(if said.is_empty() { "" } else { "\n" });
        said.push_str(&line);
    }
    if failed {
        return Err(said);
    }
    let Some(bucket) = &settings.proxy.bucket else {
        said.push_str("\nno bucket is configured, so no HEAD was sent");
        return Ok(said);
    };
    let routes = &settings.proxy.routes;
    let may_head = |r: &RouteSettings| r.bucket == *bucket && r.allow.allows(Operation::HeadBucket);
    if !routes.is_empty() && !routes.iter().any(may_head) {
        said.push_str("\nno route allows HeadBucket, so no HEAD of the bucket was sent");
        return Ok(said);
    }
    let status = head_bucket(settings.clone(), clock)
        .await
        .map_err(|problem| format!("{said}\n{problem}"))?;
    Ok(format!("{said}\nHEAD of the bucket: {status}"))
}

fn described(set: &KeySetSettings, key: &Credential, clock: &Clock) -> String {
    let life = key.remaining(clock.now()).map(|life| Duration::from_secs(life.as_secs()));
    let valid = life.map_or("without a known end".to_owned(), |life| {
        format!("for another {}", humantime::format_duration(life))
    });
    let (name, id, kind) = (&set.name, key.id.short(), set.source.kind());
    let warning = life.and_then(credential::short_life);
    let warning = warning.map(|text| format!("\nwarning: {text}")).unwrap_or_default();
    format!("keys.{name}: key {id}… from {kind}, valid {valid}{warning}")
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
