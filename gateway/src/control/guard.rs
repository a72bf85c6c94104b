//! Spares instances when most of a service leaves the registry at once: a fault of the registry takes the leases of all,
//! a process that ends takes its own. Knows no registry, no clock and no connection.
//!
//! Whoever leaves is remembered for a while with all that is known live of it. When too many do, those whose symbol
//! nobody else owns serve on, over the connections that they have.

use std::{
    collections::VecDeque,
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
    /// Whose symbols to look at when their time is over, the oldest first.
    times: VecDeque<(Instant, Symbol)>,
    /// When there were how many registrations before somebody left; one that more came after is not kept.
    peaks: VecDeque<(Instant, usize)>,
    /// Under which symbols each address is above.
    places: FxHashMap<Address, Vec<Symbol>>,
    /// Symbols of which others serve on than [`Self::judge`] said last.
    changed: Vec<Symbol>,
    figures: Figures,
    /// Registrations when that was last looked at, and the most that there were of late.
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
            times: VecDeque::new(),
            peaks: VecDeque::new(),
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
            self.times.push_back((at.now, symbol.clone()));
            let gone = Gone { instance: instance.clone(), since: at.now, state: State::Remembered };
            self.gone.entry(symbol.clone()).or_default().push(gone);
            self.left(at.now, among);
        }
    }

    /// Somebody left when there were so many.
    fn left(&mut self, now: Instant, among: usize) {
        while self.peaks.pop_back_if(|(_, peak)| *peak <= among).is_some() {}
        self.peaks.push_back((now, among));
        self.most = self.most.max(among);
    }

    /// Spares whom it may when too many left, and nobody longer than it may; returns the symbols of which others serve
    /// on than before. Looks at the symbols that changed and at those whose time is over; at all of them when an alarm
    /// begins, and without `changed` while there is one or somebody is spared.
    pub(super) fn judge<'a>(
        &mut self,
        changed: Option<impl Iterator<Item = &'a Symbol>>,
        at: &mut Now<'_>,
    ) -> Vec<Symbol> {
        self.registered = at.index.registrations();
        let begins = self.look_for_alarm(at.now);
        let over = self.over(at.now);
        let all = begins || changed.is_none() && (self.alarmed || self.figures.spared > 0);
        let symbols: Vec<_> = if all {
            self.gone.keys().cloned().collect()
        } else {
            let changed = changed.into_iter().flatten().filter(|symbol| self.gone.contains_key(*symbol)).cloned();
            changed.chain(over).collect()
        };
        let mut judged = std::mem::take(&mut self.changed);
        judged.extend(symbols.into_iter().filter(|symbol| self.judge_symbol(symbol, at)));
        judged
    }

    /// Whether an alarm begins. While anybody is spared, what there was before that stays what is compared with.
    fn look_for_alarm(&mut self, now: Instant) -> bool {
        if self.figures.spared == 0 {
            let within = self.rule.within;
            while self.peaks.pop_front_if(|(since, _)| now.saturating_duration_since(*since) >= within).is_some() {}
            self.most = self.peaks.front().map_or(0, |(_, peak)| *peak);
        }
        let lost = self.most.saturating_sub(self.registered);
        let alarmed = lost >= self.rule.minimum && lost as f64 > self.rule.share * self.most as f64;
        let before = std::mem::replace(&mut self.alarmed, alarmed);
        alarmed && !before
    }

    /// The symbols that somebody left so long ago that it is not worth remembering, unless he is spared.
    fn over(&mut self, now: Instant) -> Vec<Symbol> {
        let (times, within) = (&mut self.times, self.rule.within);
        let next = || times.pop_front_if(|(since, _)| now.saturating_duration_since(*since) >= within);
        std::iter::from_fn(next).map(|(_, symbol)| symbol).collect()
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
        self.times.clear();
        self.peaks.clear();
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
