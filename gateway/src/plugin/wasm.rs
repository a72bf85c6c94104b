//! One compiled version of a Wasm plugin and its sandboxes that no worker has taken yet.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use symgate_sdk::{Call, extract::Need, select::Candidates};

use super::{
    Failure, Host, Inputs, Question, Rejected,
    compile::Compiled,
    engine::Ticker,
    lines::Lines,
    sandbox::{Blueprint, Sandbox},
};
use crate::config;

/// One compiled version.
pub(super) struct Wasm {
    /// Differs for everything ever loaded, so that a worker sees that its sandbox is another version's.
    serial: u64,
    blueprint: Blueprint,
    inputs: Inputs,
    ready: Mutex<Vec<Sandbox>>,
    /// How many are made before it decides: one for each worker, and some to spare.
    wanted: usize,
    recycle: config::Recycle,
    /// Its sandboxes rely on being interrupted.
    _ticker: Arc<Ticker>,
}

impl Wasm {
    /// Tries out what was compiled, and fills the pool.
    pub(super) fn new(
        host: &Host,
        plugin: &config::Plugin,
        compiled: &Compiled,
        lines: Lines,
        sandboxes: usize,
    ) -> Result<(Self, Inputs), Rejected> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let blueprint = Blueprint::new(&host.imports, compiled, plugin, lines)?;
        let ticker = host.ticker()?;
        let mut trial = blueprint.sandbox()?;
        let inputs = trial.inputs().clone();
        inputs.check()?;
        if let Err(failure) = self_test(&mut trial, &inputs) {
            // Not refused for it: a plugin may rely on what real calls carry, and each call has its own protection.
            tracing::warn!(plugin = plugin.name, "the plugin {failure}, when it was asked about an empty call");
        }
        let wasm = Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            blueprint,
            inputs: inputs.clone(),
            ready: Mutex::default(),
            wanted: sandboxes + 1,
            recycle: plugin.recycle,
            _ticker: ticker,
        };
        wasm.fill()?;
        Ok((wasm, inputs))
    }

    /// Makes the sandboxes that workers will take.
    pub(super) fn fill(&self) -> Result<(), Rejected> {
        let missing = self.wanted.saturating_sub(self.ready.lock().len());
        let made = (0..missing).map(|_| self.sandbox()).collect::<Result<Vec<_>, _>>()?;
        self.ready.lock().extend(made);
        Ok(())
    }

    /// Sandboxes that nobody has taken.
    pub(super) fn spare(&self) -> usize {
        self.ready.lock().len()
    }

    /// Lets go of the sandboxes that nobody has taken.
    pub(super) fn empty(&self) {
        let ready = std::mem::take(&mut *self.ready.lock());
        drop(ready);
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn recycle(&self) -> &config::Recycle {
        &self.recycle
    }

    pub(super) fn limits(&self) -> config::Limits {
        self.blueprint.limits()
    }

    /// Bytes of linear memory of a new sandbox, and what it fails with when it is asked about an empty call.
    pub(super) fn trial(&self) -> Result<(usize, Option<Failure>), Rejected> {
        let mut sandbox = self.sandbox()?;
        let memory = sandbox.memory();
        Ok((memory, self_test(&mut sandbox, &self.inputs).err()))
    }

    /// A sandbox from the pool; a new one when it is empty.
    pub(super) fn take(&self) -> Result<Sandbox, Rejected> {
        let ready = self.ready.lock().pop();
        ready.map_or_else(|| self.sandbox(), Ok)
    }

    fn sandbox(&self) -> Result<Sandbox, Rejected> {
        let sandbox = self.blueprint.sandbox()?;
        let inputs = sandbox.inputs();
        if *inputs != self.inputs {
            return Err(Rejected(format!(
                "its init does not always answer alike: {:?}, then {inputs:?}; every sandbox must ask for the same",
                self.inputs
            )));
        }
        Ok(sandbox)
    }
}

/// Asks about a call that carries nothing.
fn self_test(sandbox: &mut Sandbox, inputs: &Inputs) -> Result<(), Failure> {
    if let Some(inputs) = &inputs.extract {
        let metadata = vec![None; inputs.metadata.len()];
        let message = (inputs.message == Need::Always).then_some([].as_slice());
        sandbox.extract(&Call { path: "/", metadata: &metadata, message })?;
    }
    if let Some(inputs) = &inputs.select {
        let metadata = vec![None; inputs.metadata.len()];
        let labels = vec![None; inputs.labels.len()];
        let numbers = [&[1, 0, 0][..], if inputs.ids { &[0] } else { &[] }, if inputs.orders { &[0] } else { &[] }];
        let numbers = numbers.concat();
        let candidates = Candidates::new(inputs, &numbers, &labels);
        let call = Call { path: "/", metadata: &metadata, message: None };
        sandbox.select(&Question { call, symbol: "", candidates, random: 0 })?;
    }
    Ok(())
}
