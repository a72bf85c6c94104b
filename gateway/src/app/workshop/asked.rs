//! A call with all that it carries, and the instances to choose from; asked of a plugin as a worker does.

use std::collections::BTreeMap;

use symgate_sdk::{
    Call,
    extract::{self, Need},
    select::{self, Candidates},
};

use crate::plugin::{Failure, Plugin, Question, Sandboxes};

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) metadata: BTreeMap<String, Vec<u8>>,
    pub(super) message: Option<Vec<u8>>,
    pub(super) symbol: String,
    pub(super) instances: Vec<Instance>,
    pub(super) random: u64,
}

/// An instance, with all that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) weight: u32,
    pub(super) in_flight: u32,
    pub(super) latency_us: u32,
    pub(super) id: u64,
    pub(super) order: u64,
    pub(super) labels: BTreeMap<String, String>,
}

/// What an extractor is given of a call.
pub(super) struct ToExtract<'a> {
    path: &'a str,
    values: Vec<Option<&'a [u8]>>,
    message: Option<&'a [u8]>,
    need: Need,
}

/// What a selector is given of a call.
pub(super) struct ToSelect<'a> {
    path: &'a str,
    values: Vec<Option<&'a [u8]>>,
    symbol: &'a str,
    wanted: &'a select::Inputs,
    numbers: Vec<u64>,
    labels: Vec<Option<&'a str>>,
    random: u64,
}

impl Asked {
    /// What an extractor is given that asked for this.
    pub(super) fn to_extract(&self, wanted: &extract::Inputs) -> ToExtract<'_> {
        let (values, message) = (self.values(&wanted.metadata), self.message.as_deref());
        ToExtract { path: &self.path, values, message, need: wanted.message }
    }

    /// What a selector is given that asked for this.
    pub(super) fn to_select<'a>(&'a self, wanted: &'a select::Inputs) -> ToSelect<'a> {
        let label = |instance: &'a Instance, key: &String| instance.labels.get(key).map(String::as_str);
        ToSelect {
            path: &self.path,
            values: self.values(&wanted.metadata),
            symbol: &self.symbol,
            wanted,
            numbers: self.instances.iter().flat_map(|instance| instance.numbers(wanted)).collect(),
            labels: self.instances.iter().flat_map(|it| wanted.labels.iter().map(move |key| label(it, key))).collect(),
            random: self.random,
        }
    }

    fn values(&self, keys: &[String]) -> Vec<Option<&[u8]>> {
        keys.iter().map(|key| self.metadata.get(key).map(Vec::as_slice)).collect()
    }
}

impl Instance {
    fn numbers(&self, wanted: &select::Inputs) -> impl Iterator<Item = u64> + use<> {
        let figures = [self.weight, self.in_flight, self.latency_us].map(u64::from);
        figures.into_iter().chain(wanted.ids.then_some(self.id)).chain(wanted.orders.then_some(self.order))
    }
}

impl ToExtract<'_> {
    /// What the plugin says in the end: with the message, where it wants that and the call has one.
    pub(super) fn ask(&self, sandboxes: &mut Sandboxes, plugin: &Plugin) -> Result<extract::Outcome, Failure> {
        let call = |message| Call { path: self.path, metadata: &self.values, message };
        if self.need != Need::Always {
            let outcome = sandboxes.extract(0, plugin, &call(None))?.outcome;
            if outcome != extract::Outcome::NeedMessage {
                return Ok(outcome);
            }
        }
        match self.message {
            Some(message) => Ok(sandboxes.extract(0, plugin, &call(Some(message)))?.outcome),
            None => Ok(extract::Outcome::NeedMessage),
        }
    }
}

impl ToSelect<'_> {
    /// What the plugin says; it is asked about a single candidate, too. `more` is added to the random number.
    pub(super) fn ask(
        &self,
        sandboxes: &mut Sandboxes,
        plugin: &Plugin,
        more: u64,
    ) -> Result<select::Outcome, Failure> {
        let call = Call { path: self.path, metadata: &self.values, message: None };
        let candidates = Candidates::new(self.wanted, &self.numbers, &self.labels);
        let random = self.random.wrapping_add(more);
        sandboxes.select(0, plugin, &Question { call, symbol: self.symbol, candidates, random })
    }
}
