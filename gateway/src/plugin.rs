//! The plugin host: makes policies from Wasm files and from the built-ins, and asks them within limits. Knows no
//! routes, no registry and no sockets.

mod apart;
mod breaker;
mod cache;
mod compile;
mod compiler;
pub mod decision;
mod engine;
mod examine;
mod limits;
mod lines;
mod native;
mod pin;
mod remembered;
pub mod replay;
mod ring;
mod sandbox;
mod tally;
mod upkeep;
mod wasm;
mod wit;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use http::HeaderName;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use symgate_sdk::{Call, extract, select};

pub use self::{
    apart::{compile_apart, this_program},
    compile::VERSION as CONTRACT,
    examine::{Examined, Tried},
    ring::Ring,
    tally::Counted,
    worker::Sandboxes,
};
use self::{
    cache::CodeCache, compile::Compiled, compiler::Compiler, engine::Ticker, native::Native, sandbox::Inside,
    tally::Tally, wasm::Wasm,
};
use crate::config;

/// Makes plugins; holds the Wasm engine. Loading blocks for the time of a compilation: call it off the workers.
#[derive(Clone)]
pub struct Host {
    engine: wasmtime::Engine,
    imports: Arc<wasmtime::component::Linker<Inside>>,
    compiler: Arc<Compiler>,
    /// Runs while there is a Wasm plugin.
    ticker: Arc<Mutex<Weak<Ticker>>>,
}

/// One version of a policy, ready to be asked. Dropped with its sandboxes when the last snapshot lets go of it.
pub struct Plugin {
    name: Arc<str>,
    version: Arc<str>,
    /// Of its file, in hex digits; `None`: it has none.
    sha256: Option<Arc<str>>,
    loaded: SystemTime,
    inputs: Inputs,
    policy: Policy,
    fallback: Option<Arc<Self>>,
    /// Whether the configuration lets a pure extractor's outcomes be remembered.
    remember: bool,
    tally: Arc<Tally>,
}

/// Who decides.
#[expect(clippy::large_enum_variant, reason = "there are few plugins, each behind an `Arc`")]
enum Policy {
    Native(Native),
    Wasm(Wasm),
}

/// What a policy asked for at `init`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Inputs {
    extract: Option<extract::Inputs>,
    select: Option<select::Inputs>,
}

/// What a selector is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The call, without its message.
    pub call: Call<'a>,
    /// The symbol that the extractor found.
    pub symbol: &'a str,
    /// The instances to choose from.
    pub candidates: select::Candidates<'a>,
    /// A number that differs for every call.
    pub random: u64,
}

/// What an extractor says about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// Which symbol, or what else.
    pub outcome: extract::Outcome,
    /// Whether it said so about the same inputs before and was not asked again.
    pub remembered: bool,
}

/// Why a file or its configuration is refused; the text is for the operator and names neither plugin nor file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(pub String);

/// Why a plugin gave no answer to one call; reads on after the plugin's name.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It trapped; with the panic message when there is one, else the kind of trap.
    #[error("trapped: {0}")]
    Trap(String),
    /// It used more time than its limit.
    #[error("used more than its {0:?} of CPU time")]
    Time(Duration),
    /// It wanted more memory than its limit, in bytes.
    #[error("wanted more than its {} of memory", size(*.0))]
    Memory(usize),
    /// It wanted more table elements than its limit.
    #[error("wanted more than its {0} table elements")]
    Table(usize),
    /// It answered something that the contract does not allow.
    #[error("answered against the contract: {0}")]
    Contract(String),
    /// It was not asked, because it failed too much before.
    #[error("is cut off because it failed; it is asked again after a pause")]
    CutOff,
}

/// The version that a file of these bytes is under this configuration: twelve hex digits.
pub fn version(plugin: &config::Plugin, bytes: &[u8]) -> String {
    let config::Limits { time, memory, table } = plugin.limits;
    let (time, memory, table) = (time.as_nanos().to_be_bytes(), memory.to_be_bytes(), table.to_be_bytes());
    hash(&[bytes, plugin.config.as_bytes(), &time, &memory, &table])
}

impl Host {
    /// Starts the engine, which compiles in this process and keeps nothing. The thread that interrupts its plugins comes
    /// with the first Wasm plugin and ends with the last.
    ///
    /// # Errors
    /// When the machine does not let it.
    pub fn new() -> Result<Self, Rejected> {
        Self::with_compiler(None, None, config::Sandbox::default())
    }

