//! Runs one cell: a key set that holds a key when the trouble comes, and one that starts in it.

use std::{sync::Arc, time::Duration};

use cos_auth_proxy::{
    credential::{KeyReader, NoKey, RetryClass},
    emulator::accounts::KnownKey,
};

use crate::{
    log::{Line, Log},
    signs::signs,
    sources::Source,
    table::{Expected, Phases, Run, Trouble},
    world::{KEY_LIFE, World},
};

/// No step of a cell may take longer: a hang is a failure that says where.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a request waits for a key in the tests.
const WAIT: Duration = Duration::from_millis(10);
/// Failures in a row to be seen before the trouble ends: the source keeps asking.
const FAILURES: u64 = 2;

/// One cell under way.
pub(crate) struct Case {
    source: Source,
    trouble: Trouble,
    run: Run,
    world: World,
    log: Log,
    /// Keys that were held, to look for in the log.
    held: Vec<String>,
}

/// Runs one cell to its end; panics where it does not go as the table says.
pub(crate) async fn run(source: Source, trouble: Trouble, run: Run, log: Log) {
    let world = World::open(source, run.harm).await;
    let mut case = Case { source, trouble, run, world, log, held: Vec::new() };
    if run.phases != Phases::First {
        case.with_a_key().await;
    }
    if run.phases != Phases::Held {
        case.without_a_key().await;
    }
    case.nothing_leaked();
    case.world.close().await;
}

impl Case {
    /// The key that is held stays and signs; afterwards the next one comes.
    async fn with_a_key(&mut self) {
        let set = self.set("warm");
        let (reader, _handle) = self.world.start(&set, self.world.prepare(&set));
        let first = reader.wait(PATIENCE).await;
        self.note(&first.unwrap_or_else(|fault| panic!("{set}: no key at first: {fault}")).id);
        self.world.harm().await;
        self.until(&set, "no failure", || self.failures(&reader) >= 1).await;
        let clock = self.world.clock.clone();
        let good = reader.current(clock.now()).unwrap_or_else(|fault| panic!("{set}: {fault}"));
        self.note(&good.id);
        let swaps = reader.status(clock.now()).swaps;
        let seen = self.failures(&reader);
        self.until(&set, "it stopped asking", || self.failures(&reader) >= seen + FAILURES).await;

        let still = reader.current(clock.now()).unwrap_or_else(|fault| panic!("{set}: {fault}"));
        assert!(Arc::ptr_eq(&good, &still), "{set}: the good key was touched");
        let signed = signs(&still, &self.world.accounts, &clock);
        assert_eq!(signed, Ok(()), "{set}: the good key does not sign");
        let status = reader.status(clock.now());
        assert!(status.usable && status.next_refresh_at.is_some(), "{set}: {status:?}");
        assert_eq!(status.swaps, swaps, "{set}: a swap in the trouble");
        self.check_text(&set, status.last_error.as_deref().unwrap_or_default());
        self.check_reason_at_the_end(&set, &reader);
        self.check_lines(&set, tracing::Level::WARN);
        self.check_metrics(&set, &reader, true);

        self.world.mend().await;
        let before = self.successes(&reader);
        self.until(&set, "no recovery", || self.successes(&reader) > before).await;
        if self.source.has_another_key_after_a_trouble() {
            assert!(reader.status(clock.now()).swaps > swaps, "{set}: the new key is not used");
        }
        self.recovered(&set, &reader);
    }

    /// Those who wait are told why; afterwards the first key comes.
    async fn without_a_key(&mut self) {
        let set = self.set("cold");
        let prepared = self.world.prepare(&set);
        self.world.harm().await;
        let (reader, _handle) = self.world.start(&set, prepared);
        self.until(&set, "no failure", || self.failures(&reader) >= FAILURES).await;
        match reader.wait(WAIT).await {
            Err(NoKey::NotYet { reason }) => self.check_text(&set, &reason),
            other => panic!("{set}: those who wait are told {other:?}"),
        }
        self.check_lines(&set, tracing::Level::ERROR);
        self.check_metrics(&set, &reader, false);
        self.world.mend().await;
        let key = reader.wait(PATIENCE).await;
        self.note(&key.unwrap_or_else(|fault| panic!("{set}: no recovery: {fault}")).id);
        self.recovered(&set, &reader);
    }

    /// The key that is held is said to be over: that is told with what stopped the next one.
    fn check_reason_at_the_end(&self, set: &str, reader: &KeyReader) {
        let after_its_end = self.world.clock.now() + Duration::from_secs(2 * KEY_LIFE);
        match reader.current(after_its_end) {
            Ok(key) => assert!(key.expires_at.is_none(), "{set}: used after its end"),
            Err(NoKey::Expired { reason, .. }) => self.check_text(set, &reason),
            Err(NoKey::NotYet { reason }) => panic!("{set}: after its end not yet: {reason}"),
        }
    }

