//! A gateway's configuration as a sentence. What is not said is the usual: the k-line service, its symbol in field 4 or
//! in the metadata key `symbol`, and the shipped plugins as Wasm.

use std::{fmt::Write, path::Path};

use tempfile::TempDir;
use toml::{Table, Value};

use super::Gateway;
use crate::{Etcd, Instance, RegistryFile, wasm};

/// A `[[route]]`.
#[derive(Clone)]
pub struct Route(Table);

/// A `[[plugin]]`.
#[derive(Clone)]
pub struct Plugin(Table);

/// A gateway that is not started yet.
#[derive(Default)]
pub struct Builder {
    registry: Option<Value>,
    keep: Option<Table>,
    networks: Vec<Value>,
    plugins: Vec<Plugin>,
    routes: Vec<Route>,
    listen: Table,
    upstream: Table,
    admin: Table,
    more: String,
}

/// The methods of the k-line service.
const METHODS: [&str; 4] = ["GetKline", "WatchKline", "PushTicks", "TradeKline"];

/// What the usual plugins are called and which files they are.
const USUAL: [(&str, &str); 2] = [("by-symbol", "message_field.wasm"), ("least-loaded", "least_loaded.wasm")];

impl Route {
    /// A route to a service of the registry, for every method of the k-line service.
    pub fn to(service: &str) -> Self {
        Self(Table::new())
            .with("match", "/pb.KlineService/")
            .with("service", service)
            .with("extract", "by-symbol")
            .with("select", "least-loaded")
    }

    /// Only for these paths.
    pub fn on(self, path: &str) -> Self {
        self.with("match", path)
    }

    /// Without an extractor: the service is not split by symbol.
    pub fn unsplit(mut self) -> Self {
        self.0.remove("extract");
        self
    }

    /// Any key of a `[[route]]`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }
}

impl Plugin {
    /// A plugin that routes call `name`, from a Wasm file.
    pub fn wasm(name: &str, path: &Path) -> Self {
        Self(Table::new()).with("name", name).with("path", path.to_str().unwrap())
    }

    /// A plugin that routes call `name`, linked into the gateway.
    pub fn builtin(name: &str, builtin: &str) -> Self {
        Self(Table::new()).with("name", name).with("builtin", builtin)
    }

    /// One of the usual two, `by-symbol` or `least-loaded`, from another file.
    pub fn usual(name: &str, path: &Path) -> Self {
        let usual = Self::wasm(name, path);
        if name == "by-symbol" { usual.with("config", by_symbol()) } else { usual }
    }

    /// Its `[plugin.config]`, as TOML text.
    pub fn config(self, toml: &str) -> Self {
        let config: Table = toml.parse().unwrap();
        self.with("config", config)
    }

    /// Any key of a `[[plugin]]`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }
}

impl Builder {
    /// Registrations from etcd.
    pub fn etcd(self, etcd: &Etcd) -> Self {
        self.etcd_at(&etcd.endpoint())
    }

    /// Registrations from the etcd at a URL.
    pub fn etcd_at(mut self, endpoint: &str) -> Self {
        let endpoints = Value::Array(vec![endpoint.into()]);
        self.registry = Some(Value::Table(Table::from_iter([("endpoints".to_owned(), endpoints)])));
        self
    }

    /// A key of `etcd`, after its URL.
    pub fn etcd_key(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.registry.as_mut().and_then(Value::as_table_mut).unwrap().insert(key.into(), value.into());
        self
    }

    /// Registrations from the etcd at a URL, which is given up when it does not answer in time.
    pub fn etcd_within(self, endpoint: &str, timeout: &str) -> Self {
        self.etcd_at(endpoint).etcd_key("timeout", timeout)
    }

    /// Registrations from a file.
    pub fn file(mut self, file: &RegistryFile) -> Self {
        self.registry = Some(file.path().to_str().unwrap().into());
        self
    }

