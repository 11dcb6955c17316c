//! Sets up the logs once: JSON off a terminal, readable on one, always to standard error.
//!
//! A plain level is for our own lines; dependencies speak from `warn` on. Records of the `log`
//! crate are not taken.

use std::io::{self, IsTerminal};

use tracing::{Subscriber, level_filters::LevelFilter, subscriber};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    reload,
};

/// Target of the line per request.
pub const ACCESS_TARGET: &str = "cos_auth_proxy::access";

/// How lines look. `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `Human` when standard error is a terminal, otherwise `Json`.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Human,
}

/// Checked settings of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look. `log.format`
    pub format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or a list of `target=level`. `log.level`
    pub level: String,
    /// One line per request, on the target `cos_auth_proxy::access`. `log.access`
    pub access: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned(), access: false }
    }
}

/// Why the logs cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The text is not a level or a filter.
    #[error(
        "{text:?} is not a log level: use error, warn, info, debug, trace or off, or a list such \
         as info,cos_auth_proxy::credential=debug"
    )]
    BadLevel {
        /// The text.
        text: String,
    },
    /// Somebody set them up before.
    #[error("the logs are set up already")]
    AlreadySet,
}

/// Changes the level while the process runs.
#[derive(Debug, Clone)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    access: bool,
}

impl LogHandle {
    /// Sets the level, in the same form as [`LogSettings::level`]. The line per request stays on
    /// or off unless the text names its target.
    ///
    /// # Errors
    /// [`LogError::BadLevel`]; the old level stays.
    pub fn set_level(&self, text: &str) -> Result<(), LogError> {
        let filter = filter(text, self.access)?;
        // Fails only when the subscriber is gone, and then nobody logs.
        drop(self.filter.reload(filter));
        Ok(())
    }
}

/// Sets up the logs of the process. A standard error that is closed or broken loses lines and
/// nothing else.
///
/// # Errors
/// [`LogError`].
pub fn init(settings: &LogSettings) -> Result<LogHandle, LogError> {
    let terminal = io::stderr().is_terminal();
    let (subscriber, handle) = subscriber(settings, io::stderr, terminal)?;
    subscriber::set_global_default(subscriber).map_err(|_set| LogError::AlreadySet)?;
    Ok(handle)
}

/// Whether `text` would be taken as [`LogSettings::level`].
///
/// # Errors
/// [`LogError::BadLevel`].
pub fn check_level(text: &str) -> Result<(), LogError> {
    filter(text, false).map(drop)
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    terminal: bool,
) -> Result<(impl Subscriber + Send + Sync, LogHandle), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, reload) = reload::Layer::new(filter(&settings.level, settings.access)?);
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !terminal,
    };
    // `log_internal_errors` would print to the very stream that is broken, and panic there.
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(terminal)
        .with_span_events(FmtSpan::NONE)
        .log_internal_errors(false);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    let subscriber = Registry::default().with(filter).with(lines);
    Ok((subscriber, LogHandle { filter: reload, access: settings.access }))
}

fn filter(text: &str, access: bool) -> Result<Targets, LogError> {
    let bad = || LogError::BadLevel { text: text.to_owned() };
    let text = text.trim();
    if text.split(',').any(str::is_empty) {
        // It would parse as `error`.
        return Err(bad());
    }
    let mut directives = if let Ok(level) = text.parse::<LevelFilter>() {
        let others = level.min(LevelFilter::WARN);
        format!("{others},cos_auth_proxy={level}")
    } else if text.contains('=') {
        text.to_owned()
    } else {
        return Err(bad());
    };
    if !text.contains(ACCESS_TARGET) {
        let access = if access { "info" } else { "off" };
        directives.push_str(&format!(",{ACCESS_TARGET}={access}"));
    }
    directives.parse().map_err(|_reason| bad())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer whose lines a test reads.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    fn logging(settings: &LogSettings, body: impl FnOnce(&Lines, &LogHandle)) {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, handle) = subscriber(settings, move || writer.clone(), false).unwrap();
        subscriber::with_default(subscriber, || body(&lines, &handle));
    }

    #[test]
    fn off_a_terminal_a_line_is_one_json_object_with_its_fields_on_top() {
        logging(&LogSettings::default(), |lines, _| {
            tracing::info!(target: "cos_auth_proxy::credential", keys = "default", "swapped\nkeys");
            let text = lines.take();
            assert_eq!(text.lines().count(), 1, "{text}");
            let line: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(line["level"], "INFO");
            assert_eq!(line["message"], "swapped\nkeys");
            assert_eq!(line["keys"], "default");
            assert_eq!(line["target"], "cos_auth_proxy::credential");
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
        });
    }

    #[test]
    fn a_plain_level_is_for_our_lines_and_dependencies_speak_from_warn_on() {
        let settings = LogSettings { level: "debug".to_owned(), ..LogSettings::default() };
        logging(&settings, |lines, _| {
            tracing::debug!(target: "cos_auth_proxy::transport", "ours");
            tracing::info!(target: "hyper::proto", "theirs");
            tracing::warn!(target: "hyper::proto", "their warning");
            let text = lines.take();
            assert!(text.contains("ours") && text.contains("their warning"), "{text}");
            assert!(!text.contains("\"theirs\""), "{text}");
        });
    }

    #[test]
    fn access_lines_come_when_asked_for_and_at_no_level_otherwise() {
        for (level, access, expected) in [
            ("info", false, false),
            ("trace", false, false),
            ("warn", true, true),
            ("off", true, true),
            ("info,cos_auth_proxy::access=info", false, true),
        ] {
            let level = level.to_owned();
            let settings = LogSettings { format: LogFormat::Json, level, access };
            logging(&settings, |lines, _| {
                tracing::info!(target: "cos_auth_proxy::access", status = 200);
                assert_eq!(!lines.take().is_empty(), expected, "{settings:?}");
            });
        }
    }

    #[test]
    fn the_level_changes_while_running_and_a_bad_one_changes_nothing() {
        logging(&LogSettings::default(), |lines, handle| {
            let speak = || tracing::debug!(target: "cos_auth_proxy::app", "details");
            speak();
            assert_eq!(lines.take(), "");
            handle.set_level(" debug\n").unwrap();
            speak();
            assert!(lines.take().contains("details"));
            for bad in ["", "loud", "info,", "cos_auth_proxy=loud", "a=b=c"] {
                assert!(handle.set_level(bad).is_err(), "{bad:?}");
            }
            speak();
            assert!(lines.take().contains("details"));
            handle.set_level("error").unwrap();
            speak();
            assert_eq!(lines.take(), "");
        });
    }

    #[test]
    fn a_broken_stream_loses_lines_and_nothing_else() {
        struct Broken;
        impl io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let (subscriber, _handle) = subscriber(&LogSettings::default(), || Broken, false).unwrap();
        subscriber::with_default(subscriber, || {
            tracing::error!(target: "cos_auth_proxy::app", "nobody reads this");
        });
    }
}
