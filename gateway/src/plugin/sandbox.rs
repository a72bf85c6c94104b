//! A sandbox: one live instantiation of a plugin. Any trap spoils it; whoever asked it throws it away then.

use std::{sync::Arc, time::Duration};

use symgate_sdk::{Call, extract, select};
use wasmtime::{
    Engine, Store, StoreContextMut, Trap,
    component::{HasSelf, InstancePre, Linker},
};

use super::{
    Failure, Inputs, Question, Rejected,
    compile::Compiled,
    limits::{Meter, OutOfMemory, OutOfTable},
    lines::{self, Lines},
    wit,
};
use crate::config;

/// What all sandboxes of one plugin version are made from.
pub(super) struct Blueprint {
    pre: InstancePre<Inside>,
    extract: Option<wit::ExtractIndices>,
    select: Option<wit::SelectIndices>,
    config: String,
    limits: config::Limits,
    lines: Arc<Lines>,
}

/// One live instantiation.
pub(super) struct Sandbox {
    store: Store<Inside>,
    extract: Option<wit::ExtractGuest>,
    select: Option<wit::SelectGuest>,
    /// What it asked for at init.
    inputs: Inputs,
}

/// What the host keeps for a sandbox.
pub(super) struct Inside {
    meter: Meter,
    lines: Arc<Lines>,
    /// The last error line of the call under way: the panic message when it traps.
    last_words: Option<String>,
}

/// What a plugin may import.
pub(super) fn imports(engine: &Engine) -> wasmtime::Result<Linker<Inside>> {
    let mut linker = Linker::new(engine);
    wit::log::add_to_linker::<Inside, HasSelf<Inside>>(&mut linker, |inside| inside)?;
    Ok(linker)
}

impl Blueprint {
    /// Links a compiled plugin.
    pub(super) fn new(
        imports: &Linker<Inside>,
        compiled: &Compiled,
        plugin: &config::Plugin,
        lines: Lines,
    ) -> Result<Self, Rejected> {
        let unfit = |error: wasmtime::Error| Rejected(format!("it does not fit the contract: {error:#}"));
        let pre = imports.instantiate_pre(&compiled.component).map_err(unfit)?;
        Ok(Self {
            extract: compiled.extracts.then(|| wit::ExtractIndices::new(&pre)).transpose().map_err(unfit)?,
            select: compiled.selects.then(|| wit::SelectIndices::new(&pre)).transpose().map_err(unfit)?,
            pre,
            config: plugin.config.clone(),
            limits: plugin.limits,
            lines: Arc::new(lines),
        })
    }

    pub(super) fn limits(&self) -> config::Limits {
        self.limits
    }

    /// A new sandbox, initialised.
    pub(super) fn sandbox(&self) -> Result<Sandbox, Rejected> {
        let inside = Inside { meter: Meter::new(self.limits), lines: Arc::clone(&self.lines), last_words: None };
        let mut store = Store::new(self.pre.engine(), inside);
        store.limiter(|inside| &mut inside.meter);
        store
            .epoch_deadline_callback(|mut store: StoreContextMut<'_, Inside>| Ok(store.data_mut().meter.interrupted()));
        begin(&mut store);
        let instance = self
            .pre
            .instantiate(&mut store)
            .map_err(|error| Rejected(format!("no sandbox can be made: it {}", failure(&store, &error))))?;
        let unfit = |error: wasmtime::Error| Rejected(format!("it does not fit the contract: {error:#}"));
        let extract = self.extract.as_ref().map(|extract| extract.load(&mut store, &instance)).transpose();
        let select = self.select.as_ref().map(|select| select.load(&mut store, &instance)).transpose();
        let (extract, select) = (extract.map_err(unfit)?, select.map_err(unfit)?);
        let mut sandbox = Sandbox { extract, select, store, inputs: Inputs::default() };
        sandbox.init(&self.config)?;
        Ok(sandbox)
    }
}

impl Sandbox {
    fn init(&mut self, config: &str) -> Result<(), Rejected> {
        if let Some(guest) = &self.extract {
            begin(&mut self.store);
            let answer = guest.call_init(&mut self.store, config);
            self.inputs.extract = Some(initialised(&self.store, answer)?.into());
        }
        if let Some(guest) = &self.select {
            begin(&mut self.store);
            let answer = guest.call_init(&mut self.store, config);
            self.inputs.select = Some(initialised(&self.store, answer)?.into());
        }
        Ok(())
    }

    /// What it asked for at init.
    pub(super) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Bytes of its linear memory.
    pub(super) fn memory(&self) -> usize {
        self.store.data().meter.memory()
    }

    /// CPU time that the last call took, about.
    pub(super) fn spent(&self) -> Duration {
        self.store.data().meter.spent()
    }

    /// Which symbol? Any failure spoils the sandbox.
    pub(super) fn extract(&mut self, call: &Call<'_>) -> Result<extract::Outcome, Failure> {
        let (Some(guest), Some(wanted)) = (&self.extract, &self.inputs.extract) else {
            return Err(Failure::not_an("extractor"));
        };
        begin(&mut self.store);
        match guest.call_extract(&mut self.store, wit::call(call, wanted)) {
            Ok(outcome) => Ok(outcome.into()),
            Err(error) => Err(failure(&self.store, &error)),
        }
    }

    /// Which candidate? Any failure spoils the sandbox.
    pub(super) fn select(&mut self, question: &Question<'_>) -> Result<select::Outcome, Failure> {
        let (Some(guest), Some(wanted)) = (&self.select, &self.inputs.select) else {
            return Err(Failure::not_an("selector"));
        };
        begin(&mut self.store);
        match guest.call_select(&mut self.store, wit::question(question, wanted)) {
            Ok(outcome) => Ok(outcome.into()),
            Err(error) => Err(failure(&self.store, &error)),
        }
    }
}

impl wit::log::Host for Inside {
    fn write(&mut self, level: wit::log::Level, text: String) {
        self.lines.write(level, &text);
        if level == wit::log::Level::Error {
            self.last_words = Some(lines::cut(&text).to_owned());
        }
    }
}

fn begin(store: &mut Store<Inside>) {
    let inside = store.data_mut();
    inside.last_words = None;
    inside.meter.begin();
    store.set_epoch_deadline(1);
}

fn initialised<T>(store: &Store<Inside>, answer: wasmtime::Result<Result<T, String>>) -> Result<T, Rejected> {
    match answer {
        Ok(Ok(inputs)) => Ok(inputs),
        Ok(Err(text)) => Err(Rejected(format!("it refuses its configuration: {}", lines::cut(&text)))),
        Err(error) => Err(Rejected(format!("its init {}", failure(store, &error)))),
    }
}

/// What ended a call.
fn failure(store: &Store<Inside>, error: &wasmtime::Error) -> Failure {
    let inside = store.data();
    let limits = inside.meter.limits();
    if error.is::<OutOfMemory>() {
        return Failure::Memory(limits.memory);
    }
    if error.is::<OutOfTable>() {
        return Failure::Table(limits.table);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Time(limits.time),
        // How Rust ends a panic, after the SDK has logged its message.
        Some(Trap::UnreachableCodeReached) if let Some(words) = &inside.last_words => Failure::Trap(words.clone()),
        Some(trap) => {
            let kind = trap.to_string();
            Failure::Trap(kind.strip_prefix("wasm trap: ").unwrap_or(&kind).to_owned())
        }
        None => Failure::Trap(error.root_cause().to_string()),
    }
}
