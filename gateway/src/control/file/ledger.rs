//! Gives the entries of a file the revisions that a registry would have given them. They are of this run of the
//! gateway only.

use std::collections::HashMap;

use super::super::source::Entry;

#[cfg(test)]
mod tests;

/// The entries as they stand.
#[derive(Debug)]
pub(super) struct Ledger {
    revision: u64,
    entries: Vec<Entry>,
}

impl Default for Ledger {
    /// Empty, at revision 1 as a new etcd.
    fn default() -> Self {
        Self { revision: 1, entries: Vec::new() }
    }
}

impl Ledger {
    /// Replaces all entries. Each new or changed one gets a revision of its own, in the order of the table, so that
    /// it can be told which came first; those that stay keep theirs. Returns the keys that are new, changed or gone.
    pub(super) fn write(&mut self, table: Vec<(String, Vec<u8>)>) -> Vec<String> {
        let mut old: HashMap<_, _> = self.entries.drain(..).map(|entry| (entry.key.clone(), entry)).collect();
        let mut touched = Vec::new();
        for (key, value) in table {
            let before = old.remove(&*key);
            let entry = match before {
                Some(entry) if entry.value == value => entry,
                before => {
                    self.revision += 1;
                    touched.push(key.clone());
                    let create_revision = before.map_or(self.revision, |entry| entry.create_revision);
                    Entry { key: key.into(), value, create_revision, mod_revision: self.revision }
                }
            };
            self.entries.push(entry);
        }
        if !old.is_empty() {
            self.revision += 1;
        }
        touched.extend(old.into_keys().map(|key| key.to_string()));
        touched
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The entries whose keys start with `prefix`.
    pub(super) fn under(&self, prefix: &str) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.key.starts_with(prefix)).cloned().collect()
    }
}
