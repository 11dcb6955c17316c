//! Sets up the logs once: JSON off a terminal, readable on one, always to standard error.

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
