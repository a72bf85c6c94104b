//! One service and what its registry said so far. Publishes nothing.

use std::{
    iter,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tracing::{debug, error, info, warn};

use super::{
    expected::Expected,
    guard::{Guard, Now},
    index::{Index, Remark},
    lives::Lives,
    own::Own,
    source::{Change, Event},
};
use crate::{
    config::{self, Config},
    metrics::{Metrics, RegistryEvent},
    routing::{Address, Instance, Lookup, ServiceTable, Symbol},
    snapshot::{Service, TableState},
};

/// Keys that a line of the log names at most.
const NAMED: usize = 10;

#[cfg(test)]
mod tests;

/// A service's entries, its table, and what is known of the table's truth.
pub(super) struct Tracked {
    registry: Arc<str>,
    name: Arc<str>,
    index: Index,
    guard: Guard,
    /// Symbols of which others serve on than was shown.
    judged: Vec<Symbol>,
    /// How many instances were spared when that was told.
    told_spared: usize,
    /// Its own book of live state; `None`: that of all services that need none of their own.
    lives: Option<Lives>,
    table: Arc<ServiceTable>,
    end_streams: bool,
    state: TableState,
    expected: Option<Expected>,
    /// Why the registry cannot be heard.
    lost: Option<Arc<str>>,
}

impl Tracked {
    /// All services of a configuration, in its order.
    pub(super) fn all(config: &Config, own: &Own) -> impl Iterator<Item = Self> {
        config.services.iter().enumerate().filter_map(|(place, service)| {
            let registry = config.registries.get(service.registry)?;
            let tls = service.tls.as_ref().map(|_| place);
            let networks = registry.networks.clone().filter(|networks| networks.look_behind_names());
            let apart = tls.is_some() || networks.is_some();
            let lives = apart.then(|| Lives::new(own.clone()).over_tls(tls).within(networks));
            Some(Self::new(registry, service, lives))
        })
    }

    fn new(registry: &config::Registry, service: &config::Service, lives: Option<Lives>) -> Self {
        Self {
            registry: (*registry.name).into(),
            name: (*service.name).into(),
            index: Index::new(service.layout(registry), service.exclusive).within(registry.networks.clone()),
            guard: Guard::new(service.guard),
            judged: Vec::new(),
            told_spared: 0,
            lives,
            table: Arc::default(),
            end_streams: service.end_streams,
            state: TableState::default(),
            expected: Expected::of(service, registry),
            lost: None,
        }
    }

    /// The service's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether an entry announces the address.
    pub(super) fn announces(&self, address: &Address) -> bool {
        self.index.announces(address)
    }

    /// Takes in what the registry says.
    pub(super) fn hear(&mut self, change: Change, shared: &mut Lives, metrics: &Metrics) {
        let mut own = self.lives.take();
        self.take_in(change, own.as_mut().unwrap_or(shared), metrics);
        self.lives = own;
    }

    /// Takes in what is said of the symbols that it should have.
    pub(super) fn hear_expected(&mut self, change: Change) {
        if let Some(expected) = &mut self.expected {
            expected.hear(&self.name, change);
        }
    }

    /// Whether the log has something to tell of the symbols that it should have.
    pub(super) fn has_news(&self) -> bool {
        self.expected.as_ref().is_some_and(Expected::has_news)
    }

    /// Tells the log.
    pub(super) fn tell(&mut self) {
        if let Some(expected) = &mut self.expected {
            expected.tell(&self.name);
        }
    }

    fn take_in(&mut self, change: Change, lives: &mut Lives, metrics: &Metrics) {
        let count = |event, count| metrics.registry_event(&self.registry, &self.name, event, count);
        match change {
            Change::Listed { revision, entries } => {
                count(RegistryEvent::List, 1);
                let (service, entries, before) = (&*self.name, entries, self.index.registrations());
                let listed = entries.len();
                let remarks = self.index.list(entries, lives);
                self.state = TableState { loaded: true, revision, stale_since: None };
                self.lost = None;
                info!(service, revision, entries = listed, before, "registry listed");
                self.log(remarks, metrics);
            }
            Change::Events { revision, events } => {
                self.state.revision = revision;
                let puts = events.iter().filter(|event| matches!(event, Event::Put(_))).count();
                count(RegistryEvent::Put, puts as u64);
                count(RegistryEvent::Delete, (events.len() - puts) as u64);
                for event in events {
                    debug!(service = &*self.name, revision, ?event, "registry changed");
                    let remarks = self.index.apply(event, lives);
                    self.log(remarks, metrics);
                }
            }
            Change::Alive { revision } => self.state.revision = revision.unwrap_or(self.state.revision),
            Change::Audited => count(RegistryEvent::Audit, 1),
            Change::Repaired { keys } => {
                count(RegistryEvent::Repaired, keys.len() as u64);
                let (service, lost, keys) = (&*self.name, keys.len(), keys.get(..NAMED).unwrap_or(&keys));
                error!(service, lost, ?keys, "the watch of the registry lost changes; the audit repaired the table");
            }
            Change::Kept { since, revision, entries } => {
                count(RegistryEvent::Kept, 1);
                let (service, listed) = (&*self.name, entries.len());
                let remarks = self.index.list(entries, lives);
                self.state = TableState { loaded: true, revision, stale_since: Some(since) };
                warn!(service, revision, entries = listed, "registry not heard; the table kept on disk serves");
                self.log(remarks, metrics);
            }
            Change::Lost { reason } => {
                let service = &*self.name;
                if self.lost.is_some() {
                    warn!(service, reason, "the registry is still not heard");
                } else {
                    count(RegistryEvent::Lost, 1);
                    warn!(service, reason, "registry lost; the last table keeps serving");
                }
                self.lost = Some(reason.into());
                self.state.stale_since.get_or_insert_with(SystemTime::now);
            }
        }
    }

    /// What everybody may see of it now.
    pub(super) fn show(&mut self, shared: &mut Lives, now: Instant, metrics: &Metrics) -> Service {
        let mut own = self.lives.take();
        let changes = self.changes(own.as_mut().unwrap_or(shared), now);
        self.lives = own;
        self.tell_spared(metrics);
        // A list of 300,000 entries need not be copied for nothing.
        let changed = self.expected.iter().flat_map(|_| changes.iter().map(|(symbol, _)| symbol.clone()));
        let changed: Vec<_> = changed.collect();
        if !changes.is_empty() {
            self.table = Arc::new(self.table.with(changes));
        }
        if let Some(expected) = self.expected.as_mut().filter(|_| self.state.loaded) {
            expected.follow(&self.table, &changed);
        }
        Service {
            name: self.name.clone(),
            registry: self.registry.clone(),
            table: self.table.clone(),
            state: self.state,
            lost: self.lost.clone(),
            end_streams: self.end_streams,
            spared: self.guard.figures().spared,
            rejected: self.index.rejected().clone(),
            suspended: self.index.suspended().clone(),
            expected: self.expected.as_ref().map(Expected::show),
        }
    }

    /// Time went by. Whether there is anything new to show.
    pub(super) fn tick(&mut self, shared: &mut Lives, now: Instant) -> bool {
        let before = self.guard.figures();
        if before.gone == 0 {
            return false;
        }
        let lives = self.lives.as_mut().unwrap_or(shared);
        let all: Option<iter::Empty<_>> = None;
        self.judged.extend(self.guard.judge(all, &mut Now { index: &self.index, lives, now }));
        self.guard.figures() != before || !self.judged.is_empty()
    }

    /// Takes it that all instances that are spared are gone. How many there were.
    pub(super) fn release(&mut self, shared: &mut Lives) -> usize {
        let spared = self.guard.figures().spared;
        self.judged.extend(self.guard.release(self.lives.as_mut().unwrap_or(shared)));
        spared
    }

    /// Tells the workers who is gone. Whether there is anybody.
    pub(super) fn settle(&mut self) -> bool {
        self.lives.as_mut().is_some_and(Lives::settle)
    }

    /// The symbols that have others than before, as the registry says and as the guard sees it.
    fn changes(&mut self, lives: &mut Lives, now: Instant) -> Vec<(Symbol, Arc<[Arc<Instance>]>)> {
        let mut changes = self.index.changes(lives);
        let at = &mut Now { index: &self.index, lives, now };
        for (symbol, after) in &changes {
            if let Lookup::Known(before) = self.table.lookup(symbol.as_str()) {
                self.guard.follow(symbol, before, after, at);
            }
        }
        self.judged.extend(self.guard.judge(Some(changes.iter().map(|(symbol, _)| symbol)), at));
        for (symbol, nobody) in changes.iter_mut().filter(|(_, after)| after.is_empty()) {
            *nobody = self.guard.spared_of(symbol);
        }
        // Of a symbol that somebody owns, what the registry says is all there is.
        let judged = std::mem::take(&mut self.judged).into_iter().filter(|symbol| !self.index.owns(symbol));
        changes.extend(judged.map(|symbol| (symbol.clone(), self.guard.spared_of(&symbol))));
        changes
    }

    /// Says aloud when instances are spared, and when that is over.
    fn tell_spared(&mut self, metrics: &Metrics) {
        let (service, spared, before) = (&*self.name, self.guard.figures().spared, self.told_spared);
        if spared == before {
            return;
        }
        let event = if spared > before { RegistryEvent::Spared } else { RegistryEvent::Released };
        metrics.registry_event(&self.registry, service, event, spared.abs_diff(before) as u64);
        self.told_spared = spared;
        let registered = self.index.registrations();
        match (before, spared) {
            (0, _) => error!(
                service, spared, registered, rule = ?self.guard.rule(),
                "most instances left the registry at once: those whose connections live serve on while nobody else owns \
                 their symbol; if they are gone, POST /release?service={service} to the admin listener"
            ),
            (_, 0) => warn!(service, registered, "no instance that left the registry serves on any more"),
            _ => debug!(service, spared, registered, "instances that left the registry serve on"),
        }
    }

    fn log(&self, remarks: Vec<Remark>, metrics: &Metrics) {
        let service = &*self.name;
        let mut suspended = 0;
        for remark in remarks {
            match remark {
                Remark::Rejected { key, reason } => {
                    metrics.registry_event(&self.registry, service, RegistryEvent::Rejected, 1);
                    warn!(service, key, reason, "registry entry rejected");
                }
                Remark::Odd { key, warning } => warn!(service, key, warning, "registry entry is odd"),
                Remark::Suspended { key, address, owns } => {
                    suspended += 1;
                    if suspended <= NAMED {
                        let what = "registry entry suspended: a newer one announces its address for another symbol";
                        warn!(service, key, %address, %owns, "{what}");
                    }
                }
            }
        }
        if suspended > NAMED {
            warn!(
                service,
                suspended,
                "more entries are suspended than are named here: /table has all; where a process owns several symbols, say \
                 `exclusive = false` in its [[service]]"
            );
        }
    }
}
