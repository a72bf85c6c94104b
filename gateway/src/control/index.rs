//! What one service's registry entries mean together: which instances own which symbol. Keeps the index by key that a
//! delete event needs; knows no registry, no clock and no snapshot.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::{
    lives::Lives,
    source::{Entry, Event},
};
use crate::routing::{Address, Instance, Layout, Networks, Registration, Symbol};

#[cfg(test)]
mod tests;

/// All entries of one service.
#[derive(Debug)]
pub(crate) struct Index {
    layout: Layout,
    exclusive: bool,
    networks: Option<Arc<Networks>>,
    held: FxHashMap<Arc<str>, Box<Held>>,
    by_symbol: FxHashMap<Symbol, Keys>,
    by_address: FxHashMap<Address, Keys>,
    rejected: Arc<BTreeMap<String, String>>,
    suspended: Arc<BTreeMap<String, String>>,
    touched: FxHashSet<Symbol>,
    /// Addresses of an exclusive service whose entries changed, until [`Self::settle`].
    unsettled: FxHashSet<Address>,
}

/// Keys of entries, sorted. Almost always there is one: a table may have hundreds of thousands.
type Keys = SmallVec<[Arc<str>; 1]>;

/// One entry that announces an instance.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    registration: Registration,
    create_revision: u64,
    mod_revision: u64,
}

/// What a change brought to light, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// An entry announces nothing.
    Rejected {
        /// Its key.
        key: String,
        /// Why.
        reason: String,
    },
    /// An entry is odd but used.
    Odd {
        /// Its key.
        key: String,
        /// What is odd.
        warning: String,
    },
    /// An address is announced under two symbols of an exclusive service; the older entry is suspended.
    Suspended {
        /// The key of the older entry.
        key: String,
        /// The address of both.
        address: Address,
        /// The symbol that the newer entry says.
        owns: Symbol,
    },
}

impl Index {
    /// Of a service without entries.
    pub(crate) fn new(layout: Layout, exclusive: bool) -> Self {
        Self {
            layout,
            exclusive,
            networks: None,
            held: FxHashMap::default(),
            by_symbol: FxHashMap::default(),
            by_address: FxHashMap::default(),
            rejected: Arc::default(),
            suspended: Arc::default(),
            touched: FxHashSet::default(),
            unsettled: FxHashSet::default(),
        }
    }

    /// Only addresses of these networks are instances; `None`: all are.
    pub(crate) fn within(self, networks: Option<Arc<Networks>>) -> Self {
        Self { networks, ..self }
    }

    /// The whole list: entries that are not in it are gone, entries that did not change stay untouched.
    pub(crate) fn list(&mut self, entries: Vec<Entry>, lives: &mut Lives) -> Vec<Remark> {
        let listed: FxHashSet<&str> = entries.iter().map(|entry| &*entry.key).collect();
        let gone: Vec<_> = self.held.keys().filter(|key| !listed.contains(&***key)).cloned().collect();
        Arc::make_mut(&mut self.rejected).retain(|key, _| listed.contains(&**key));
        // Held until the new entries are in: an address that only changed its key keeps what is known live.
        let addresses: Vec<_> =
            gone.iter().filter_map(|key| Some(self.held.get(key)?.registration.address.clone())).collect();
        addresses.iter().for_each(|address| lives.acquire(address));
        for key in gone {
            self.remove(&key, lives);
        }
        let mut remarks: Vec<_> = entries.into_iter().flat_map(|entry| self.put(entry, lives)).collect();
        addresses.iter().for_each(|address| lives.release(address));
        remarks.extend(self.settle());
        remarks
    }

    /// One change.
    pub(crate) fn apply(&mut self, event: Event, lives: &mut Lives) -> Vec<Remark> {
        let mut remarks = match event {
            Event::Put(entry) => self.put(entry, lives),
            Event::Delete { key } => {
                self.accept(&key);
                self.remove(&key, lives);
                Vec::new()
            }
        };
        remarks.extend(self.settle());
        remarks
    }

