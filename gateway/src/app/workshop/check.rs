//! What a plugin's file is and what the host says to it, in lines for people and as a document. Serialized as it is, this
//! is the document of `symgate plugin check --json`: fields are added, never renamed.

use serde::Serialize;
use symgate_sdk::{
    extract::{self, Need},
    select,
};

use super::{Subject, figures};
use crate::{
    config,
    plugin::{self, Examined, Host, Tried},
};

/// The number of the document's shape.
const SHAPE: u32 = 1;

/// A plugin's file, looked at.
#[derive(Debug, Serialize)]
pub struct Checked {
    shape: u32,
    /// Whether a gateway would take it.
    well: bool,
    file: String,
    /// Bytes.
    size: usize,
    /// `module` or `component`; null where it is neither.
    kind: Option<&'static str>,
    /// The contract that this program speaks.
    contract: &'static str,
    exports: Vec<String>,
    imports: Vec<String>,
    /// The options that `init` got.
    options: String,
    /// What it is called in `/plugins` with these options and limits; null where it is refused.
    version: Option<String>,
    extract: Option<Extract>,
    select: Option<Select>,
    /// Microseconds; null where it does not compile.
    compile_us: Option<u128>,
    /// Bytes of linear memory of a sandbox after `init`.
    sandbox_memory: Option<usize>,
    limits: Limits,
    /// How it fails when it is asked about a call that carries nothing.
    empty_call: Option<String>,
    /// Why a gateway would refuse it.
    refused: Option<String>,
}

/// What it asks for as an extractor.
#[derive(Debug, Serialize)]
struct Extract {
    path: bool,
    metadata: Vec<String>,
    message: &'static str,
    pure: bool,
}

/// What it asks for as a selector.
#[derive(Debug, Serialize)]
struct Select {
    path: bool,
    symbol: bool,
    metadata: Vec<String>,
    labels: Vec<String>,
    ids: bool,
    orders: bool,
    skip_single: bool,
}

/// What a sandbox may use.
#[derive(Debug, Serialize)]
struct Limits {
    time_us: u128,
    memory: usize,
}

impl Subject {
    /// Looks at the file as a gateway would, and says what it found.
    ///
    /// # Errors
    /// When there can be no host.
    pub fn check(&self) -> anyhow::Result<Checked> {
        let Examined { kind, exports, imports, compiled, tried } = Host::new()?.examine(&self.plugin, &self.bytes);
        let config::Limits { time, memory, .. } = self.plugin.limits;
        let mut checked = Checked {
            shape: SHAPE,
            well: tried.is_ok(),
            file: self.file.display().to_string(),
            size: self.bytes.len(),
            kind,
            contract: plugin::CONTRACT,
            exports,
            imports,
            options: self.plugin.config.clone(),
            version: None,
            extract: None,
            select: None,
            compile_us: compiled.map(|took| took.as_micros()),
            sandbox_memory: None,
            limits: Limits { time_us: time.as_micros(), memory },
            empty_call: None,
            refused: None,
        };
        match tried {
            Ok(tried) => checked.taken(tried),
            Err(rejected) => checked.refused = Some(rejected.0),
        }
        Ok(checked)
    }
}

impl Checked {
    /// Whether a gateway would take it.
    pub fn is_well(&self) -> bool {
        self.well
    }

    /// As one JSON document.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// In lines for people.
    pub fn lines(&self) -> Vec<String> {
        let size = figures::size(self.size);
        let kind = match self.kind {
            Some("component") => "a component",
            Some(_) => "a core module",
            None => "no WebAssembly",
        };
        let mut lines = vec![format!("{}: {size}, {kind}", self.file)];
        if self.compile_us.is_some() {
            lines.push(format!("  exports {}", listed(&self.exports)));
            lines.push(format!(
                "  imports {}; this symgate speaks the contract {}",
                listed(&self.imports),
                self.contract
            ));
        }
        lines.extend(self.extract.iter().flat_map(Extract::lines));
        lines.extend(self.select.iter().flat_map(Select::lines));
        lines.extend(
            self.version.iter().map(|version| format!("  version {version} with the options {}", self.options)),
        );
        lines.extend(self.compile_us.map(|took| format!("  compiled in {}", figures::time(took))));
        let Limits { time_us, memory } = self.limits;
        let (time_us, limit) = (figures::time(time_us), figures::size(memory));
        let used = self.sandbox_memory.map(figures::size);
        lines.extend(
            used.map(|used| format!("  a sandbox has {used} of at most {limit}; a call may take {time_us} of CPU")),
        );
        lines.extend(
            self.empty_call
                .iter()
                .map(|failure| format!("  warning: asked about a call that carries nothing, it {failure}")),
        );
        lines.push(match &self.refused {
            None => "all is well".into(),
            Some(reason) => format!("a gateway would refuse it: {reason}"),
        });
        lines
    }

    fn taken(&mut self, Tried { plugin, memory, empty_call }: Tried) {
        self.version = Some(plugin.version().to_owned());
        self.extract = plugin.extract_inputs().cloned().map(Extract::from);
        self.select = plugin.select_inputs().cloned().map(Select::from);
        self.sandbox_memory = Some(memory);
        self.empty_call = empty_call.map(|failure| failure.to_string());
    }
}

impl From<extract::Inputs> for Extract {
    fn from(extract::Inputs { path, metadata, message, pure }: extract::Inputs) -> Self {
        let message = match message {
            Need::Never => "never",
            Need::OnDemand => "on-demand",
            Need::Always => "always",
        };
        Self { path, metadata, message, pure }
    }
}

impl From<select::Inputs> for Select {
    fn from(inputs: select::Inputs) -> Self {
        let select::Inputs { path, symbol, metadata, labels, ids, orders, skip_single } = inputs;
        Self { path, symbol, metadata, labels, ids, orders, skip_single }
    }
}

impl Extract {
    fn lines(&self) -> Vec<String> {
        let message = match self.message {
            "always" => Some("the first message"),
            "on-demand" => Some("the first message where it needs it"),
            _ => None,
        };
        let asked = [named("metadata", &self.metadata), flag(self.path, "the path"), message.map(str::to_owned)];
        let pure =
            if self.pure { "pure: its outcomes may be remembered" } else { "not pure: it is asked about every call" };
        vec![format!("  extracts, and asks for {}", all(asked)), format!("  {pure}")]
    }
}

impl Select {
    fn lines(&self) -> Vec<String> {
        let asked = [
            named("metadata", &self.metadata),
            named("labels", &self.labels),
            flag(self.path, "the path"),
            flag(self.symbol, "the symbol"),
            flag(self.ids, "ids"),
            flag(self.orders, "orders"),
        ];
        let single =
            if self.skip_single { "not asked about a single candidate" } else { "asked about a single candidate, too" };
        vec![format!("  selects, and asks for {}", all(asked)), format!("  {single}")]
    }
}

fn flag(wanted: bool, what: &str) -> Option<String> {
    wanted.then(|| what.to_owned())
}

fn named(what: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}

fn all(asked: impl IntoIterator<Item = Option<String>>) -> String {
    let asked: Vec<_> = asked.into_iter().flatten().collect();
    if asked.is_empty() { "nothing".into() } else { asked.join("; ") }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
