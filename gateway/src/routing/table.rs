//! Who owns which symbol of one service.

use std::{hash::BuildHasher, sync::Arc};

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{Instance, Symbol};

/// Groups per table and shards per group: changing one symbol of 100,000 copies a map of about 25, and counts up two
/// lists of 64.
const FANOUT: usize = 64;

type Group = Vec<Arc<Shard>>;
type Shard = FxHashMap<Symbol, Arc<[Arc<Instance>]>>;

/// An immutable table; a changed copy shares every shard that did not change.
#[derive(Clone, Debug)]
pub struct ServiceTable {
    groups: Vec<Arc<Group>>,
    symbols: usize,
    instances: usize,
}

/// What the table knows of a symbol.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// It was never registered.
    Unknown,
    /// Its instances; empty when all have gone.
    Known(&'a [Arc<Instance>]),
}

impl ServiceTable {
    /// The instances of a symbol.
    pub fn lookup(&self, symbol: &str) -> Lookup<'_> {
        let (group, shard) = place_of(symbol);
        let shard = self.groups.get(group).and_then(|group| group.get(shard));
        match shard.and_then(|shard| shard.get(symbol)) {
            None => Lookup::Unknown,
            Some(instances) => Lookup::Known(instances),
        }
    }

    /// At most `limit` instances of any symbol, from a place that `random` picks.
    pub fn any(&self, random: u64, limit: usize) -> Vec<Arc<Instance>> {
        let random = random as usize;
        let groups = around(&self.groups, random % FANOUT);
        let shards = groups.flat_map(|group| around(group, random / FANOUT % FANOUT));
        shards.flat_map(|shard| shard.values()).flat_map(|instances| instances.iter()).take(limit).cloned().collect()
    }

    /// A copy in which these symbols have these instances. A symbol whose instances all left stays known.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = (Symbol, Arc<[Arc<Instance>]>)>) -> Self {
        let mut table = self.clone();
        for (symbol, instances) in changes {
            let (group, shard) = place_of(symbol.as_str());
            let group = table.groups.get_mut(group).map(Arc::make_mut);
            let Some(shard) = group.and_then(|group| group.get_mut(shard)) else { continue };
            table.instances += instances.len();
            match Arc::make_mut(shard).insert(symbol, instances) {
                Some(before) => table.instances -= before.len(),
                None => table.symbols += 1,
            }
        }
        table
    }

    /// Calls `gone` with the instances that `before` had, then `here` with those that `self` has, of each symbol that
    /// differs. What a worker needs to open and close connections without reading a large table again.
    pub fn changed_since(
        &self,
        before: &Self,
        mut gone: impl FnMut(&Arc<Instance>),
        mut here: impl FnMut(&Arc<Instance>),
    ) {
        let others = |(old, new): &(&Arc<Group>, &Arc<Group>)| !Arc::ptr_eq(old, new);
        for (old, new) in before.groups.iter().zip(&self.groups).filter(others) {
            for (old, new) in old.iter().zip(&**new).filter(|(old, new)| !Arc::ptr_eq(old, new)) {
                differing(old, new).for_each(&mut gone);
                differing(new, old).for_each(&mut here);
            }
        }
    }

    /// All symbols and their instances, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Symbol, &[Arc<Instance>])> {
        let shards = self.groups.iter().flat_map(|group| group.iter());
        shards.flat_map(|shard| shard.iter()).map(|(symbol, instances)| (symbol, &**instances))
    }

    /// Symbols known, those without an instance included.
    pub fn symbols(&self) -> usize {
        self.symbols
    }

    /// Instances, counted once per symbol that they own.
    pub fn instances(&self) -> usize {
        self.instances
    }
}

/// The instances in `these` of each symbol that has others in `those`.
fn differing<'a>(these: &'a Shard, those: &'a Shard) -> impl Iterator<Item = &'a Arc<Instance>> {
    // A list is made anew when anything in it changes, and only then.
    let same = |symbol, list| those.get(symbol).is_some_and(|other| Arc::ptr_eq(list, other));
    these.iter().filter(move |(symbol, list)| !same(*symbol, list)).flat_map(|(_, list)| list.iter())
}

impl Default for ServiceTable {
    fn default() -> Self {
        let empty = Arc::new(vec![Arc::default(); FANOUT]);
        Self { groups: vec![empty; FANOUT], symbols: 0, instances: 0 }
    }
}

/// All of a list, beginning with the one at place `first`.
fn around<T>(list: &[T], first: usize) -> impl Iterator<Item = &T> {
    let (before, after) = list.split_at(first.min(list.len()));
    after.iter().chain(before)
}

/// The group, and the shard in it. By the high bits: `FxHashMap` uses the low ones inside the shard.
fn place_of(symbol: &str) -> (usize, usize) {
    let hash = (FxBuildHasher.hash_one(symbol) >> 32) as usize;
    (hash % FANOUT, hash / FANOUT % FANOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Labels, Live};

    fn instance(port: u16) -> Arc<Instance> {
        let live = Arc::new(Live::new(format!("10.0.0.1:{port}").parse().expect("an address")));
        Arc::new(Instance { labels: Labels::default(), weight: 1, order: 1, owner: 1, draining: false, live })
    }

    fn ports(instances: &[Arc<Instance>]) -> Vec<u16> {
        instances.iter().map(|instance| instance.live.address().port()).collect()
    }

    #[test]
    fn a_symbol_whose_instances_left_stays_known() {
        let table = ServiceTable::default().with([("BTC_USDT".into(), [instance(1), instance(2)].into())]);
        assert!(matches!(table.lookup("BTC_USDT"), Lookup::Known(found) if ports(found) == [1, 2]));
        assert!(matches!(table.lookup("BTC"), Lookup::Unknown));
        let emptied = table.with([("BTC_USDT".into(), [].into())]);
        assert!(matches!(emptied.lookup("BTC_USDT"), Lookup::Known([])));
        assert_eq!((table.symbols(), table.instances()), (1, 2));
        assert_eq!((emptied.symbols(), emptied.instances()), (1, 0));
    }

    #[test]
    fn a_changed_copy_shares_the_other_shards_and_says_what_differs() {
        let many = (0..500).map(|n| (Symbol::from(&*format!("S{n}")), Arc::from([instance(n + 1)])));
        let before = ServiceTable::default().with(many);
        let after = before.with([("S7".into(), [instance(9000)].into())]);
        let (mut gone, mut here) = (Vec::new(), Vec::new());
        after.changed_since(&before, |i| gone.push(i.live.address().port()), |i| here.push(i.live.address().port()));
        assert_eq!((gone, here), (vec![8], vec![9000]), "of the one symbol that differs");
        let others = after.groups.iter().zip(&before.groups).filter(|(after, before)| !Arc::ptr_eq(after, before));
        assert_eq!(others.count(), 1, "the other groups are shared");
    }

    #[test]
    fn any_finds_every_instance_from_every_place() {
        let table =
            ServiceTable::default().with([("A".into(), [instance(1)].into()), ("B".into(), [instance(2)].into())]);
        for random in [0, 1, 511, 4095, u64::MAX] {
            let mut found = ports(&table.any(random, 64));
            found.sort_unstable();
            assert_eq!(found, [1, 2], "from {random}");
        }
        assert_eq!(table.any(0, 1).len(), 1);
    }
}
