//! The series of the keys, as a scrape sees them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cos_auth_proxy::{
    clock::Clock,
    credential::{KeyMetrics, KeyReader, RefreshSettings, Refresher, RefresherHandle},
    metrics::Registry,
    shutdown::Shutdown,
    telemetry::{Health, Telemetry},
};

use crate::{keys::Scripted, running::Running};

fn start(
    name: &str,
    works: bool,
    metrics: &KeyMetrics,
    shutdown: &Shutdown,
) -> (KeyReader, RefresherHandle) {
    let (refresher, reader, handle) = Refresher::new(
        name,
        Scripted::boxed(works),
        RefreshSettings::default(),
        Clock::system(),
        metrics.clone(),
        fastrand::Rng::with_seed(1),
    );
    shutdown.spawn("key refresher", refresher.run(shutdown.clone()));
    (reader, handle)
}

/// Sample values by name and labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let name = name.strip_prefix("cos_auth_proxy_")?;
        Some((name.replace('"', ""), value.parse().ok()?))
    };
    page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

#[tokio::test]
async fn a_scrape_tells_how_each_key_set_is_doing() {
    let mut registry = Registry::new("1.2.3", 0);
    let metrics = KeyMetrics::register(registry.room());
    let shutdown = Shutdown::new();
    let (reader, good) = start("good", true, &metrics, &shutdown);
    let (_, bad) = start("bad", false, &metrics, &shutdown);
    let health = Health::new(Clock::system(), vec![reader], Arc::default());
    let telemetry = Telemetry::new(registry, health);
    let service = Running::start(move |listener, end| telemetry.serve(listener, end));

    let status = good.refresh_now().await.unwrap();
    bad.refresh_now().await.unwrap_err();
    let told = bad.status();
    let shown = samples(&service.get("/metrics").body);
    shutdown.begin();
    assert!(shutdown.finished(Duration::from_secs(20)).await);

    let is = |name: &str, expected: f64| {
        let found = shown.get(name).unwrap_or_else(|| panic!("no {name} in {shown:#?}"));
        assert!((found - expected).abs() < 1.0, "{name} is {found}, not {expected}");
    };
    #[expect(clippy::cast_precision_loss, reason = "instants of this century")]
    let seconds = |at: Option<cos_auth_proxy::clock::Timestamp>| at.unwrap().unix_seconds() as f64;
    is("key_usable{keys=good}", 1.0);
    is("key_usable{keys=bad}", 0.0);
    is("key_expiry_timestamp_seconds{keys=good}", seconds(status.expires_at));
    is("key_received_timestamp_seconds{keys=good}", seconds(status.received_at));
    is("key_next_refresh_timestamp_seconds{keys=good}", seconds(status.next_refresh_at));
    is("key_next_refresh_timestamp_seconds{keys=bad}", seconds(told.next_refresh_at));
    is("key_last_success_timestamp_seconds{keys=good}", seconds(status.last_success_at));
    is("key_refreshes_total{keys=good,outcome=swapped}", 2.0);
    is("key_swaps_total{keys=good}", 2.0);
    is("key_refresh_duration_seconds_count{keys=good}", 2.0);
    is("key_forced_refreshes_total{keys=good}", 1.0);
    is("key_forced_refreshes_total{keys=bad}", 1.0);
    for absent in
        ["key_expiry_timestamp_seconds{keys=bad}", "key_received_timestamp_seconds{keys=bad}"]
    {
        assert!(!shown.contains_key(absent), "{absent}");
    }
    // The first try's retry may have come in between.
    let failures = shown["key_refresh_failures_total{keys=bad,class=transient}"];
    assert!(failures >= 2.0, "{failures}");
    assert!((failures - shown["key_refreshes_total{keys=bad,outcome=failed}"]).abs() < 0.5);
    assert_eq!(told.last_error_class, Some("transient"));
    assert!(told.failures >= 2 && told.last_error_at.is_some());
}
