//! `docs/METRICS.md` is what `/metrics` really prints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        Endpoint, FederationTokenSettings, KeyMetrics, KeyReader, KeySetSettings, Narrowing,
        ParentKey, Permission, RefreshSettings, Refresher, RetryClass, SourceSettings, StsSettings,
        bucket_policy,
    },
    key_endpoint::{HandedOut, KeyEndpoint, KeyEndpointMetrics, KeyEndpointSettings, Shape},
    metrics::{Ended, Labels, Meters, Origin, Registry},
    secret::{SecretId, SecretKey},
    shutdown::Shutdown,
};

use crate::{
    keys::{SECRET, Scripted, TOKEN, key},
    running::Running,
};

const LABELS: Labels =
    Labels { operations: &["GetObject"], methods: &["GET"], reasons: &["no-key"] };

/// Type, label names and label values of one family.
#[derive(Debug, Default, PartialEq, Eq)]
struct Series {
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Series {
    fn label_names(&self) -> BTreeSet<&str> {
        self.labels.keys().map(String::as_str).collect()
    }
}

/// A scrape of a process in which everything has happened that makes a series.
async fn scrape() -> String {
    let mut registry = Registry::new("1.2.3", 1_700_000_000);
    let meters = Meters::new(LABELS, 1);
    registry.room().register_collector(Box::new(std::sync::Arc::clone(&meters)));
    for origin in [Origin::Upstream, Origin::Proxy, Origin::ClientGone] {
        for status in [0, 100, 200, 300, 400, 500] {
            meters.meter(0).request_ended(&Ended {
                operation: 0,
                method: 0,
                status,
                origin,
                duration: Duration::ZERO,
                first_byte: None,
            });
        }
    }
    let metrics = KeyMetrics::register(registry.room());
    let shutdown = Shutdown::new();
    let start = |name: &str, works: bool| {
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
    };
    let (reader, handle) = start("default", true);
    let (_, failing) = start("failing", false);
    handle.refresh_now().await.unwrap();
    failing.refresh_now().await.unwrap_err();
    ask_for_keys(&mut registry, &metrics, &reader).await;
    let held = reader.wait(Duration::from_secs(20)).await.unwrap();
    reader.report_rejected(&held, "InvalidAccessKeyId");
    reader.report_rejected(&key("AKIDother", None), "SomethingNew");
    shutdown.begin();
    assert!(shutdown.finished(Duration::from_secs(20)).await);
    registry.encode()
}

/// A request to the key endpoint, and one for a narrowed key, which nobody gives.
async fn ask_for_keys(registry: &mut Registry, metrics: &KeyMetrics, keys: &KeyReader) {
    let parent = ParentKey::new(
        SecretId::new("AKIDparent").unwrap(),
        SecretKey::new("secret-of-the-parent").unwrap(),
        None,
    );
    let source = SourceSettings::FederationToken(FederationTokenSettings {
        sts: StsSettings {
            endpoint: Endpoint::new("http://127.0.0.1:1").unwrap(),
            ..StsSettings::default()
        },
        parent,
        session_name: "test".to_owned(),
        policy: bucket_policy("ap-guangzhou", "b-1250000000"),
        duration: Duration::from_secs(7200),
    });
    let settings = KeySetSettings::new("default", source);
    let narrowing = Narrowing::new(settings, None, Clock::system(), metrics.clone());
    let wanted = Permission {
        action: "name/cos:GetObject".to_owned(),
        resource: "qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/a".to_owned(),
    };
    narrowing.key(&[wanted]).await.unwrap_err();
    let settings = KeyEndpointSettings {
        address: Vec::new(),
        socket_mode: 0o600,
        shapes: vec![Shape::Sts],
        keys: vec!["default".to_owned()],
        bearer_token_file: None,
        margin: Duration::from_secs(60),
        wait: Duration::from_secs(3),
    };
    let counted = KeyEndpointMetrics::register(registry.room());
    let sets = vec![HandedOut { keys: keys.clone(), narrowing }];
    let endpoint = KeyEndpoint::new(&settings, sets, Clock::system(), counted);
    let service = Running::start(move |listener, end| endpoint.serve(listener, end));
    assert_eq!(service.get("/sts").status, 421, "its Host is another's");
}

fn families(text: &str) -> BTreeMap<String, Series> {
    let mut families = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            let series = Series { kind: kind.to_owned(), ..Series::default() };
            assert!(families.insert(name.clone(), series).is_none(), "{name} is there twice");
            current = Some(name);
        } else if !line.starts_with('#') {
            let name = current.as_ref().expect("a sample follows its type");
            assert!(line.starts_with(name.as_str()), "{line} under {name}");
            let Some((_, labels)) = line.split_once('{') else { continue };
            let (labels, _) = labels.rsplit_once('}').unwrap();
            for label in labels.split(',') {
                let (label, value) = label.split_once('=').unwrap();
                if label != "le" {
                    let family: &mut Series = families.get_mut(name).unwrap();
                    let values = family.labels.entry(label.to_owned()).or_default();
                    values.insert(value.trim_matches('"').to_owned());
                }
            }
        }
    }
    families
}

