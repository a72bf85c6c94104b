//! The configuration, valid: a [`Config`] that exists can be run. Opens no socket and asks no registry.
//!
//! Services, plugins and routes refer to each other by their place in the lists below. On the way from TOML, `raw` is
//! what the file may say, `resolve` is what it means.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

pub use self::{
    decisions::Decisions,
    error::ConfigError,
    guard::Guard,
    listen::Listen,
    plugin::{Recycle, Reload, Sandbox, Versions},
    register::{Format, Register},
    resolve::{check_service_name, options_as_json},
    route::{Health, NoSymbol, OnFailure, Route},
    tls::{Identity, ListenTls, PeerTls},
    units::{lease_time, parse_duration as duration},
    upstream::Upstream,
};
use crate::routing::{KeyTemplate, Layout, Networks};
pub use crate::telemetry::Format as LogFormat;

mod decisions;
mod defaults;
mod environment;
mod error;
mod guard;
mod listen;
mod plugin;
mod raw;
mod register;
mod resolve;
mod route;
mod tls;
mod units;
mod upstream;

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
    /// `[decisions]`
    pub decisions: Decisions,
    /// `[code_cache]`
    pub code_cache: CodeCache,
    /// `[sandbox]`
    pub sandbox: Sandbox,
    /// `[[registry]]`
    pub registries: Vec<Registry>,
    /// Every service that a route names, with what `[[service]]` says of it.
    pub services: Vec<Service>,
    /// `[[plugin]]`, then the built-ins that routes use directly.
    pub plugins: Vec<Plugin>,
    /// `max_changed` of plugins that have one, by name: the share, 0 to 1, of recorded decisions that a new version may
    /// change.
    pub gates: BTreeMap<String, f64>,
    /// The file that it was read from.
    pub source: Option<PathBuf>,
    /// `[[route]]`
    pub routes: Vec<Route>,
    /// `[[register]]`
    pub registers: Vec<Register>,
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
        let parsed = Self::parse(&text, &path.display().to_string(), path.parent().unwrap_or_else(|| Path::new("")))?;
        Ok(Self { source: Some(path.into()), ..parsed })
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
    /// Where the table is kept for a start at which an etcd cannot be heard; `None`: nowhere.
    pub keep: Option<Keep>,
    /// Where its instances may be; `None`: anywhere.
    pub networks: Option<Arc<Networks>>,
}

/// A table that is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Where.
    pub file: PathBuf,
    /// How long ago it may have been right for the last time.
    #[serde(deserialize_with = "units::timeout")]
    pub max_age: Duration,
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
    /// How its members are spoken to with TLS; `None`: without.
    pub tls: Option<PeerTls>,
    /// How long connecting and each request may take.
    pub timeout: Duration,
    /// A watch from which nothing was heard for this long is torn down and the list read again.
    pub watchdog: Duration,
    /// How often the list is compared with what the watch told.
    pub audit: Duration,
}

impl Etcd {
    /// With the defaults of the configuration.
    ///
    /// # Errors
    /// When an endpoint is no URL that can be connected to, with TLS or without.
    pub fn new(endpoints: Vec<String>, login: Option<(String, String)>, tls: Option<PeerTls>) -> Result<Self, String> {
        if let Some(wrong) = endpoints.iter().find_map(|endpoint| resolve::wrong_endpoint(endpoint, tls.is_some())) {
            return Err(wrong);
        }
        Ok(Self {
            endpoints,
            login,
            tls,
            timeout: defaults::etcd_timeout(),
            watchdog: defaults::etcd_watchdog(),
            audit: defaults::etcd_audit(),
        })
    }
}

/// A registry prefix that routes lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name, e.g. `klineRpc`.
    pub name: String,
    /// The place of its registry.
    pub registry: usize,
    /// How its keys are made, when not as `service/symbol/id`.
    pub key: Option<KeyTemplate>,
    /// Whether an address may own one symbol only.
    pub exclusive: bool,
    /// Whether streams end when their symbol has another owner.
    pub end_streams: bool,
    /// When its instances are spared though the registry says that they are gone.
    pub guard: Guard,
    /// How its instances are spoken to with TLS; `None`: without.
    pub tls: Option<PeerTls>,
    /// Where the symbols are listed that it should have instances of.
    pub expected: Option<ExpectedSymbols>,
}

/// Where the symbols are listed that a service should have instances of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedSymbols {
    /// In the registry of the service: what follows this text in a key, after the prefix of the registry, is a symbol.
    Prefix(String),
    /// In a file, one a line.
    File(PathBuf),
}

impl ExpectedSymbols {
    /// What comes before the symbol in the keys of the list; nothing in a file.
    pub fn prefix(&self, registry: &Registry) -> String {
        match self {
            Self::Prefix(prefix) => format!("{}{prefix}", registry.prefix),
            Self::File(_) => String::new(),
        }
    }
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
    /// Which versions of the file may decide.
    pub versions: Versions,
    /// When its sandboxes are replaced.
    pub recycle: Recycle,
}

impl Plugin {
    /// A file by itself, with these options as JSON text, and for the rest the defaults of a `[[plugin]]`.
    pub fn of_file(path: &Path, config: String) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (limits, remember, recycle) = (Limits::default(), defaults::remember(), Recycle::default());
        let versions = Versions::default();
        Self { name, path: Some(path.into()), builtin: None, config, limits, remember, versions, recycle }
    }
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
    /// Selector: drawn by weight.
    WeightedRandom,
    /// Selector: who registered first.
    Primary,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::MetadataKey,
        Self::MessageField,
        Self::LeastLoaded,
        Self::RendezvousHash,
        Self::WeightedRandom,
        Self::Primary,
    ];

    /// What the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MetadataKey => "metadata-key",
            Self::MessageField => "message-field",
            Self::LeastLoaded => "least-loaded",
            Self::RendezvousHash => "rendezvous-hash",
            Self::WeightedRandom => "weighted-random",
            Self::Primary => "primary",
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
    /// Elements of all tables.
    #[serde(deserialize_with = "units::count")]
    pub table: usize,
}
