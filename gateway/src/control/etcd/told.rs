//! What control was told, key by key, so that a list that is read beside the running watch can be compared with it: the
//! audit. What differs is told at once, and the table never goes back; what of it the watch has lost is found out. Pure:
//! knows no connection and reads no clock.
//!
//! What a list shows that the watch *should* have told before is lost. What it shows of later is only ahead of the watch,
//! and lost if the watch then goes on without telling it, or has not told it when a list is read a good while later.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::source::{Change, Entry, Event},
    list::List,
    machine::Meaning,
};

#[cfg(test)]
mod tests;

/// What was told.
#[derive(Debug)]
pub(super) struct Told {
    /// The keys that stand, each with its mod revision. They are shared with the table, so that many cost little.
    keys: BTreeMap<Arc<str>, u64>,
    /// The last revision that was told.
    revision: u64,
    /// What the watch should have told: everything up to here.
    watched: u64,
    /// Everything up to here was told by a list, though the watch may not be so far yet.
    listed: u64,
    /// While a list is read: the keys of which the watch told something, with its revision.
    meanwhile: Option<BTreeMap<Arc<str>, u64>>,
    /// What a list told and the watch has not.
    ahead: BTreeMap<Arc<str>, Ahead>,
    /// What has been ahead for this long is lost.
    patience: Duration,
}

/// What the watch is to tell of a key.
#[derive(Debug)]
struct Ahead {
    /// The mod revision of a put; `None`: a delete.
    put: Option<u64>,
    since: Instant,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new(patience: Duration) -> Self {
        let (keys, ahead) = (BTreeMap::new(), BTreeMap::new());
        Self { keys, revision: 0, watched: 0, listed: 0, meanwhile: None, ahead, patience }
    }

    /// The last revision that was told.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// A new watch follows this list; what was told before counts no more.
    pub(super) fn begin(&mut self, mut list: List) -> Change {
        list.entries.iter_mut().for_each(|entry| self.share(entry));
        self.keys = list.entries.iter().map(|entry| (entry.key.clone(), entry.mod_revision)).collect();
        let revision = list.now.revision;
        (self.revision, self.watched, self.listed) = (revision, revision, revision);
        self.meanwhile = None;
        self.ahead.clear();
        Change::Listed { revision, entries: list.entries }
    }

    /// A list is asked for, to be compared.
    pub(super) fn list_is_asked(&mut self) {
        self.meanwhile = Some(BTreeMap::new());
    }

    /// What is to be told of what the watch says.
    pub(super) fn watch_says(&mut self, meaning: Meaning) -> impl Iterator<Item = Change> + use<> {
        let (lost, change) = match meaning {
            Meaning::Confirmed => (None, Change::Alive { revision: None }),
            Meaning::Alive { revision: None } => (None, Change::Alive { revision: None }),
            Meaning::Alive { revision: Some(revision) } => self.progress(revision),
            Meaning::Events { events, last } => self.events(events, last),
        };
        lost.into_iter().chain([change])
    }

    /// The list that was asked for is there: what of it is still to be told.
    pub(super) fn list_says(&mut self, list: List, now: Instant) -> impl Iterator<Item = Change> + use<> {
        let revision = list.now.revision;
        let events = self.differences(list);
        let certain = self.watched.max(self.listed);
        let overdue = |ahead: &Ahead| now.saturating_duration_since(ahead.since) >= self.patience;
        let mut lost: Vec<_> = self.ahead.extract_if(.., |_, ahead| overdue(ahead)).map(|(key, _)| key).collect();
        for event in &events {
            let (key, put) = match event {
                Event::Put(entry) => (&entry.key, Some(entry.mod_revision)),
                Event::Delete { key } => (key, None),
            };
            if put.unwrap_or(revision) <= certain {
                lost.push(key.clone());
            } else {
                self.ahead.insert(key.clone(), Ahead { put, since: now });
            }
        }
        self.listed = self.listed.max(revision);
        let change = (!events.is_empty()).then(|| self.change(revision, events));
        [Some(Change::Audited), repaired(lost), change].into_iter().flatten()
    }

    /// Between what was told and the list, but for what the watch told of later.
    fn differences(&mut self, list: List) -> Vec<Event> {
        let meanwhile = self.meanwhile.take().unwrap_or_default();
        let later = |key: &str| meanwhile.get(key).is_some_and(|told| *told > list.now.revision);
        // Both are in the order of their keys.
        let mut told = self.keys.iter().peekable();
        let mut differences = Vec::new();
        for entry in list.entries {
            while let Some((key, _)) = told.next_if(|(key, _)| **key < entry.key) {
                differences.push(Event::Delete { key: key.clone() });
            }
            let known = told.next_if(|(key, _)| **key == entry.key);
            if known.is_none_or(|(_, revision)| *revision != entry.mod_revision) {
                differences.push(Event::Put(entry));
            }
        }
        differences.extend(told.map(|(key, _)| Event::Delete { key: key.clone() }));
        differences.retain(|event| !later(event.key()));
        differences
    }

    /// Everything up to this revision was told before.
    fn progress(&mut self, revision: u64) -> (Option<Change>, Change) {
        self.watched = self.watched.max(revision);
        let lost = self.passed(revision);
        let revision = (revision > self.listed).then_some(revision);
        self.revision = self.revision.max(revision.unwrap_or_default());
        (lost, Change::Alive { revision })
    }

    fn events(&mut self, mut events: Vec<(u64, Event)>, last: u64) -> (Option<Change>, Change) {
        // One revision may come in several responses.
        let certain = last.saturating_sub(1);
        self.watched = self.watched.max(certain);
        let listed = self.listed;
        for (_, event) in events.extract_if(.., |(revision, _)| *revision <= listed) {
            self.watch_catches_up(&event);
        }
        let lost = self.passed(certain);
        if last <= self.listed {
            return (lost, Change::Alive { revision: None });
        }
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.extend(events.iter().map(|(revision, event)| (event.key().into(), *revision)));
        }
        let events = events.into_iter().map(|(_, event)| event).collect();
        (lost, self.change(last, events))
    }

    /// The watch tells what a list told before.
    fn watch_catches_up(&mut self, event: &Event) {
        let put = if let Event::Put(entry) = event { Some(entry.mod_revision) } else { None };
        if self.ahead.get(event.key()).is_some_and(|ahead| ahead.put == put) {
            self.ahead.remove(event.key());
        }
    }

    /// The watch told everything up to this revision: what it left out of what a list told is lost.
    fn passed(&mut self, revision: u64) -> Option<Change> {
        if revision < self.listed {
            return None;
        }
        repaired(std::mem::take(&mut self.ahead).into_keys().collect())
    }

    fn change(&mut self, revision: u64, mut events: Vec<Event>) -> Change {
        for event in &mut events {
            match event {
                Event::Put(entry) => {
                    self.share(entry);
                    self.keys.insert(entry.key.clone(), entry.mod_revision);
                }
                Event::Delete { key } => {
                    self.keys.remove(key);
                }
            }
        }
        self.revision = self.revision.max(revision);
        Change::Events { revision: self.revision, events }
    }

    /// The table gets the key that it has.
    fn share(&self, entry: &mut Entry) {
        if let Some((key, _)) = self.keys.get_key_value(&entry.key) {
            entry.key = key.clone();
        }
    }
}

fn repaired(lost: Vec<Arc<str>>) -> Option<Change> {
    (!lost.is_empty()).then_some(Change::Repaired { keys: lost })
}
