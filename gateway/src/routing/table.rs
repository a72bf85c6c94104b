//! Who owns which symbol of one service.

use std::{hash::BuildHasher, sync::Arc};

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{Instance, Symbol};

/// Shards per table: changing one symbol of 100,000 copies a map of about a hundred.
const SHARDS: usize = 1024;

type Shard = FxHashMap<Symbol, Arc<[Arc<Instance>]>>;

/// An immutable table; a changed copy shares every shard that did not change.
#[derive(Clone, Debug)]
pub struct ServiceTable {
    shards: Vec<Arc<Shard>>,
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
        match self.shards.get(shard_of(symbol)).and_then(|shard| shard.get(symbol)) {
            None => Lookup::Unknown,
            Some(instances) => Lookup::Known(instances),
        }
    }

    /// At most `limit` instances of any symbol, from a place that `random` picks.
    pub fn any(&self, random: u64, limit: usize) -> Vec<Arc<Instance>> {
        let (after, before) = self.shards.split_at(random as usize % SHARDS);
        let shards = before.iter().chain(after);
        shards.flat_map(|shard| shard.values()).flat_map(|instances| instances.iter()).take(limit).cloned().collect()
    }

    /// A copy in which these symbols have these instances. A symbol whose instances all left stays known.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = (Symbol, Arc<[Arc<Instance>]>)>) -> Self {
        let mut table = self.clone();
        for (symbol, instances) in changes {
            let Some(shard) = table.shards.get_mut(shard_of(symbol.as_str())) else { continue };
            table.instances += instances.len();
            match Arc::make_mut(shard).insert(symbol, instances) {
                Some(before) => table.instances -= before.len(),
                None => table.symbols += 1,
            }
        }
        table
    }

    /// Calls `visit` with the instances that `before` had, then with those that `self` has, of every shard that
    /// differs. What a worker needs to open and close connections without reading a large table again.
    pub fn changed_since(
        &self,
        before: &Self,
        mut gone: impl FnMut(&Arc<Instance>),
        mut here: impl FnMut(&Arc<Instance>),
    ) {
        for (old, new) in before.shards.iter().zip(&self.shards) {
            if !Arc::ptr_eq(old, new) {
                old.values().flat_map(|instances| instances.iter()).for_each(&mut gone);
                new.values().flat_map(|instances| instances.iter()).for_each(&mut here);
            }
        }
    }

    /// All symbols and their instances, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Symbol, &[Arc<Instance>])> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|(symbol, instances)| (symbol, &**instances))
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

impl Default for ServiceTable {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); SHARDS], symbols: 0, instances: 0 }
    }
}

/// The high bits: `FxHashMap` uses the low ones inside the shard.
fn shard_of(symbol: &str) -> usize {
    (FxBuildHasher.hash_one(symbol) >> 32) as usize % SHARDS
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
    fn a_changed_copy_shares_the_other_shards() {
        let many = (0..500).map(|n| (Symbol::from(&*format!("S{n}")), Arc::from([instance(n + 1)])));
        let before = ServiceTable::default().with(many);
        let after = before.with([("S7".into(), [instance(9000)].into())]);
        let (mut gone, mut here) = (Vec::new(), Vec::new());
        after.changed_since(&before, |i| gone.push(i.live.address().port()), |i| here.push(i.live.address().port()));
        assert!(gone.contains(&8) && !gone.contains(&9000), "{gone:?}");
        assert!(here.contains(&9000) && !here.contains(&8), "{here:?}");
        assert!(here.len() < 20, "one shard differs, it held {here:?}");
    }

    #[test]
    fn any_finds_every_instance_from_every_place() {
        let table =
            ServiceTable::default().with([("A".into(), [instance(1)].into()), ("B".into(), [instance(2)].into())]);
        for random in [0, 1, 511, 1023, u64::MAX] {
            let mut found = ports(&table.any(random, 64));
            found.sort_unstable();
            assert_eq!(found, [1, 2], "from {random}");
        }
        assert_eq!(table.any(0, 1).len(), 1);
    }
}