    /// As [`Host::new`], but keeps compiled code in the folder `kept`, and compiles in a child process: in `program`,
    /// which is [`this_program`] when that knows the command for it. The log says why a folder is not used.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub fn with_compiler(
        kept: Option<&Path>,
        program: Option<PathBuf>,
        sandbox: config::Sandbox,
    ) -> Result<Self, Rejected> {
        let cache = kept.and_then(|folder| match CodeCache::open(folder) {
            Ok(cache) => Some(cache),
            Err(reason) => {
                tracing::warn!(reason, "compiled plugins are not kept, and the gateway compiles them itself");
                None
            }
        });
        let unable = |error: wasmtime::Error| Rejected(format!("the Wasm engine does not start: {error:#}"));
        let engine =
            engine::engine(cache.as_ref().map(|cache| cache.cache().clone()), sandbox.stack).map_err(unable)?;
        let imports = Arc::new(sandbox::imports(&engine).map_err(unable)?);
        let compiler = Arc::new(Compiler::new(cache, program));
        Ok(Self { engine, imports, compiler, ticker: Arc::default() })
    }

    /// A plugin from the bytes of its file: a core module that carries the contract, or a component. Compiles,
    /// checks imports and exports, runs `init` on a trial sandbox, asks it once, and makes `sandboxes` and a spare that
    /// all answered `init` alike.
    ///
    /// # Errors
    /// Says what is wrong with the file or the configuration, and what was expected.
    pub fn load(&self, plugin: &config::Plugin, bytes: &[u8], sandboxes: usize) -> Result<Plugin, Rejected> {
        let sha256 = pin::check(plugin, bytes)?;
        let compiled = self.compiler.compile(&self.engine, &plugin.name, bytes)?;
        self.make(plugin, (bytes, sha256), &compiled, sandboxes)
    }

    /// A plugin from what these bytes, with this hash, were compiled to.
    fn make(
        &self,
        plugin: &config::Plugin,
        (bytes, sha256): (&[u8], Arc<str>),
        compiled: &Compiled,
        sandboxes: usize,
    ) -> Result<Plugin, Rejected> {
        let name: Arc<str> = plugin.name.as_str().into();
        let version: Arc<str> = version(plugin, bytes).into();
        let fallback = match plugin.builtin {
            Some(_) => Some(Arc::new(
                Self::builtin(plugin)
                    .map_err(|Rejected(reason)| Rejected(format!("the built-in that stands in for it: {reason}")))?,
            )),
            None => None,
        };
        let lines = lines::Lines::new(Arc::clone(&name), Arc::clone(&version));
        let (wasm, inputs) = Wasm::new(self, plugin, compiled, lines, sandboxes)?;
        let (loaded, policy, remember) = (SystemTime::now(), Policy::Wasm(wasm), plugin.remember);
        let (sha256, tally) = (Some(sha256), Arc::default());
        Ok(Plugin { name, version, sha256, loaded, inputs, policy, fallback, remember, tally })
    }

    /// A plugin without a file: the built-in that its configuration names.
    ///
    /// # Errors
    /// Says what is wrong with the configuration.
    pub fn builtin(plugin: &config::Plugin) -> Result<Plugin, Rejected> {
        let builtin = plugin.builtin.ok_or_else(|| Rejected("it has neither a file nor a built-in".into()))?;
        let (native, inputs) = Native::new(builtin, &plugin.config)?;
        inputs.check()?;
        let version = format!("builtin-{}", hash(&[format!("{builtin:?}").as_bytes(), plugin.config.as_bytes()]));
        Ok(Plugin {
            name: plugin.name.as_str().into(),
            version: version.into(),
            sha256: None,
            loaded: SystemTime::now(),
            inputs,
            policy: Policy::Native(native),
            fallback: None,
            remember: plugin.remember,
            tally: Arc::default(),
        })
    }

    fn ticker(&self) -> Result<Arc<Ticker>, Rejected> {
        let mut ticker = self.ticker.lock();
        if let Some(running) = ticker.upgrade() {
            return Ok(running);
        }
        let started = Ticker::start(self.engine.clone())
            .map_err(|error| Rejected(format!("the thread that interrupts plugins does not start: {error}")))?;
        let started = Arc::new(started);
        *ticker = Arc::downgrade(&started);
        Ok(started)
    }
}

impl Plugin {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Twelve hex digits: the hash of code, configuration and limits; of a built-in: `builtin-` and that of its
    /// configuration.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The SHA-256 of its file, in hex digits; `None`: it is a built-in.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// When it was made.
    pub fn loaded(&self) -> SystemTime {
        self.loaded
    }

    /// What it wants as an extractor; `None`: it is none.
    pub fn extract_inputs(&self) -> Option<&extract::Inputs> {
        self.inputs.extract.as_ref()
    }

    /// What it wants as a selector; `None`: it is none.
    pub fn select_inputs(&self) -> Option<&select::Inputs> {
        self.inputs.select.as_ref()
    }

    /// Whether the outcomes of its sandboxes are remembered.
    fn remembers(&self) -> bool {
        self.remember && self.extract_inputs().is_some_and(|inputs| inputs.pure)
    }

    /// The native policy to ask when the Wasm one fails; `None`: the configuration names none.
    pub fn fallback(&self) -> Option<&Arc<Self>> {
        self.fallback.as_ref()
    }
}

impl Inputs {
    /// Whether the gateway can give these.
    fn check(&self) -> Result<(), Rejected> {
        let of_extract = self.extract.iter().flat_map(|inputs| &inputs.metadata);
        let of_select = self.select.iter().flat_map(|inputs| &inputs.metadata);
        match of_extract.chain(of_select).find(|key| HeaderName::from_lowercase(key.as_bytes()).is_err()) {
            Some(key) => {
                Err(Rejected(format!("it asks for metadata `{key}`; keys are HTTP header names in lower case")))
            }
            None => Ok(()),
        }
    }
}

impl Failure {
    /// One word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Time(_) => "time",
            Self::Memory(_) => "memory",
            Self::Table(_) => "table",
            Self::Contract(_) => "contract",
            Self::CutOff => "cut-off",
        }
    }

    fn not_an(kind: &str) -> Self {
        Self::Contract(format!("it is no {kind}"))
    }
}

fn size(bytes: usize) -> String {
    const MEBIBYTE: usize = 1 << 20;
    if bytes.is_multiple_of(MEBIBYTE) { format!("{} MiB", bytes / MEBIBYTE) } else { format!("{bytes} bytes") }
}

/// Twelve hex digits of the hash over the parts.
fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