/// Cells of the table whose head starts with `head`.
fn table(page: &str, head: &str) -> Vec<Vec<String>> {
    page.lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// What stands in backquotes.
fn quoted(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[tokio::test]
async fn the_page_lists_every_series_with_its_type_and_labels() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let page = fs::read_to_string(page).unwrap();
    let text = scrape().await;
    let mut families = families(&text);
    for row in table(&page, "| series |") {
        let [name, kind, labels, _] = row.as_slice() else { panic!("four cells: {row:?}") };
        let name = name.trim_matches('`');
        let Some(series) = families.remove(name) else {
            let elsewhere = name.starts_with("process_") && !cfg!(target_os = "linux");
            assert!(elsewhere || name == "process_max_fds", "{name} does not exist\n{text}");
            continue;
        };
        assert_eq!(*kind, series.kind, "type of {name}");
        assert_eq!(quoted(labels), series.label_names(), "labels of {name}");
    }
    assert!(families.is_empty(), "not on the page: {families:#?}");
}

#[tokio::test]
async fn the_page_lists_the_values_of_labels() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let page = fs::read_to_string(page).unwrap();
    let families = families(&scrape().await);
    let rows = table(&page, "| label |");
    let listed = |label: &str| {
        let row = rows.iter().find(|row| row[0] == label);
        quoted(&row.unwrap_or_else(|| panic!("no row for {label}"))[1])
    };
    for (name, label) in [
        ("requests_total", "status_class"),
        ("requests_total", "origin"),
        ("upstream_errors_total", "kind"),
        ("upstream_connections", "state"),
    ] {
        let values = &families[&format!("cos_auth_proxy_{name}")].labels[label];
        let values: BTreeSet<_> = values.iter().map(String::as_str).collect();
        assert_eq!(listed(&format!("`{label}`")), values, "{label}");
    }
    let retries = &families["cos_auth_proxy_upstream_retries_total"].labels["reason"];
    let retries: BTreeSet<_> = retries.iter().map(String::as_str).collect();
    assert_eq!(listed("`reason` of `upstream_retries`"), retries);
    let classes = RetryClass::ALL.map(RetryClass::label);
    assert_eq!(listed("`class`"), BTreeSet::from(classes));
    let outcomes = BTreeSet::from(KeyEndpointMetrics::OUTCOMES);
    assert_eq!(listed("`outcome` of `key_endpoint_requests`"), outcomes);
    let shapes = Shape::ALL.map(Shape::name).into_iter().chain(["none"]);
    assert_eq!(listed("`shape`"), shapes.collect());
    for family in families.values() {
        for label in family.label_names() {
            assert!(rows.iter().any(|row| row[0].starts_with(&format!("`{label}`"))), "{label}");
        }
    }
}

#[tokio::test]
async fn no_series_holds_a_secret() {
    let text = scrape().await;
    for secret in [SECRET, TOKEN, "AKIDscripted", "AKIDother", "of-the-parent"] {
        assert!(!text.contains(secret), "{text}");
    }
}
