//! The symbols that a service should have instances of, and which of them have none. For people only: nothing is routed
//! by it, and readiness does not depend on it.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use tracing::{info, warn};

use super::source::{Change, Entry, Event};
use crate::{
    config::{Registry, Service},
    routing::{Lookup, ServiceTable, Symbol},
    snapshot::Expectation,
};

#[cfg(test)]
mod tests;

/// Symbols that a line of the log names; it says how many there are.
const NAMED: usize = 20;

/// The list of one service, held against its table.
pub(super) struct Expected {
    /// What comes before the symbol in the keys of the list.
    prefix: String,
    listed: Arc<BTreeSet<Symbol>>,
    loaded: bool,
    stale_since: Option<SystemTime>,
    /// Those without an instance; `None` until the list and the table were both read.
    missing: Option<BTreeSet<Symbol>>,
    /// Whether all of it is to be held against the table again.
    anew: bool,
    /// Those that the log has told of as missing.
    told: BTreeSet<Symbol>,
    /// Whether others may be missing by now.
    news: bool,
}

impl Expected {
    /// Of a service of which nothing was read yet; `None` when nothing is expected of it.
    pub(super) fn of(service: &Service, registry: &Registry) -> Option<Self> {
        let prefix = service.expected.as_ref()?.prefix(registry);
        Some(Self {
            prefix,
            listed: Arc::default(),
            loaded: false,
            stale_since: None,
            missing: None,
            anew: true,
            told: BTreeSet::new(),
            news: false,
        })
    }

    /// Takes in what the source of the list says.
    pub(super) fn hear(&mut self, service: &str, change: Change) {
        match change {
            Change::Listed { entries, .. } => {
                self.listed = Arc::new(entries.iter().filter_map(|entry| self.symbol(&entry.key)).collect());
                if !self.loaded || self.stale_since.is_some() {
                    info!(service, symbols = self.listed.len(), "expected symbols listed");
                }
                (self.loaded, self.stale_since, self.anew) = (true, None, true);
            }
            Change::Events { events, .. } => events.into_iter().for_each(|event| self.apply(event)),
            Change::Lost { reason } => {
                warn!(service, reason, "the list of expected symbols cannot be heard; it stays as it was");
                self.stale_since.get_or_insert_with(SystemTime::now);
            }
            Change::Alive { .. } | Change::Audited | Change::Repaired { .. } | Change::Kept { .. } => {}
        }
    }

    fn apply(&mut self, event: Event) {
        let (key, put) = match event {
            Event::Put(Entry { key, .. }) => (key, true),
            Event::Delete { key } => (key, false),
        };
        let Some(symbol) = self.symbol(&key) else { return };
        let listed = Arc::make_mut(&mut self.listed);
        self.anew |= if put { listed.insert(symbol) } else { listed.remove(&symbol) };
    }

    /// A key that ends where the symbol should begin names none.
    fn symbol(&self, key: &str) -> Option<Symbol> {
        key.strip_prefix(&self.prefix).filter(|symbol| !symbol.is_empty()).map(Symbol::from)
    }

    /// Follows the table, in which these symbols changed.
    pub(super) fn follow(&mut self, table: &ServiceTable, changed: &[Symbol]) {
        if !self.loaded {
            return;
        }
        let is_missing = |symbol: &Symbol| !matches!(table.lookup(symbol.as_str()), Lookup::Known([_, ..]));
        match &mut self.missing {
            Some(missing) if !self.anew => {
                for symbol in changed.iter().filter(|symbol| self.listed.contains(*symbol)) {
                    self.news |=
                        if is_missing(symbol) { missing.insert(symbol.clone()) } else { missing.remove(symbol) };
                }
            }
            missing if self.anew => {
                *missing = Some(self.listed.iter().filter(|symbol| is_missing(symbol)).cloned().collect());
                self.news = true;
            }
            _ => {}
        }
        self.anew = false;
    }

    /// Whether the log has something to tell.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// Tells the log which symbols are missing since it was told last, and which are there again.
    pub(super) fn tell(&mut self, service: &str) {
        self.news = false;
        let Some(missing) = &self.missing else { return };
        let gone: Vec<_> = missing.difference(&self.told).collect();
        // What is expected no more is not there again.
        let back: Vec<_> = self.told.difference(missing).filter(|symbol| self.listed.contains(*symbol)).collect();
        if !back.is_empty() {
            let (symbols, count, missing) = (named(&back), back.len(), missing.len());
            info!(service, symbols, count, missing, "expected symbols have an instance again");
        }
        if !gone.is_empty() {
            let (symbols, count, missing) = (named(&gone), gone.len(), missing.len());
            warn!(service, symbols, count, missing, "expected symbols have no instance");
        }
        self.told.clone_from(missing);
    }

    /// What everybody may see of it now.
    pub(super) fn show(&self) -> Expectation {
        Expectation {
            listed: self.listed.clone(),
            loaded: self.loaded,
            stale_since: self.stale_since,
            missing: self.missing.as_ref().map(BTreeSet::len),
        }
    }
}

/// The first of many.
fn named(symbols: &[&Symbol]) -> String {
    let mut text = symbols.iter().take(NAMED).map(|symbol| symbol.as_str()).collect::<Vec<_>>().join(", ");
    if symbols.len() > NAMED {
        text += ", ...";
    }
    text
}
