//! The gateway's own log: to standard error, as text or JSON. Metrics are in `metrics`.
//!
//! The environment variable `SYMGATE_LOG`, else `RUST_LOG`, takes the place of the configured filter.

use std::{env, io};

use tracing_subscriber::{EnvFilter, fmt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log filter {filter:?} from {origin}: {reason}; write a level or target=level, such as \"symgate=debug\"")]
    Filter {
        /// The filter.
        filter: String,
        /// Who said it.
        origin: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A process has one log.
    #[error("the log was started already")]
    Started,
}

/// Starts the log of the process, once.
///
/// # Errors
/// When the filter cannot be read, or the log was started already.
pub fn start(filter: &str, format: Format) -> Result<(), TelemetryError> {
    let from_environment = |name| env::var(name).ok().filter(|filter| !filter.is_empty()).map(|filter| (filter, name));
    let (filter, origin) = from_environment("SYMGATE_LOG")
        .or_else(|| from_environment("RUST_LOG"))
        .unwrap_or_else(|| (filter.into(), "the configuration"));
    let log = fmt().with_env_filter(parse(&filter, origin)?).with_writer(io::stderr);
    let started = match format {
        Format::Text => log.try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|_already| TelemetryError::Started)
}

/// Whether a filter can be read.
///
/// # Errors
/// When it cannot.
pub fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    parse(filter, "the configuration").map(drop)
}

fn parse(filter: &str, origin: &'static str) -> Result<EnvFilter, TelemetryError> {
    let builder = EnvFilter::builder();
    builder.parse(filter).map_err(|error| TelemetryError::Filter {
        filter: filter.into(),
        origin,
        reason: error.to_string(),
    })
}
