//! What an etcd held at each of its revisions, and who owned what by that: worked out anew each time from the whole, in
//! the simplest way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{super::super::source::Entry, PREFIX};

/// Who owns what: symbols and addresses.
pub(super) type Owned = BTreeSet<(String, String)>;

/// What stood at a revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) entries: BTreeMap<String, Entry>,
}

/// Of one life of a cluster.
#[derive(Clone, Default)]
pub(super) struct History {
    pub(super) cluster: u64,
    /// At each revision, the last one being now.
    pub(super) standings: BTreeMap<u64, Standing>,
    /// Between the parts of a revision that is told in parts.
    pub(super) parts: Vec<Owned>,
}

impl Standing {
    pub(super) fn put(&mut self, key: &str, value: &str, revision: u64) -> Entry {
        let create_revision = self.entries.get(key).map_or(revision, |before| before.create_revision);
        let entry = Entry { key: key.into(), value: value.into(), create_revision, mod_revision: revision };
        self.entries.insert(key.into(), entry.clone());
        entry
    }

    /// An address belongs to the symbol of the entry that was created last.
    pub(super) fn owned(&self) -> Owned {
        let mut newest: BTreeMap<String, (u64, &str, &str)> = BTreeMap::new();
        for (key, symbol, address) in self.announced() {
            let created = self.entries[key].create_revision;
            let owner = newest.entry(address).or_default();
            *owner = (*owner).max((created, key, symbol));
        }
        newest.into_iter().map(|(address, (_, _, symbol))| (symbol.to_owned(), address)).collect()
    }

    /// Everything that an entry announces, believed or not.
    pub(super) fn announced(&self) -> impl Iterator<Item = (&str, &str, String)> {
        let ours = self.entries.iter().filter_map(|(key, entry)| Some((key, key.strip_prefix(PREFIX)?, entry)));
        ours.filter(|(_, _, entry)| !entry.value.is_empty()).map(|(key, rest, entry)| {
            let (symbol, _id) = rest.split_once('/').expect("a symbol and an id");
            (&**key, symbol, String::from_utf8(entry.value.clone()).expect("text"))
        })
    }
}

impl History {
    /// A new cluster.
    pub(super) fn new(cluster: u64) -> Self {
        Self { cluster, standings: BTreeMap::from([(1, Standing::default())]), parts: Vec::new() }
    }

    pub(super) fn revision(&self) -> u64 {
        *self.standings.last_key_value().expect("revision 1").0
    }

    pub(super) fn now(&self) -> &Standing {
        self.standings.last_key_value().expect("revision 1").1
    }

    /// Whether this was so when the revision was told, or a part of the one after it.
    pub(super) fn was(&self, owned: &Owned, revision: u64) -> bool {
        self.standings.get(&revision).is_some_and(|standing| standing.owned() == *owned) || self.parts.contains(owned)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.standings.iter().map(|(revision, standing)| (revision, standing.owned()))).finish()
    }
}
