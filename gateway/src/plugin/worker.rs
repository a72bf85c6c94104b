//! What one worker keeps to ask plugins: its own sandboxes, and what pure ones answered. Nothing here is shared between
//! threads.

use std::{sync::Arc, time::Instant};

use rustc_hash::FxHashMap;
use symgate_sdk::{
    Call,
    extract::{self, Need},
    select,
};

use super::{
    Extracted, Failure, Plugin, Policy, Question, Rejected,
    breaker::Breaker,
    remembered::{Key, Remembered},
    sandbox::Sandbox,
    tally::{Gathered, Tally},
    wasm::Wasm,
};

/// What one worker keeps to ask plugins, by the plugin's place in the snapshot.
#[derive(Default)]
pub struct Sandboxes {
    kept: FxHashMap<usize, Kept>,
}

/// What is kept of one plugin version.
struct Kept {
    /// Whose: see [`Wasm::serial`].
    serial: u64,
    sandbox: Option<Sandbox>,
    /// Calls into the sandbox.
    calls: u32,
    breaker: Breaker,
    gathered: Gathered,
    /// `None`: its outcomes are not to be remembered.
    remembered: Option<Box<Remembered>>,
}

impl Sandboxes {
    /// Which symbol the call belongs to, says the plugin at place `at` of the snapshot, which is `plugin`. A pure one in
    /// a sandbox is asked once about the same inputs; a built-in answers sooner than anything is remembered.
    ///
    /// # Errors
    /// When it gives no answer; the sandbox is thrown away if that spoiled it.
    pub fn extract(&mut self, at: usize, plugin: &Plugin, call: &Call<'_>) -> Result<Extracted, Failure> {
        let asked = |outcome| Extracted { outcome, remembered: false };
        let call = &given(*call, plugin.extract_inputs().is_some_and(|inputs| inputs.path));
        let wasm = match &plugin.policy {
            Policy::Native(native) => return allowed(plugin, call, native.extract(call)?).map(asked),
            Policy::Wasm(wasm) => wasm,
        };
        let kept = self.kept(at, plugin, wasm);
        let key = kept.key(call);
        if let Some(outcome) = key.and_then(|key| kept.remembered.as_mut()?.recall(key, call)) {
            // Else single inputs that fail, which are never remembered, would seem to be a large part.
            kept.gathered.answered(&plugin.tally);
            return Ok(Extracted { outcome, remembered: true });
        }
        let outcome = kept.ask(plugin, wasm, is_decision, |sandbox| allowed(plugin, call, sandbox.extract(call)?))?;
        if let (Some(key), Some(remembered)) = (key, &mut kept.remembered) {
            remembered.remember(key, call, &outcome);
        }
        Ok(asked(outcome))
    }

    /// Asks the plugin at place `at` of the snapshot, which is `plugin`, which candidate gets the call.
    ///
    /// # Errors
    /// When it gives no answer or an index out of range.
    pub fn select(&mut self, at: usize, plugin: &Plugin, question: &Question<'_>) -> Result<select::Outcome, Failure> {
        let wanted = |is_wanted: fn(&select::Inputs) -> bool| plugin.select_inputs().is_some_and(is_wanted);
        let call = given(question.call, wanted(|inputs| inputs.path));
        let symbol = if wanted(|inputs| inputs.symbol) { question.symbol } else { "" };
        let question = &Question { call, symbol, ..*question };
        match &plugin.policy {
            Policy::Native(native) => one_of(question, native.select(question)?),
            Policy::Wasm(wasm) => {
                let ask = |sandbox: &mut Sandbox| one_of(question, sandbox.select(question)?);
                self.kept(at, plugin, wasm).ask(plugin, wasm, |_| true, ask)
            }
        }
    }

    /// Drops what belongs to versions that are not among `plugins`, a snapshot's.
    pub fn keep(&mut self, plugins: &[Arc<Plugin>]) {
        self.kept.retain(|at, kept| match plugins.get(*at).map(|plugin| &plugin.policy) {
            Some(Policy::Wasm(wasm)) => wasm.serial() == kept.serial,
            Some(Policy::Native(_)) | None => false,
        });
    }

