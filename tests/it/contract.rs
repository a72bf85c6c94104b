//! The contract suite: the plugin host against real Wasm files. No network, no registry.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fits;
mod harm;
mod leaks;
mod reload;
mod remembered;
mod twins;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use symgate::{
    config::{self, Builtin, Limits},
    plugin::{Failure, Host, Plugin, Question, Rejected, Sandboxes},
};
use symgate_sdk::{
    Call,
    extract::Outcome,
    select::{self, Candidates},
};

/// One host for all: an engine is a process-wide thing in the gateway, too.
static HOST: LazyLock<Host> = LazyLock::new(|| Host::new().expect("a host"));

/// A plugin as the configuration would name it.
struct Subject(config::Plugin);

impl Subject {
    /// The shipped plugin or fixture of this name.
    fn new(name: &str) -> Self {
        let path = Path::new(env!("SYMGATE_WASM_DIR")).join(name.replace('-', "_")).with_extension("wasm");
        // Far from what an innocent call needs on a starved machine.
        let limits = Limits { time: Duration::from_millis(50), memory: 16 << 20, ..Limits::default() };
        let (name, config) = (name.into(), "{}".into());
        let (path, versions, recycle) = (Some(path), config::Versions::default(), config::Recycle::default());
        Self(config::Plugin { name, path, builtin: None, config, limits, remember: true, versions, recycle })
    }

    fn config(mut self, config: &str) -> Self {
        self.0.config = config.into();
        self
    }

    fn builtin(mut self, builtin: Builtin) -> Self {
        self.0.builtin = Some(builtin);
        self
    }

    fn time_limit(mut self, time: Duration) -> Self {
        self.0.limits.time = time;
        self
    }

    fn recycle(mut self, recycle: config::Recycle) -> Self {
        self.0.recycle = recycle;
        self
    }

    fn remember(mut self, remember: bool) -> Self {
        self.0.remember = remember;
        self
    }

    fn path(&self) -> &PathBuf {
        self.0.path.as_ref().expect("a file")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap_or_else(|error| panic!("{}: {error}", self.path().display()))
    }

    fn try_load(&self) -> Result<Plugin, Rejected> {
        HOST.load(&self.0, &self.bytes(), 1)
    }

    fn load(&self) -> Plugin {
        self.try_load().unwrap_or_else(|rejected| panic!("{}: {rejected}", self.0.name))
    }
}

/// Asks the fixture `misbehaves` to do so, or to answer with a symbol.
fn misbehave(sandboxes: &mut Sandboxes, plugin: &Plugin, how: Option<&str>) -> Result<Outcome, Failure> {
    let metadata = [how.map(str::as_bytes), Some(b"BTC_USDT")];
    let call = Call { path: "/a/B", metadata: &metadata, message: None };
    sandboxes.extract(0, plugin, &call).map(|extracted| extracted.outcome)
}

/// The answer when it behaves.
fn symbol() -> Outcome {
    Outcome::Symbol("BTC_USDT".into())
}

/// Asks a selector without inputs about two candidates.
fn select(sandboxes: &mut Sandboxes, plugin: &Plugin) -> Result<select::Outcome, Failure> {
    let candidates = Candidates::new(&select::Inputs::default(), &[1, 0, 0, 1, 0, 0], &[]);
    let call = Call { path: "/a/B", ..Call::default() };
    sandboxes.select(0, plugin, &Question { call, symbol: "BTC_USDT", candidates, random: 1 })
}
