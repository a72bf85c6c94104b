//! What every kind of registry says, in one language: the whole list, then changes in the registry's order.

use std::{sync::Arc, time::SystemTime};

/// One registry entry as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key, shared by all who remember it.
    pub key: Arc<str>,
    /// The value, not understood yet.
    pub value: Vec<u8>,
    /// The revision at which the key was created.
    pub create_revision: u64,
    /// The revision at which the value was last written.
    pub mod_revision: u64,
}

/// One change of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The entry is now this.
    Put(Entry),
    /// The entry is gone. A delete carries no value (etcd API, `mvccpb.Event`).
    Delete {
        /// The whole key.
        key: Arc<str>,
    },
}

impl Event {
    /// The whole key.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key } => key,
        }
    }
}

/// What a source says of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The whole list at a revision, from which the watch goes on: what is not in it is gone. Said only once the
    /// watch is confirmed.
    Listed {
        /// The revision of the list.
        revision: u64,
        /// All entries under the service's prefix.
        entries: Vec<Entry>,
    },
    /// Changes after it, oldest first.
    Events {
        /// The revision of the last one.
        revision: u64,
        /// The changes.
        events: Vec<Event>,
    },
    /// The watch is alive; with a revision, everything up to it was told.
    Alive {
        /// The revision of a progress notification that the registry timed itself.
        revision: Option<u64>,
    },
    /// The list was read beside the watch and compared with what was told. What differed follows as [`Change::Events`].
    Audited,
    /// The watch has lost changes of these keys. They are told with the list that showed it, or were with one before.
    Repaired {
        /// The keys.
        keys: Vec<Arc<str>>,
    },
    /// The whole list as an earlier process kept it on disk, because the registry was not heard since the start. It is
    /// stale until the next [`Change::Listed`].
    Kept {
        /// When it was last known to be right.
        since: SystemTime,
        /// The revision of the list.
        revision: u64,
        /// All entries under the service's prefix.
        entries: Vec<Entry>,
    },
    /// The registry cannot be heard; the table stands and is stale until the next [`Change::Listed`].
    Lost {
        /// Why. It is said again when that changes.
        reason: String,
    },
}

/// A [`Change`] and the place of the service in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The place of the service. Behind those of all services are, in the same order, the places of the lists of symbols
    /// that they should have.
    pub service: usize,
    /// What is said of it.
    pub change: Change,
}