    /// What is said about the trouble: what and where, nothing secret.
    fn check_text(&self, set: &str, text: &str) {
        for word in self.run.says {
            let said = word.split('|').any(|word| text.contains(word));
            assert!(said, "{set}: no {word:?} in {text:?}");
        }
        if self.run.outcome == Expected::Failed {
            let place = self.world.place_of_trouble();
            assert!(text.contains(&place), "{set}: it does not say where ({place}): {text}");
        }
    }

    /// Every line since the first failure: what, where, why, how it is retried and when.
    fn check_lines(&self, set: &str, level: tracing::Level) {
        let lines = self.log.of_keys(set, 0);
        let troubled: Vec<&Line> =
            lines.iter().filter(|line| !line.field("error").is_empty()).collect();
        assert!(!troubled.is_empty(), "{set}: nothing in the log");
        for line in troubled {
            assert_eq!(line.level, level, "{set}: {line:?}");
            assert_eq!(line.field("source"), self.source.kind(), "{set}: {line:?}");
            assert_eq!(line.field("retry"), self.run.class.label(), "{set}: {line:?}");
            self.check_text(set, line.field("error"));
            assert!(line.field("next_refresh_at").contains('T'), "{set}: no next try: {line:?}");
            assert!(!line.field("failures").is_empty(), "{set}: {line:?}");
        }
    }

    fn check_metrics(&self, set: &str, reader: &KeyReader, usable: bool) {
        let outcome = match self.run.outcome {
            Expected::Failed => "failed",
            Expected::Refused => "refused",
        };
        let classes = RetryClass::ALL.map(RetryClass::label);
        let page = self.world.registry.encode();
        // An attempt that is just ending is counted in one place after the other.
        let most = self.failures(reader) + 1;
        let check = |series: &str, label: &str, values: &[&str], right: &str| {
            for value in values {
                let series = format!("{series}{{keys=\"{set}\",{label}=\"{value}\"}}");
                let count = sample(&page, &series);
                let fits = match count {
                    Some(count) => *value == right && (1..=most).contains(&count),
                    None => *value != right,
                };
                assert!(fits, "{set}: {series} is {count:?}, at most {most}\n{page}");
            }
        };
        check("key_refreshes_total", "outcome", &["failed", "refused"], outcome);
        check("key_refresh_failures_total", "class", &classes, self.run.class.label());
        let gauge = sample(&page, &format!("key_usable{{keys=\"{set}\"}}"));
        assert_eq!(gauge, Some(u64::from(usable)), "{set}");
    }

    fn recovered(&mut self, set: &str, reader: &KeyReader) {
        let now = self.world.clock.now();
        let key = reader.current(now).unwrap_or_else(|fault| panic!("{set}: {fault}"));
        self.note(&key.id);
        let signed = signs(&key, &self.world.accounts, &self.world.clock);
        assert_eq!(signed, Ok(()), "{set}: the new key does not sign");
        assert!(reader.health(now).usable, "{set}");
    }

    /// Nothing that could be used to sign is in any log line or on the page of metrics.
    fn nothing_leaked(&self) {
        let page = self.world.registry.encode();
        for id in &self.held {
            let Some(KnownKey::Temporary(key)) = self.world.accounts.find(id) else { continue };
            for secret in [&key.secret_key, &key.token] {
                assert!(
                    !self.log.holds(secret),
                    "{:?} {:?}: in the log",
                    self.source,
                    self.trouble
                );
                assert!(!page.contains(secret.as_str()));
            }
        }
    }

    fn set(&self, phase: &str) -> String {
        format!("{}-{:?}-{phase}", self.source.name(), self.trouble).to_lowercase()
    }

    fn note(&mut self, id: &cos_auth_proxy::secret::SecretId) {
        self.held.push(id.as_str().to_owned());
    }

    /// Attempts that ended as the table says.
    fn failures(&self, reader: &KeyReader) -> u64 {
        let counts = reader.status(self.world.clock.now()).refreshes;
        match self.run.outcome {
            Expected::Failed => counts.failed,
            Expected::Refused => counts.refused,
        }
    }

    /// Attempts that ended with a key, a new one or, where the source has none yet, the same.
    fn successes(&self, reader: &KeyReader) -> u64 {
        let counts = reader.status(self.world.clock.now()).refreshes;
        counts.swapped + counts.unchanged
    }

    async fn until(&self, set: &str, otherwise: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("{set}: {otherwise} in {PATIENCE:?}; the log: {:#?}", self.log.of_keys(set, 0));
        }
    }
}

/// The whole number behind a series of this product.
fn sample(page: &str, series: &str) -> Option<u64> {
    let series = format!("cos_auth_proxy_{series} ");
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
}
