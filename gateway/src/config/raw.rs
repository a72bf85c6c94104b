//! The file as it may be written: names are still names, and nothing was compared with anything. What needs no look
//! elsewhere is already valid here.

use std::{path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use toml::{Spanned, Table};

use super::{
    Admin, Builtin, Decisions, Format, Guard, Keep, Limits, Listen, Log, NoSymbol, OnFailure, Recycle, Reload, Sandbox,
    Upstream, defaults, units,
};
use crate::routing::KeyTemplate;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<Spanned<Listen>>,
    #[serde(default)]
    pub(super) upstream: Upstream,
    pub(super) admin: Option<Spanned<Admin>>,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) decisions: Decisions,
    #[serde(default)]
    pub(super) code_cache: CodeCache,
    #[serde(default)]
    pub(super) sandbox: Sandbox,
    #[serde(default)]
    pub(super) registry: Vec<Registry>,
    #[serde(default)]
    pub(super) service: Vec<Service>,
    #[serde(default)]
    pub(super) plugin: Vec<Plugin>,
    #[serde(default)]
    pub(super) route: Vec<Route>,
    #[serde(default)]
    pub(super) register: Vec<Register>,
}

/// `[code_cache]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeCache {
    /// `Some(None)`: nothing is kept.
    #[serde(default, deserialize_with = "units::folder")]
    pub(super) folder: Option<Option<PathBuf>>,
}

/// `[[registry]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) prefix: String,
    pub(super) file: Option<PathBuf>,
    pub(super) etcd: Option<Spanned<Etcd>>,
    pub(super) keep: Option<Spanned<Keep>>,
    pub(super) networks: Option<Spanned<Vec<Spanned<String>>>>,
}

/// `etcd = { ... }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Etcd {
    pub(super) endpoints: Vec<Spanned<String>>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<Spanned<PathBuf>>,
    pub(super) tls: Option<Spanned<PeerTls>>,
    #[serde(default = "defaults::etcd_timeout", deserialize_with = "units::timeout")]
    pub(super) timeout: Duration,
    #[serde(default = "defaults::etcd_watchdog", deserialize_with = "units::timeout")]
    pub(super) watchdog: Duration,
    #[serde(default = "defaults::etcd_audit", deserialize_with = "units::timeout")]
    pub(super) audit: Duration,
}

/// `[[service]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: Spanned<String>,
    pub(super) registry: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "units::key_template")]
    pub(super) key: Option<KeyTemplate>,
    #[serde(default = "defaults::exclusive")]
    pub(super) exclusive: bool,
    #[serde(default)]
    pub(super) end_streams: bool,
    #[serde(default)]
    pub(super) guard: Guard,
    pub(super) tls: Option<Spanned<PeerTls>>,
    pub(super) expected_symbols: Option<Spanned<ExpectedSymbols>>,
}

/// `expected_symbols = { ... }` of a `[[service]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedSymbols {
    pub(super) prefix: Option<String>,
    pub(super) file: Option<PathBuf>,
}

/// `tls = { ... }` of a `[[service]]` or of an etcd
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerTls {
    pub(super) ca: PathBuf,
    pub(super) server_name: Option<Spanned<String>>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// `[[plugin]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) name: Spanned<String>,
    pub(super) path: Option<PathBuf>,
    #[serde(default, deserialize_with = "units::sha256")]
    pub(super) sha256: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) reload: Reload,
    #[serde(default = "defaults::keep_versions", deserialize_with = "units::kept")]
    pub(super) keep_versions: usize,
    pub(super) builtin: Option<Builtin>,
    #[serde(default)]
    pub(super) limits: Limits,
    pub(super) recycle: Option<Spanned<Recycle>>,
    #[serde(default = "defaults::remember")]
    pub(super) remember: bool,
    #[serde(default, deserialize_with = "units::percent")]
    pub(super) max_changed: Option<f64>,
    #[serde(default)]
    pub(super) config: Table,
}

/// `[[route]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    #[serde(rename = "match")]
    pub(super) path: Spanned<String>,
    pub(super) authority: Option<String>,
    #[serde(default, deserialize_with = "units::metadata")]
    pub(super) metadata: Vec<(String, String)>,
    pub(super) clients: Option<Spanned<Vec<String>>>,
    pub(super) service: Spanned<String>,
    pub(super) extract: Option<Spanned<Policy>>,
    pub(super) select: Option<Spanned<Policy>>,
    #[serde(default, deserialize_with = "units::no_symbol")]
    pub(super) no_symbol: NoSymbol,
    #[serde(default = "defaults::unknown_symbol", deserialize_with = "units::status")]
    pub(super) unknown_symbol: u8,
    pub(super) on_failure: Option<Spanned<OnFailure>>,
    #[serde(default = "defaults::max_first_message", deserialize_with = "units::size")]
    pub(super) max_first_message: usize,
    #[serde(default)]
    pub(super) reply_instance: bool,
    #[serde(default, deserialize_with = "units::duration")]
    pub(super) wait_for_symbol: Duration,
    #[serde(default = "defaults::max_waiting", deserialize_with = "units::count")]
    pub(super) max_waiting: u32,
    #[serde(default, deserialize_with = "units::limit")]
    pub(super) max_in_flight: Option<u32>,
    #[serde(default, deserialize_with = "units::limit")]
    pub(super) max_in_flight_per_symbol: Option<u32>,
    #[serde(default)]
    pub(super) idempotent: Vec<Spanned<String>>,
    #[serde(default = "defaults::retry_budget", deserialize_with = "units::share")]
    pub(super) retry_budget: f64,
    #[serde(default = "defaults::health", deserialize_with = "units::health")]
    pub(super) health: Option<String>,
}

/// `[[register]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    pub(super) registry: Option<Spanned<String>>,
    pub(super) service: Spanned<String>,
    pub(super) symbol: Option<Spanned<String>>,
    pub(super) format: Format,
    pub(super) address: Option<Spanned<String>>,
    #[serde(default = "defaults::register_ttl", deserialize_with = "units::ttl")]
    pub(super) ttl: Duration,
}

/// Who decides for a route.
pub(super) enum Policy {
    /// A `[[plugin]]`, or a built-in with its default configuration.
    Named(String),
    /// `{ builtin = "...", ... }`: a built-in with this configuration.
    Builtin(Builtin, Table),
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PolicyVisitor)
    }
}

/// Not serde's untagged enum: that one forgets where in the file a mistake is.
struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = Policy;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a plugin or a table with the key `builtin`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Policy, E> {
        Ok(Policy::Named(name.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policy, A::Error> {
        let mut builtin = None;
        let mut config = Table::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "builtin" {
                builtin = Some(map.next_value()?);
            } else {
                config.insert(key, map.next_value()?);
            }
        }
        Ok(Policy::Builtin(builtin.ok_or_else(|| A::Error::missing_field("builtin"))?, config))
    }
}