    /// The table of the etcd is kept in a file.
    pub fn keep(mut self, file: &Path, max_age: &str) -> Self {
        let file = file.to_str().unwrap();
        self.keep = Some(Table::from_iter([("file".to_owned(), file.into()), ("max_age".to_owned(), max_age.into())]));
        self
    }

    /// Instances may be in these networks, and have these names, only.
    pub fn networks(mut self, networks: &[&str]) -> Self {
        self.networks = networks.iter().map(|text| Value::from(*text)).collect();
        self
    }

    /// One route more.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// One plugin more; it replaces the usual one of that name.
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// A key of `[listen]`.
    pub fn listen(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.listen.insert(key.into(), value.into());
        self
    }

    /// A key of `[upstream]`.
    pub fn upstream(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.upstream.insert(key.into(), value.into());
        self
    }

    /// A key of `[admin]`.
    pub fn admin(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.admin.insert(key.into(), value.into());
        self
    }

    /// More TOML text at the end of the configuration.
    pub fn more(mut self, toml: &str) -> Self {
        writeln!(self.more, "{toml}").unwrap();
        self
    }

    /// Starts it in front of one instance that owns `BTC_USDT`, and waits until calls reach that.
    pub async fn over_one(self) -> (Instance, RegistryFile, Gateway) {
        let instance = Instance::start(&["BTC_USDT"]).await;
        let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
        let gateway = self.file(&registry).start().await;
        gateway.serving(&["BTC_USDT"]).await;
        (instance, registry, gateway)
    }

    /// Starts the gateway and waits until it listens.
    pub async fn start(self) -> Gateway {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("symgate.toml"), self.text()).unwrap();
        Gateway::start(folder).await
    }

    /// The configuration as text.
    pub fn text(mut self) -> String {
        if self.routes.is_empty() {
            self.routes.push(Route::to("klineRpc"));
        }
        for (name, file) in USUAL {
            if !self.plugins.iter().any(|plugin| plugin.0["name"].as_str() == Some(name)) {
                self.plugins.push(Plugin::usual(name, &wasm::folder().join(file)));
            }
        }
        let defaults = [("address", Value::from("127.0.0.1:0"))];
        let mut config = Table::new();
        config.insert("listen".into(), with_defaults(self.listen, &defaults));
        // What is said at the end may be said there only.
        if !self.upstream.is_empty() {
            config.insert("upstream".into(), self.upstream.into());
        }
        config.insert("admin".into(), with_defaults(self.admin, &defaults));
        config.insert("log".into(), with_defaults(Table::new(), &[("format", "json".into())]));
        let mut registry = Table::from_iter([("name".to_owned(), "main".into())]);
        let source = self.registry.expect("a registry: .etcd(..) or .file(..)");
        registry.insert(if source.is_str() { "file" } else { "etcd" }.into(), source);
        if let Some(keep) = self.keep {
            registry.insert("keep".into(), keep.into());
        }
        if !self.networks.is_empty() {
            registry.insert("networks".into(), self.networks.into());
        }
        config.insert("registry".into(), Value::Array(vec![registry.into()]));
        config.insert("plugin".into(), self.plugins.into_iter().map(|plugin| plugin.0).collect::<Vec<_>>().into());
        config.insert("route".into(), self.routes.into_iter().map(|route| route.0).collect::<Vec<_>>().into());
        format!("{config}\n{}", self.more)
    }
}

fn with_defaults(mut table: Table, defaults: &[(&str, Value)]) -> Value {
    for (key, value) in defaults {
        table.entry(*key).or_insert_with(|| value.clone());
    }
    table.into()
}

/// The configuration of `by-symbol`: metadata first, then field 4 of the first message of every method.
fn by_symbol() -> Table {
    let fields: Table =
        METHODS.iter().map(|method| (format!("/pb.KlineService/{method}"), Value::Array(vec![4.into()]))).collect();
    Table::from_iter([("metadata".to_owned(), "symbol".into()), ("fields".to_owned(), fields.into())])
}
