//! A list that is read while the watch goes on: what of both is still to be told, so that the table never goes back. Pure:
//! knows no connection and no clock.

use std::collections::BTreeMap;

use super::{
    super::source::{Change, Event},
    list::List,
};

/// What is known of a list and of the watch beside it.
#[derive(Debug, Default)]
pub(super) struct Overlap {
    /// What the watch told since the list was asked for, with its revision.
    meanwhile: Vec<(u64, Vec<Event>)>,
    reads: bool,
    /// Everything up to this revision was told by a list, though the watch may not be so far yet.
    listed: u64,
}

impl Overlap {
    /// A list is asked for.
    pub(super) fn begin(&mut self) {
        self.reads = true;
    }

    /// What is to be told of what the watch says.
    pub(super) fn watch_says(&mut self, change: Change) -> Change {
        match change {
            Change::Events { revision, .. } | Change::Alive { revision: Some(revision) } if revision <= self.listed => {
                Change::Alive { revision: None }
            }
            Change::Events { revision, events } => {
                if self.reads {
                    self.meanwhile.push((revision, events.clone()));
                }
                Change::Events { revision, events }
            }
            other => other,
        }
    }

    /// The list is there: what is to be told is the list with what the watch told of later.
    pub(super) fn list_says(&mut self, list: List) -> Change {
        (self.reads, self.listed) = (false, list.now.revision);
        let mut revision = list.now.revision;
        let mut entries: BTreeMap<_, _> = list.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        for (later, events) in std::mem::take(&mut self.meanwhile) {
            if later <= list.now.revision {
                continue;
            }
            revision = later;
            for event in events {
                match event {
                    Event::Put(entry) => entries.insert(entry.key.clone(), entry),
                    Event::Delete { key } => entries.remove(&key),
                };
            }
        }
        Change::Listed { revision, entries: entries.into_values().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{etcd::machine::Known, source::Entry};

    fn entry(key: &str, revision: u64) -> Entry {
        Entry { key: key.into(), value: Vec::new(), create_revision: 1, mod_revision: revision }
    }

    fn put(key: &str, revision: u64) -> Change {
        Change::Events { revision, events: vec![Event::Put(entry(key, revision))] }
    }

    fn list(revision: u64, entries: &[(&str, u64)]) -> List {
        let entries = entries.iter().map(|(key, revision)| entry(key, *revision)).collect();
        List { now: Known { cluster: 7, revision }, entries }
    }

    fn listed(revision: u64, entries: &[(&str, u64)]) -> Change {
        Change::Listed { revision, entries: list(revision, entries).entries }
    }

    #[test]
    fn a_list_that_the_watch_has_overtaken_does_not_take_the_table_back() {
        let mut overlap = Overlap::default();
        overlap.begin();
        assert_eq!(overlap.watch_says(put("a", 4)), put("a", 4));
        assert_eq!(overlap.watch_says(put("a", 6)), put("a", 6));
        let gone = Change::Events { revision: 7, events: vec![Event::Delete { key: "b".into() }] };
        assert_eq!(overlap.watch_says(gone.clone()), gone);
        let told = overlap.list_says(list(5, &[("a", 4), ("b", 2), ("c", 5)]));
        assert_eq!(told, listed(7, &[("a", 6), ("c", 5)]));
        assert_eq!(overlap.watch_says(put("a", 8)), put("a", 8));
    }

    #[test]
    fn a_watch_that_the_list_has_overtaken_is_told_nothing_of() {
        let mut overlap = Overlap::default();
        overlap.begin();
        assert_eq!(overlap.list_says(list(9, &[("a", 9)])), listed(9, &[("a", 9)]));
        let silent = Change::Alive { revision: None };
        assert_eq!(overlap.watch_says(put("a", 8)), silent);
        assert_eq!(overlap.watch_says(Change::Alive { revision: Some(8) }), silent);
        assert_eq!(overlap.watch_says(put("a", 9)), silent);
        assert_eq!(overlap.watch_says(put("a", 10)), put("a", 10));
    }

    #[test]
    fn without_a_list_everything_is_told_and_nothing_kept() {
        let mut overlap = Overlap::default();
        assert_eq!(overlap.watch_says(put("a", 1)), put("a", 1));
        assert_eq!(overlap.watch_says(Change::Alive { revision: Some(2) }), Change::Alive { revision: Some(2) });
        assert!(overlap.meanwhile.is_empty());
    }
}
