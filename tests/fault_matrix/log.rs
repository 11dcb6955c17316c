//! What the process logs while the matrix runs: each line by the key set it is about, and the whole
//! text to look for secrets in.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, OnceLock},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::Context, layer::SubscriberExt, registry::LookupSpan,
};

/// Where the log of the credential room goes.
const TARGET: &str = "cos_auth_proxy::keys";

/// One line about keys.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: tracing::Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Line {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// All lines so far. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    of_keys: BTreeMap<String, Vec<Line>>,
    /// Every field of every event of every crate.
    text: String,
}

impl Log {
    /// The log of this process, which is written from now on.
    pub(crate) fn of_process() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let layer = Keeper(log.clone()).with_filter(LevelFilter::DEBUG);
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log
        })
        .clone()
    }

    /// What was said about a key set after its first `skipped` lines.
    pub(crate) fn of_keys(&self, set: &str, skipped: usize) -> Vec<Line> {
        let pages = self.0.lock().unwrap();
        let lines = pages.of_keys.get(set).map_or(&[][..], Vec::as_slice);
        lines.get(skipped..).unwrap_or_default().to_vec()
    }

    /// Whether any line of any crate, of level debug or above, holds `text`.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.0.lock().unwrap().text.contains(text)
    }
}

struct Keeper(Log);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        let mut pages = self.0.0.lock().unwrap();
        for value in seen.0.values() {
            pages.text.push_str(value);
            pages.text.push('\n');
        }
        if event.metadata().target() == TARGET
            && let Some(keys) = seen.0.get("keys").cloned()
        {
            let line = Line { level: *event.metadata().level(), fields: seen.0 };
            pages.of_keys.entry(keys).or_default().push(line);
        }
    }
}

#[derive(Default)]
struct Seen(BTreeMap<&'static str, String>);

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.0.insert(field.name(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
