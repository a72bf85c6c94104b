//! The configuration, valid: a [`Config`] that exists can be run. Opens no socket and asks no registry.
//!
//! Services, plugins and routes refer to each other by their place in the lists below. On the way from TOML, `raw` is
//! what the file may say, `resolve` is what it means.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use self::error::ConfigError;
use crate::routing::{Condition, KeyTemplate, Layout, PathMatch};
pub use crate::telemetry::Format as LogFormat;

mod defaults;
mod environment;
mod error;
mod raw;
mod resolve;
mod units;

#[cfg(test)]
mod tests;

/// Everything that `symgate.toml` says, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[listen]`
    pub listen: Listen,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `[code_cache]`
    pub code_cache: CodeCache,
    /// `[[registry]]`
    pub registries: Vec<Registry>,
    /// Every service that a route names, with what `[[service]]` says of it.
    pub services: Vec<Service>,
    /// `[[plugin]]`, then the built-ins that routes use directly.
    pub plugins: Vec<Plugin>,
    /// `[[route]]`
    pub routes: Vec<Route>,
}

impl Service {
    /// How the keys of the service are made in its registry.
    pub fn layout(&self, registry: &Registry) -> Layout {
        Layout::new(&registry.prefix, &self.name, self.key.clone())
    }
}

impl Config {
    /// Reads a file. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// Names each mistake with its line and column, and how to mend it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::parse(&text, &path.display().to_string(), path.parent().unwrap_or_else(|| Path::new("")))
    }

    /// Reads a text. `file_name` is what errors call it; relative paths in it start at `base_dir`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, file_name: &str, base_dir: &Path) -> Result<Self, ConfigError> {
        Self::parse_with(text, base_dir, &|name| std::env::var(name).ok())
            .map_err(|mistakes| ConfigError::new(file_name, text, mistakes))
    }

    fn parse_with(text: &str, base_dir: &Path, variable: environment::Lookup<'_>) -> Result<Self, Vec<error::Mistake>> {
        let mut document = toml::de::DeTable::parse(text).map_err(|error| vec![error.into()])?;
        environment::expand(document.get_mut(), variable)?;
        let raw = raw::File::deserialize(toml::Deserializer::from(document)).map_err(|error| vec![error.into()])?;
        resolve::config(raw, base_dir, variable)
    }
}

/// The listener that clients connect to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Where to listen.
    #[serde(deserialize_with = "units::listen_address")]
    pub address: SocketAddr,
    /// Data-plane threads.
    #[serde(deserialize_with = "units::count")]
    pub workers: usize,
    /// Open client connections; more wait in the kernel's queue.
    #[serde(deserialize_with = "units::count")]
    pub max_connections: usize,
    /// Streams that one client connection may have open.
    #[serde(deserialize_with = "units::count")]
    pub max_concurrent_streams: u32,
    /// Streams that one client may reset, and streams over its limit that it may open, each second; ten times that at
    /// once. Above it the connection ends with `ENHANCE_YOUR_CALM`.
    #[serde(deserialize_with = "units::count")]
    pub max_resets_per_second: u32,
    /// Frames that carry nothing of a call (PING, SETTINGS, empty DATA, PRIORITY, WINDOW_UPDATE, each counted apart) that
    /// one peer may send each second; ten times that at once. Above it the connection ends with `ENHANCE_YOUR_CALM`.
    #[serde(deserialize_with = "units::count")]
    pub max_control_frames_per_second: u32,
    /// Bytes of header list that a client may send (RFC 9113 section 6.5.2).
    #[serde(deserialize_with = "units::size")]
    pub max_header_bytes: u32,
    /// Receive window of one stream in bytes.
    #[serde(deserialize_with = "units::window")]
    pub stream_window: u32,
    /// Receive window of one connection in bytes.
    #[serde(deserialize_with = "units::window")]
    pub connection_window: u32,
    /// Bytes of replies that may wait for one client connection to be read. A call whose reply does not fit any more ends.
    #[serde(deserialize_with = "units::size")]
    pub max_unread: usize,
    /// How long calls may go on after SIGTERM.
    #[serde(deserialize_with = "units::duration")]
    pub drain_timeout: Duration,
}