    fn kept(&mut self, at: usize, plugin: &Plugin, wasm: &Wasm) -> &mut Kept {
        let kept = self.kept.entry(at).or_insert_with(|| Kept::new(plugin, wasm));
        if kept.serial != wasm.serial() {
            *kept = Kept::new(plugin, wasm);
        }
        kept
    }
}

impl Kept {
    fn new(plugin: &Plugin, wasm: &Wasm) -> Self {
        let remembered = plugin.remembers().then(|| Box::new(Remembered::new()));
        let (breaker, gathered) = (Breaker::default(), Gathered::default());
        Self { serial: wasm.serial(), sandbox: None, calls: 0, breaker, gathered, remembered }
    }

    fn key(&self, call: &Call<'_>) -> Option<Key> {
        self.remembered.as_ref()?.key(call)
    }

    fn ask<T>(
        &mut self,
        plugin: &Plugin,
        wasm: &Wasm,
        is_decision: impl FnOnce(&T) -> bool,
        question: impl FnOnce(&mut Sandbox) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let answer = match &mut self.sandbox {
            Some(sandbox) => question(sandbox),
            empty => {
                if self.breaker.holds(Instant::now()) {
                    return Err(Failure::CutOff);
                }
                match wasm.take() {
                    Ok(sandbox) => question(empty.insert(sandbox)),
                    Err(Rejected(reason)) => Err(Failure::Trap(format!("while a new sandbox was made: {reason}"))),
                }
            }
        };
        if let Ok(answer) = &answer {
            if is_decision(answer) {
                self.breaker.answered();
            }
            self.gathered.answered(&plugin.tally);
            self.replace(wasm, &plugin.tally);
        } else {
            self.calls = 0;
            // Not known of one that could not be made: as much as it may have taken.
            let limit = wasm.limits().time;
            let took = self.sandbox.take().map_or(limit, |sandbox| sandbox.spent());
            self.breaker.failed(Instant::now(), took, limit, &plugin.tally);
            self.gathered.failed(&plugin.tally);
        }
        answer
    }

    /// Lets go of a sandbox that has done enough; the next call finds another one.
    fn replace(&mut self, wasm: &Wasm, tally: &Tally) {
        self.calls = self.calls.saturating_add(1);
        if self.sandbox.as_ref().is_some_and(|sandbox| wasm.recycle().is_due(self.calls, sandbox.memory())) {
            self.sandbox = None;
            self.calls = 0;
            tally.recycle();
        }
    }
}

/// The call as a plugin is given it that wants the path or not.
fn given(call: Call<'_>, path: bool) -> Call<'_> {
    if path { call } else { Call { path: "", ..call } }
}

/// One that wants the message may still fail over it: that does not forgive the failures before.
fn is_decision(outcome: &extract::Outcome) -> bool {
    *outcome != extract::Outcome::NeedMessage
}

/// The outcome, if the contract allows it.
fn allowed(plugin: &Plugin, call: &Call<'_>, outcome: extract::Outcome) -> Result<extract::Outcome, Failure> {
    if outcome == extract::Outcome::NeedMessage {
        if call.message.is_some() {
            return Err(Failure::Contract("`need-message` though the message was given".into()));
        }
        if plugin.extract_inputs().is_some_and(|inputs| inputs.message == Need::Never) {
            return Err(Failure::Contract("`need-message` after it declared `never` at init".into()));
        }
    }
    Ok(outcome)
}

/// The outcome, if it is one of the candidates.
fn one_of(question: &Question<'_>, outcome: select::Outcome) -> Result<select::Outcome, Failure> {
    let count = question.candidates.len();
    match outcome {
        select::Outcome::Candidate(index) if usize::try_from(index).is_ok_and(|index| index >= count) => {
            Err(Failure::Contract(format!("candidate {index} of {count}; the first is 0")))
        }
        outcome => Ok(outcome),
    }
}
