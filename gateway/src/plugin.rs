//! The plugin host: makes policies from Wasm files and from the built-ins, and asks them within limits. Knows no
//! routes, no registry and no sockets.

use std::{sync::Arc, time::SystemTime};

use symgate_sdk::{Call, extract, select};

use crate::config;

/// Makes plugins; holds the Wasm engine. Loading blocks for the time of a compilation: call it off the workers.
pub struct Host {}

/// One version of a policy, ready to be asked. Dropped with its sandboxes when the last snapshot lets go of it.
pub struct Plugin {}

/// Why a file or its configuration is refused; the text is for the operator and names neither plugin nor file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(pub String);

/// Why a plugin gave no answer to one call.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It trapped; with the trap, and the panic message when there is one.
    #[error("trapped: {0}")]
    Trap(String),
    /// It used more time than its limit.
    #[error("used more than its {0:?} of CPU time")]
    Time(std::time::Duration),
    /// It answered something that the contract does not allow.
    #[error("answered against the contract: {0}")]
    Contract(String),
    /// No sandbox: after a trap new ones come with backoff.
    #[error("has no sandbox: a new one is made after a pause when one trapped")]
    NoSandbox,
}

/// What one worker keeps to ask plugins: its own sandboxes, by the plugin's place in the snapshot.
#[derive(Default)]
pub struct Sandboxes {}

impl Host {
    /// Starts the engine and its epoch thread; both end with the last clone of the host.
    pub fn new() -> Result<Self, Rejected> {
        todo!()
    }

    /// A plugin from the bytes of its file: a core module that carries the contract, or a component. Compiles,
    /// checks imports and exports, runs `init` on a trial sandbox, and makes `sandboxes` more that all answered alike.
    ///
    /// # Errors
    /// Says what is wrong with the file or the configuration, and what was expected.
    pub fn load(&self, plugin: &config::Plugin, bytes: &[u8], sandboxes: usize) -> Result<Plugin, Rejected> {
        let _ = (plugin, bytes, sandboxes);
        todo!()
    }

    /// A plugin without a file: the built-in that its configuration names.
    ///
    /// # Errors
    /// Says what is wrong with the configuration.
    pub fn builtin(plugin: &config::Plugin) -> Result<Plugin, Rejected> {
        let _ = plugin;
        todo!()
    }
}

impl Plugin {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Twelve hex digits: the hash of code and configuration; of a built-in: `builtin` and that of its configuration.
    pub fn version(&self) -> &str {
        todo!()
    }

    /// When it was made.
    pub fn loaded(&self) -> SystemTime {
        todo!()
    }

    /// What it wants as an extractor; `None`: it is none.
    pub fn extract_inputs(&self) -> Option<&extract::Inputs> {
        todo!()
    }

    /// What it wants as a selector; `None`: it is none.
    pub fn select_inputs(&self) -> Option<&select::Inputs> {
        todo!()
    }

    /// The native policy to ask when the Wasm one fails; `None`: the configuration names none.
    pub fn fallback(&self) -> Option<&Arc<Self>> {
        todo!()
    }
}

impl Sandboxes {
    /// Asks the plugin at place `at` of the snapshot, which is `plugin`, which symbol the call belongs to.
    ///
    /// # Errors
    /// When it gives no answer; the sandbox is thrown away if that spoiled it.
    pub fn extract(&mut self, at: usize, plugin: &Plugin, call: &Call<'_>) -> Result<extract::Outcome, Failure> {
        let _ = (at, plugin, call);
        todo!()
    }

    /// Asks the plugin at place `at` of the snapshot, which is `plugin`, which candidate gets the call.
    ///
    /// # Errors
    /// When it gives no answer or an index out of range.
    pub fn select(&mut self, at: usize, plugin: &Plugin, question: &Question<'_>) -> Result<select::Outcome, Failure> {
        let _ = (at, plugin, question);
        todo!()
    }

    /// Drops the sandboxes of versions that are not among `plugins`, a snapshot's.
    pub fn keep(&mut self, plugins: &[Arc<Plugin>]) {
        let _ = plugins;
        todo!()
    }
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
