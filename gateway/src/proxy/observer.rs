//! Who looks on while it is decided where a call goes: for a real call the worker's counters and its record of decisions.
//! What an observer notes never changes what is decided.

use std::sync::Arc;

use symgate_sdk::{Call, select};

use super::{
    attempt::Target,
    candidates::{Chosen, Standing},
};
use crate::{
    config::Route,
    metrics::PluginMetrics,
    plugin::{Extracted, Failure, Plugin, Question, Ring},
    routing::{Instance, Live},
    snapshot::Service,
};

/// A plugin's place in the snapshot, and the version that is asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) at: usize,
    pub(super) plugin: &'a Plugin,
    /// Where that is counted.
    pub(super) counters: Option<&'a PluginMetrics>,
}

/// Looks on. What is not of interest costs nothing: each observer has code of its own.
pub(super) trait Observer {
    /// The call takes this route.
    fn routed(&mut self, _route: &Route, _service: &Service) {}

    /// It is known whose call it is.
    fn found(&mut self, _target: &Target) {}

    /// It may go to those that were chosen among the known instances.
    fn chosen(&mut self, _known: &[Arc<Instance>], _chosen: &Chosen, _standing: impl Fn(&Live) -> Standing) {}

    /// A plugin is about to be asked.
    fn asks(&mut self) {}

    /// A selector is not asked about a single candidate.
    fn skipped(&mut self, _asked: Asked<'_>) {}

    /// An extractor answered.
    fn extracted(&mut self, asked: Asked<'_>, call: &Call<'_>, answer: &Result<Extracted, Failure>);

    /// A selector answered.
    fn selected(&mut self, asked: Asked<'_>, question: &Question<'_>, answer: &Result<select::Outcome, Failure>);

    /// A plugin gave no answer that can be used.
    fn failed(&mut self, _asked: Asked<'_>, _failure: &Failure) {}
}

/// Real calls are counted, and their decisions recorded.
impl Observer for Ring {
    fn extracted(&mut self, asked: Asked<'_>, call: &Call<'_>, answer: &Result<Extracted, Failure>) {
        if let Some(counters) = asked.counters {
            let remembered = answer.as_ref().is_ok_and(|extracted| extracted.remembered);
            if remembered { &counters.remembered } else { &counters.extracts }.inc();
        }
        if was_asked(answer) {
            self.record_extracted(asked.at, asked.plugin, call, answer);
        }
    }

    fn selected(&mut self, asked: Asked<'_>, question: &Question<'_>, answer: &Result<select::Outcome, Failure>) {
        if let Some(counters) = asked.counters {
            counters.selects.inc();
        }
        if was_asked(answer) {
            self.record_selected(asked.at, asked.plugin, question, answer);
        }
    }

    fn failed(&mut self, asked: Asked<'_>, failure: &Failure) {
        if let Some(counters) = asked.counters {
            counters.failed(failure.reason());
        }
    }
}

/// While it is cut off nobody judges the inputs.
fn was_asked<T>(answer: &Result<T, Failure>) -> bool {
    !matches!(answer, Err(Failure::CutOff))
}
