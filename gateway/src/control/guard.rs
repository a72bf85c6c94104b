//! Spares instances when most of a service leaves the registry at once: a fault of the registry takes the leases of all,
//! a process that ends takes its own. Knows no registry, no clock and no connection.
//!
//! Whoever leaves is remembered for a while with all that is known live of it. When too many do, those whose symbol
//! nobody else owns serve on, over the connections that they have.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{index::Index, lives::Lives};
use crate::{
    config,
    routing::{Address, Instance, Symbol},
};

#[cfg(test)]
mod tests;

/// Instances that left one service.
#[derive(Debug)]
pub(super) struct Guard {
    rule: config::Guard,
    gone: FxHashMap<Symbol, Vec<Gone>>,
    /// Under which symbols each address is above.
    places: FxHashMap<Address, Vec<Symbol>>,
    /// Symbols of which others serve on than [`Self::judge`] said last.
    changed: Vec<Symbol>,
    figures: Figures,
    /// Registrations when that was last looked at, and the most that there were before anybody of `gone` left.
    registered: usize,
    most: usize,
    alarmed: bool,
}

/// How many instances, once per symbol that they owned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Left and are remembered.
    pub(super) gone: usize,
    /// Of these, serve on.
    pub(super) spared: usize,
}

/// An instance that left.
#[derive(Debug)]
struct Gone {
    instance: Arc<Instance>,
    since: Instant,
    /// How many registrations there were before it left.
    among: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is gone, unless too many others leave soon.
    Remembered,
    /// It serves on.
    Spared,
    /// It is gone. It still counts among those that left together.
    Believed,
}

/// What the guard looks at, and when.
pub(super) struct Now<'a> {
    /// Who is registered.
    pub(super) index: &'a Index,
    /// Where it holds those that left.
    pub(super) lives: &'a mut Lives,
    /// When.
    pub(super) now: Instant,
}

impl Guard {
    /// Nobody left yet.
    pub(super) fn new(rule: config::Guard) -> Self {
        Self {
            rule,
            gone: FxHashMap::default(),
            places: FxHashMap::default(),
            changed: Vec::new(),
            figures: Figures::default(),
            registered: 0,
            most: 0,
            alarmed: false,
        }
    }

    /// How many left.
    pub(super) fn figures(&self) -> Figures {
        self.figures
    }

    /// What is an alarm, for the log.
    pub(super) fn rule(&self) -> &config::Guard {
        &self.rule
    }

    /// The instances of a symbol were `before` and are `after`: remembers who left a service that is large enough, and
    /// forgets who is announced again.
    pub(super) fn follow(
        &mut self,
        symbol: &Symbol,
        before: &[Arc<Instance>],
        after: &[Arc<Instance>],
        at: &mut Now<'_>,
    ) {
        if self.rule.at_most.is_zero() {
            return;
        }
        let stayed = |address| before.iter().any(|it| it.live.address() == address) && !self.is_gone(symbol, address);
        let somebody_came = !after.iter().all(|instance| stayed(instance.live.address()));
        for instance in after {
            let address = instance.live.address();
            for place in self.places.get(address).cloned().unwrap_or_default() {
                self.forget(&place, at.lives, |gone| gone.instance.live.address() == address);
                self.changed.push(place);
            }
        }
        if somebody_came {
            self.believe(symbol);
        }
        let among = self.registered;
        if among.max(self.most) < self.rule.minimum {
            return;
        }
        for instance in before {
            let address = instance.live.address();
            // Who only owns another symbol now did not leave.
            if self.is_gone(symbol, address) || at.index.announces(address) {
                continue;
            }
            at.lives.hold(address);
            self.figures.gone += 1;
            self.places.entry(address.clone()).or_default().push(symbol.clone());
            self.most = self.most.max(among);
            let gone = Gone { instance: instance.clone(), since: at.now, among, state: State::Remembered };
            self.gone.entry(symbol.clone()).or_default().push(gone);
        }
    }

