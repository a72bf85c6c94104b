//! What was heard of one registry, for the next writing. Knows no file and no clock.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use super::{
    super::source::{Change, Entry, Event, Update},
    table::{Identity, Listing, Row, Table},
};
use crate::config::Config;

/// The services of one registry, by their places in the configuration.
pub(super) struct Book {
    services: BTreeMap<usize, Known>,
    changed: bool,
    asked: bool,
    /// What the file says of when it was right.
    written: Option<SystemTime>,
}

/// One service.
#[derive(Default)]
struct Known {
    entries: BTreeMap<Arc<str>, Row>,
    revision: u64,
    /// When it was last known to be right; `None`: it is not known.
    right: Option<SystemTime>,
    /// Whether etcd is heard now.
    heard: bool,
}

impl Book {
    /// Of the registry at this place, of which nothing is known.
    pub(super) fn new(config: &Config, at: usize) -> Self {
        let services = config.services.iter().enumerate().filter(|(_, service)| service.registry == at);
        let services = services.map(|(place, _)| (place, Known::default())).collect();
        Self { services, changed: false, asked: false, written: None }
    }

    /// Takes in what a source says at this time.
    pub(super) fn hear(&mut self, update: &Update, now: SystemTime) {
        let Some(known) = self.services.get_mut(&update.service) else { return };
        match &update.change {
            Change::Listed { revision, entries } => {
                known.entries = entries.iter().map(row).collect();
                known.revision = *revision;
                self.changed = true;
            }
            Change::Events { revision, events } => {
                events.iter().for_each(|event| known.apply(event));
                known.revision = *revision;
                self.changed = true;
            }
            Change::Alive { revision } => known.revision = revision.unwrap_or(known.revision),
            Change::Audited | Change::Repaired { .. } => {}
            Change::Kept { .. } => return,
            Change::Lost { .. } => {
                known.heard = false;
                return;
            }
        }
        known.heard = true;
        known.right = Some(now);
    }

    /// Whether something changed since the last writing.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Whether every service is known.
    pub(super) fn is_whole(&self) -> bool {
        self.services.values().all(|known| known.right.is_some())
    }

    /// Whether etcd is heard, by any service.
    pub(super) fn is_heard(&self) -> bool {
        self.services.values().any(|known| known.heard)
    }

    /// Whether what the file holds is needed: something is unknown, and etcd is not there to tell it.
    pub(super) fn asks_for_file(&self) -> bool {
        !self.asked && !self.is_whole() && !self.is_heard()
    }

    /// The file is asked once.
    pub(super) fn file_is_asked(&mut self) {
        self.asked = true;
    }

    /// Takes the services that are unknown from a file; what control is to know of them.
    pub(super) fn take(&mut self, table: Table, identity: &Identity) -> Vec<Update> {
        let since = table.right();
        self.written = Some(since);
        let listings = table.services.into_iter().filter_map(|listing| {
            let place = identity.place(&listing.name)?;
            let known = self.services.get_mut(&place).filter(|known| known.right.is_none())?;
            let entries = listing.entries.iter().map(|row| Entry::clone(&row.0)).collect();
            known.entries = listing.entries.into_iter().map(|row| (row.0.key.clone(), row)).collect();
            (known.revision, known.right) = (listing.revision, Some(since));
            Some(Update { service: place, change: Change::Kept { since, revision: listing.revision, entries } })
        });
        listings.collect()
    }

    /// What the file is to say; `None` when it says it already. It is as old as the service that was right longest ago.
    pub(super) fn table_to_write(&mut self, identity: &Identity) -> Option<Table> {
        let right = self.services.values().map(|known| known.right).min()??;
        if !self.changed && self.written == Some(right) {
            return None;
        }
        (self.changed, self.written) = (false, Some(right));
        let services = self.services.iter().filter_map(|(place, known)| {
            let service = identity.services.get(place)?;
            Some(Listing {
                name: service.name.clone(),
                prefix: service.prefix.clone(),
                revision: known.revision,
                entries: known.entries.values().cloned().collect(),
            })
        });
        Some(Table::new(identity, right, services.collect()))
    }

    /// The last writing failed.
    pub(super) fn was_not_written(&mut self) {
        self.changed = true;
    }
}

impl Known {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Put(entry) => self.entries.extend([row(entry)]),
            Event::Delete { key } => {
                self.entries.remove(key);
            }
        }
    }
}

fn row(entry: &Entry) -> (Arc<str>, Row) {
    (entry.key.clone(), Row(Arc::new(entry.clone())))
}