/// Connections to instances.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// How long opening a connection may take.
    #[serde(deserialize_with = "units::timeout")]
    pub connect_timeout: Duration,
    /// Connections that one worker keeps ready; instances beyond it are connected on first use.
    pub warm_connections: usize,
}

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where to listen.
    #[serde(deserialize_with = "units::listen_address")]
    pub address: SocketAddr,
}

/// The gateway's own log, written to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A `tracing` filter, e.g. `info` or `symgate=debug`.
    #[serde(deserialize_with = "units::filter")]
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// What outlives the process of compiled plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeCache {
    /// Where it is; `None`: nowhere.
    pub folder: Option<PathBuf>,
}

/// Where registrations come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// What routes call it.
    pub name: String,
    /// What every key starts with.
    pub prefix: String,
    /// Where the entries are.
    pub source: Source,
}

/// Where a registry's entries are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A TOML file of keys and values, watched.
    File(PathBuf),
    /// An etcd cluster.
    Etcd(Etcd),
}

/// An etcd cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Etcd {
    /// URLs of its members.
    pub endpoints: Vec<String>,
    /// User and password.
    pub login: Option<(String, String)>,
    /// How long connecting and each request may take.
    pub timeout: Duration,
    /// A watch from which nothing was heard for this long is torn down and the list read again.
    pub watchdog: Duration,
}

/// A registry prefix that routes lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, e.g. `klineRpc`.
    pub name: String,
    /// The place of its registry.
    pub registry: usize,
    /// How its keys are made, when not as `service/symbol/id`.
    pub key: Option<KeyTemplate>,
    /// Whether an address may own one symbol only.
    pub exclusive: bool,
}

/// A policy that routes may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// What routes, logs and metrics call it.
    pub name: String,
    /// The Wasm file; `None`: the built-in decides.
    pub path: Option<PathBuf>,
    /// The built-in that decides when there is no file, or when the file fails and the route says so.
    pub builtin: Option<Builtin>,
    /// `[plugin.config]` as JSON text.
    pub config: String,
    /// What one call into the sandbox may use.
    pub limits: Limits,
    /// Whether what it says as a pure extractor in a sandbox is remembered.
    pub remember: bool,
}

/// A policy that is linked into the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    /// Extractor: the value of a metadata key.
    MetadataKey,
    /// Extractor: a field of the first message.
    MessageField,
    /// Selector: power of two choices.
    LeastLoaded,
    /// Selector: sticky by a metadata key or the symbol.
    RendezvousHash,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::MetadataKey, Self::MessageField, Self::LeastLoaded, Self::RendezvousHash];

    /// What the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MetadataKey => "metadata-key",
            Self::MessageField => "message-field",
            Self::LeastLoaded => "least-loaded",
            Self::RendezvousHash => "rendezvous-hash",
        }
    }

    /// Whether it finds symbols; else it selects instances.
    pub const fn is_extractor(self) -> bool {
        matches!(self, Self::MetadataKey | Self::MessageField)
    }
}

/// What a sandbox may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// CPU time of one call into the sandbox.
    #[serde(deserialize_with = "units::timeout")]
    pub time: Duration,
    /// Bytes of linear memory.
    #[serde(deserialize_with = "units::size")]
    pub memory: usize,
}

/// Where calls go and who decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its place in [`Config::routes`].
    pub index: usize,
    /// The text of `match`: the route's name in logs and metrics.
    pub name: String,
    /// The paths it is about.
    pub path: PathMatch,
    /// What else a call must carry.
    pub condition: Condition,
    /// The place of the service.
    pub service: usize,
    /// The place of the extractor; `None`: the service is not split by symbol.
    pub extract: Option<usize>,
    /// The place of the selector.
    pub select: usize,
    /// What happens to a call that carries no symbol.
    pub no_symbol: NoSymbol,
    /// The gRPC status code for a symbol that was never registered.
    pub unknown_symbol: u8,
    /// What happens when a plugin fails.
    pub on_failure: OnFailure,
    /// Bytes of first message that a plugin may ask for.
    pub max_first_message: usize,
    /// Whether replies carry `symgate-instance`.
    pub reply_instance: bool,
}

/// What happens to a call that carries no symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoSymbol {
    /// `INVALID_ARGUMENT`.
    #[default]
    Reject,
    /// Any instance of the service answers.
    Any,
    /// It belongs to this symbol.
    Symbol(String),
}

/// What happens when a plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// `INTERNAL`.
    #[default]
    Reject,
    /// The plugin's built-in decides.
    Builtin,
}