    /// The symbols whose instances may have changed since the last call, with the instances that they have now.
    pub(crate) fn changes(&mut self, lives: &Lives) -> Vec<(Symbol, Arc<[Arc<Instance>]>)> {
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|symbol| (symbol.clone(), self.instances(&symbol, lives))).collect()
    }

    /// The entries that announce nothing, by key, each with its reason.
    pub(crate) fn rejected(&self) -> &Arc<BTreeMap<String, String>> {
        &self.rejected
    }

    /// The entries that are not believed, because a newer one announces their address for another symbol.
    pub(crate) fn suspended(&self) -> &Arc<BTreeMap<String, String>> {
        &self.suspended
    }

    /// Every entry that announces an instance, by its key.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&str, &Registration)> {
        self.held.iter().map(|(key, held)| (&**key, &held.registration))
    }

    /// Whether an entry announces the address.
    pub(crate) fn announces(&self, address: &Address) -> bool {
        self.by_address.contains_key(address)
    }

    /// Whether a symbol has an instance.
    pub(crate) fn owns(&self, symbol: &Symbol) -> bool {
        self.by_symbol.contains_key(symbol)
    }

    /// Entries that announce an instance.
    pub(crate) fn registrations(&self) -> usize {
        self.held.len()
    }

    fn put(&mut self, entry: Entry, lives: &mut Lives) -> Vec<Remark> {
        let Entry { key, value, create_revision, mod_revision } = entry;
        let read = self.layout.read(&key, &value).map_err(|error| error.to_string());
        let read = read.and_then(|read| self.refuse(&read.address, lives).map_or(Ok(read), Err));
        let registration = match read {
            Ok(registration) => registration,
            Err(reason) => {
                self.remove(&key, lives);
                let key = key.to_string();
                let known = Arc::make_mut(&mut self.rejected).insert(key.clone(), reason.clone());
                let news = known.is_none_or(|known| known != reason);
                return news.then_some(Remark::Rejected { key, reason }).into_iter().collect();
            }
        };
        self.accept(&key);
        let held = Box::new(Held { registration, create_revision, mod_revision });
        if self.held.get(&*key) == Some(&held) {
            return Vec::new();
        }
        self.insert(key, held, lives)
    }

    /// Why an address that can be dialled is no instance all the same.
    fn refuse(&self, address: &Address, lives: &Lives) -> Option<String> {
        let outside = || {
            let outside = self.networks.as_ref().is_some_and(|networks| !networks.allow(address));
            outside.then(|| format!("{address} is outside the `networks` of its [[registry]]"))
        };
        lives.refuse(address).or_else(outside)
    }

    fn accept(&mut self, key: &str) {
        if self.rejected.contains_key(key) {
            Arc::make_mut(&mut self.rejected).remove(key);
        }
    }

    fn insert(&mut self, key: Arc<str>, mut held: Box<Held>, lives: &mut Lives) -> Vec<Remark> {
        let address = held.registration.address.clone();
        // Taken before the old entry is removed, so that a key rewritten with the same address keeps what is known live.
        lives.acquire(&address);
        let same =
            |before: &Held| before.create_revision == held.create_revision && before.registration.address == address;
        if !self.held.get(&key).is_some_and(|before| same(before)) {
            lives.announce(&address);
        }
        self.remove(&key, lives);
        let warnings = held.registration.warnings.iter();
        let remarks = warnings.map(|warning| Remark::Odd { key: key.to_string(), warning: warning.clone() }).collect();
        // One text per symbol, not one per entry.
        if let Some((known, _)) = self.by_symbol.get_key_value(&held.registration.symbol) {
            held.registration.symbol = known.clone();
        }
        add_key(self.by_symbol.entry(held.registration.symbol.clone()).or_default(), key.clone());
        add_key(self.by_address.entry(address.clone()).or_default(), key.clone());
        self.touched.insert(held.registration.symbol.clone());
        self.held.insert(key, held);
        self.unsettle(address);
        remarks
    }

    fn remove(&mut self, key: &str, lives: &mut Lives) {
        let Some(held) = self.held.remove(key) else { return };
        let Registration { symbol, address, .. } = held.registration;
        self.touched.insert(symbol.clone());
        take_key(&mut self.by_symbol, &symbol, key);
        take_key(&mut self.by_address, &address, key);
        resume(&mut self.suspended, key);
        lives.release(&address);
        self.unsettle(address);
    }

    /// In an exclusive service the symbols of an address depend on each other; in others they may be thousands, and do
    /// not.
    fn unsettle(&mut self, address: Address) {
        if self.exclusive {
            self.unsettled.insert(address);
        }
    }

    /// Sees which symbol owns each address whose entries changed: once, however many of them did.
    fn settle(&mut self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        for address in std::mem::take(&mut self.unsettled) {
            self.touch(&address);
            remarks.extend(self.suspend(&address));
        }
        remarks
    }

    /// Every symbol that an address is announced under.
    fn touch(&mut self, address: &Address) {
        let keys = self.by_address.get(address).into_iter().flatten();
        let symbols = keys.filter_map(|key| self.held.get(key)).map(|held| held.registration.symbol.clone());
        self.touched.extend(symbols);
    }

    fn instances(&self, symbol: &Symbol, lives: &Lives) -> Arc<[Arc<Instance>]> {
        let mut by_address: BTreeMap<&Address, Vec<&Held>> = BTreeMap::new();
        for held in self.by_symbol.get(symbol).into_iter().flatten().filter_map(|key| self.held.get(key)) {
            let address = &held.registration.address;
            if !self.exclusive || self.owned(address) == Some(symbol) {
                by_address.entry(address).or_default().push(held);
            }
        }
        let instances = by_address.into_iter().filter_map(|(address, held)| instance(&held, address, lives));
        let mut instances: Vec<_> = instances.map(Arc::new).collect();
        instances.sort_by_key(|instance| instance.order);
        instances.into()
    }

    /// The symbol of the newest entry of an address.
    fn owned(&self, address: &Address) -> Option<&Symbol> {
        let keys = self.by_address.get(address)?.iter();
        let newest = keys.filter_map(|key| self.held.get(key)).max_by_key(|held| held.create_revision)?;
        Some(&newest.registration.symbol)
    }

    /// Suspends the entries of an address that say another symbol than its newest one, and resumes the others.
    fn suspend(&mut self, address: &Address) -> Vec<Remark> {
        let Some(owns) = self.owned(address).cloned() else { return Vec::new() };
        let mut remarks = Vec::new();
        for key in self.by_address.get(address).into_iter().flatten() {
            if self.held.get(key).is_some_and(|held| held.registration.symbol == owns) {
                resume(&mut self.suspended, key);
                continue;
            }
            let reason = format!("a newer entry announces {address} for {owns}");
            if self.suspended.get(&**key) == Some(&reason) {
                continue;
            }
            // It may have been suspended before, and for another symbol: that is no news.
            if Arc::make_mut(&mut self.suspended).insert(key.to_string(), reason).is_none() {
                remarks.push(Remark::Suspended { key: key.to_string(), address: address.clone(), owns: owns.clone() });
            }
        }
        remarks
    }
}

