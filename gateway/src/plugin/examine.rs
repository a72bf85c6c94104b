//! A plugin file looked at by itself, for who writes it: what it is, whether it is taken, what it needs. Asks it nothing
//! that loading it does not.

use std::time::{Duration, Instant};

use super::{Failure, Host, Plugin, Policy, Rejected, compile, pin};
use crate::config;

/// What a file is, and what the host says to it.
pub struct Examined {
    /// `module` or `component`; `None`: it is no WebAssembly.
    pub kind: Option<&'static str>,
    /// What it exports, by the names of the contract.
    pub exports: Vec<String>,
    /// What it imports, by the names of the contract.
    pub imports: Vec<String>,
    /// How long compiling took here, or reading the code where a cache has it; `None`: it does not compile.
    pub compiled: Option<Duration>,
    /// The plugin, or why it is refused.
    pub tried: Result<Tried, Rejected>,
}

/// A plugin that was tried out.
pub struct Tried {
    /// With a sandbox.
    pub plugin: Plugin,
    /// Bytes of linear memory that a sandbox has after `init`.
    pub memory: usize,
    /// How it fails when it is asked about a call that carries nothing; it is not refused for that.
    pub empty_call: Option<Failure>,
}

impl Host {
    /// Does with the bytes of a file what [`Host::load`] does, in this process, and tells more of it.
    pub fn examine(&self, plugin: &config::Plugin, bytes: &[u8]) -> Examined {
        let mut examined = Examined {
            kind: kind(bytes),
            exports: Vec::new(),
            imports: Vec::new(),
            compiled: None,
            tried: Err(Rejected(String::new())),
        };
        let begin = Instant::now();
        let component = match compile::component(&self.engine, bytes) {
            Ok((_, component)) => component,
            Err(rejected) => return Examined { tried: Err(rejected), ..examined },
        };
        examined.compiled = Some(begin.elapsed());
        let ty = component.component_type();
        examined.exports = ty.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        examined.imports = ty.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let compiled = compile::check(&self.engine, component);
        let pinned = |compiled| Ok((compiled, pin::check(plugin, bytes)?));
        let made =
            compiled.and_then(pinned).and_then(|(compiled, sha256)| self.make(plugin, (bytes, sha256), &compiled, 1));
        examined.tried = made.and_then(tried);
        examined
    }
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    let kinds = [(compile::CORE_MODULE, "module"), (compile::COMPONENT, "component")];
    kinds.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| kind)
}

fn tried(plugin: Plugin) -> Result<Tried, Rejected> {
    let (memory, empty_call) = match &plugin.policy {
        Policy::Wasm(wasm) => wasm.trial()?,
        Policy::Native(_) => (0, None),
    };
    Ok(Tried { plugin, memory, empty_call })
}
