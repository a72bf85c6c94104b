//! Who compiles: a child process when there is a cache to leave the code in, else this one. Says once when it has to do
//! without the child.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use tracing::{info, warn};
use wasmtime::Engine;

use super::{
    Rejected,
    apart::{self, Answer, Unable},
    cache::CodeCache,
    compile::{self, Compiled},
};

/// Where the code of a plugin came from, for the log.
const KEPT: &str = "the cache";
const APART: &str = "a child process";
const HERE: &str = "this process";

/// Compiles plugins.
#[derive(Default)]
pub(super) struct Compiler {
    cache: Option<CodeCache>,
    /// The program that compiles apart.
    program: Option<PathBuf>,
    /// Whether the log has it that this process compiles.
    said: AtomicBool,
}

impl Compiler {
    /// Keeps compiled code in `cache`; `program` is this one, to be run as a child.
    pub(super) fn new(cache: Option<CodeCache>, program: Option<PathBuf>) -> Self {
        Self { cache, program, said: AtomicBool::new(false) }
    }

    /// A component that speaks the contract from the bytes of the file of `plugin`.
    pub(super) fn compile(&self, engine: &Engine, plugin: &str, bytes: &[u8]) -> Result<Compiled, Rejected> {
        let begin = Instant::now();
        let (compiled, code) = match self.apart(bytes) {
            None => (compile::compile(engine, bytes)?, HERE),
            Some(Answer::Refused(reason)) => return Err(Rejected(reason)),
            Some(Answer::Kept(component)) => (self.fetch(engine, &component)?, KEPT),
            Some(Answer::Compiled(component)) => (self.fetch(engine, &component)?, APART),
        };
        info!(plugin, code, took_ms = begin.elapsed().as_millis(), "plugin compiled");
        Ok(compiled)
    }

    /// What the child says; `None`: this process has to compile.
    fn apart(&self, bytes: &[u8]) -> Option<Answer> {
        let (Some(cache), Some(program)) = (&self.cache, &self.program) else { return None };
        match apart::ask(apart::command(program, cache.folder()), bytes.to_vec(), apart::LIMIT) {
            Ok(answer) => Some(answer),
            Err(Unable(reason)) => {
                self.say(&reason);
                None
            }
        }
    }

    /// A component whose code the child left in the cache.
    fn fetch(&self, engine: &Engine, component: &[u8]) -> Result<Compiled, Rejected> {
        let hits = |cache: &Option<CodeCache>| cache.as_ref().map_or(0, CodeCache::hits);
        let before = hits(&self.cache);
        let compiled = compile::compile(engine, component)?;
        if hits(&self.cache) == before {
            self.say("what the compiler's process left in the folder cannot be read; has the disk room?");
        }
        Ok(compiled)
    }

    fn say(&self, reason: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            warn!(reason, "plugins are compiled by the gateway itself, which takes memory and time from calls");
        }
    }
}