fn resume(suspended: &mut Arc<BTreeMap<String, String>>, key: &str) {
    if suspended.contains_key(key) {
        Arc::make_mut(suspended).remove(key);
    }
}

/// One instance from all its registrations: the newest says what it is like.
fn instance(held: &[&Held], address: &Address, lives: &Lives) -> Option<Instance> {
    let newest = held.iter().max_by_key(|held| held.mod_revision)?;
    Some(Instance {
        draining: newest.registration.labels.get("draining") == Some("true"),
        labels: newest.registration.labels.clone(),
        weight: newest.registration.weight,
        order: held.iter().map(|held| held.create_revision).min()?,
        owner: held.iter().map(|held| held.create_revision).max()?,
        live: lives.find(address)?,
    })
}

/// Of two entries that are equally new every gateway believes the same one: the last in the order of the keys.
fn add_key(keys: &mut Keys, key: Arc<str>) {
    if let Err(at) = keys.binary_search(&key) {
        keys.insert(at, key);
    }
}

fn take_key<K: std::hash::Hash + Eq>(map: &mut FxHashMap<K, Keys>, at: &K, key: &str) {
    let Some(keys) = map.get_mut(at) else { return };
    if let Ok(place) = keys.binary_search_by(|other| (**other).cmp(key)) {
        keys.remove(place);
    }
    if keys.is_empty() {
        map.remove(at);
    }
}