    /// Spares whom it may when too many left, and nobody longer than it may; returns the symbols of which others serve
    /// on than before. Looks at the symbols that changed; at all of them when an alarm begins, and without `changed`.
    pub(super) fn judge<'a>(
        &mut self,
        changed: Option<impl Iterator<Item = &'a Symbol>>,
        at: &mut Now<'_>,
    ) -> Vec<Symbol> {
        if changed.is_none() {
            let counts = self.gone.values().flatten().filter(|gone| !gone.is_over(at.now, self.rule.within));
            self.most = counts.map(|gone| gone.among).max().unwrap_or_default();
        }
        self.registered = at.index.registrations();
        let lost = self.most.saturating_sub(self.registered);
        let alarmed = lost >= self.rule.minimum && lost as f64 > self.rule.share * self.most as f64;
        let begins = alarmed && !std::mem::replace(&mut self.alarmed, alarmed);
        let symbols: Vec<_> = match changed.filter(|_| !begins) {
            Some(changed) => changed.filter(|symbol| self.gone.contains_key(*symbol)).cloned().collect(),
            None => self.gone.keys().cloned().collect(),
        };
        let mut judged = std::mem::take(&mut self.changed);
        judged.extend(symbols.into_iter().filter(|symbol| self.judge_symbol(symbol, at)));
        judged
    }

    /// Whether others serve on than before.
    fn judge_symbol(&mut self, symbol: &Symbol, at: &mut Now<'_>) -> bool {
        let owned = at.index.owns(symbol);
        let mut changed = false;
        for gone in self.gone.get_mut(symbol).into_iter().flatten() {
            let connected = gone.instance.live.connections() > 0;
            let young = at.now.saturating_duration_since(gone.since) < self.rule.at_most;
            let state = match gone.state {
                State::Remembered if connected && (owned || !self.alarmed) => State::Remembered,
                State::Remembered | State::Spared if connected && !owned && young => State::Spared,
                // A connection that is opened later may lead to another process.
                _ => State::Believed,
            };
            let [before, after] = [gone.state, state].map(|state| usize::from(state == State::Spared));
            self.figures.spared = self.figures.spared + after - before;
            changed |= before != after;
            gone.state = state;
        }
        let (now, within) = (at.now, self.rule.within);
        self.forget(symbol, at.lives, |gone| gone.is_over(now, within));
        changed
    }

    /// Somebody who knows better says that all of them are gone; returns the symbols of those that served on.
    pub(super) fn release(&mut self, lives: &mut Lives) -> Vec<Symbol> {
        let symbols: Vec<_> = self.gone.keys().cloned().collect();
        let spared = |symbol: &Symbol| self.gone.get(symbol).is_some_and(|gone| gone.iter().any(Gone::is_spared));
        let released = symbols.iter().filter(|symbol| spared(symbol)).cloned().collect();
        symbols.iter().for_each(|symbol| self.forget(symbol, lives, |_| true));
        released
    }

    /// Those of a symbol that serve on.
    pub(super) fn spared_of(&self, symbol: &Symbol) -> Arc<[Arc<Instance>]> {
        let gone = self.gone.get(symbol).into_iter().flatten();
        gone.filter(|gone| gone.is_spared()).map(|gone| gone.instance.clone()).collect()
    }

    fn is_gone(&self, symbol: &Symbol, address: &Address) -> bool {
        self.places.get(address).is_some_and(|symbols| symbols.contains(symbol))
    }

    /// Somebody else owns the symbol: nobody who left before serves on.
    fn believe(&mut self, symbol: &Symbol) {
        for gone in self.gone.get_mut(symbol).into_iter().flatten() {
            self.figures.spared -= usize::from(gone.is_spared());
            gone.state = State::Believed;
        }
    }

    fn forget(&mut self, symbol: &Symbol, lives: &mut Lives, which: impl Fn(&Gone) -> bool) {
        let Some(gone) = self.gone.get_mut(symbol) else { return };
        let (forgotten, kept) = std::mem::take(gone).into_iter().partition(which);
        *gone = kept;
        if gone.is_empty() {
            self.gone.remove(symbol);
        }
        for Gone { instance, state, .. } in forgotten {
            let address = instance.live.address();
            self.figures.gone -= 1;
            self.figures.spared -= usize::from(state == State::Spared);
            if let Some(symbols) = self.places.get_mut(address) {
                symbols.retain(|place| place != symbol);
                if symbols.is_empty() {
                    self.places.remove(address);
                }
            }
            lives.let_go(address);
        }
    }
}

impl Gone {
    fn is_spared(&self) -> bool {
        self.state == State::Spared
    }

    /// Whether it is not worth remembering any more.
    fn is_over(&self, now: Instant, within: Duration) -> bool {
        !self.is_spared() && now.saturating_duration_since(self.since) >= within
    }
}
