//! What a watch response means. Pure: knows no connection and no clock.
//!
//! The revision moves by events and by progress that etcd timed for this very watch, and by nothing else: a header
//! seen elsewhere, or the reply to a requested progress, can run ahead of events that are still under way.

use super::super::source::Event;

#[cfg(test)]
mod tests;

/// A watch response in plain words.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    /// Whose response it is; -1 for the reply to a requested progress.
    pub(super) watch_id: i64,
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) cancel_reason: String,
    /// Not 0 when the revision to watch from is compacted.
    pub(super) compact_revision: i64,
    /// The revision in the header.
    pub(super) revision: u64,
    /// Each with its revision.
    pub(super) events: Vec<(u64, Event)>,
    /// The revision of the last event, understood or not; `None` without events.
    pub(super) last_event: Option<u64>,
}

/// What it means while the watch goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// From here on nothing is missed.
    Confirmed,
    /// Changes, oldest first, each with its revision; and the revision of the last one, understood or not.
    Events { events: Vec<(u64, Event)>, last: u64 },
    /// A sign of life; with a revision, everything up to it was told before.
    Alive { revision: Option<u64> },
}

/// Why a session is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// etcd can be heard, only the watch cannot go on: read the list again.
    Relist(String),
    /// etcd cannot be heard.
    Lost(String),
}

/// One watch.
#[derive(Debug)]
pub(super) struct Watch {
    id: Option<i64>,
    revision: u64,
}

/// What is known of a cluster, from one session to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) cluster: u64,
    pub(super) revision: u64,
}

impl Watch {
    /// A watch that follows a list of this revision.
    pub(super) fn after(revision: u64) -> Self {
        Self { id: None, revision }
    }

    pub(super) fn read(&mut self, response: Response) -> Result<Meaning, End> {
        if response.compact_revision != 0 {
            return Err(End::Relist(format!(
                "etcd compacted its history up to revision {}",
                response.compact_revision
            )));
        }
        // A watch that is refused is created and canceled in one response.
        if response.canceled {
            return Err(End::Lost(format!("etcd canceled the watch: {}", response.cancel_reason)));
        }
        if response.created {
            self.id = Some(response.watch_id);
            return Ok(Meaning::Confirmed);
        }
        if self.id != Some(response.watch_id) {
            return Ok(Meaning::Alive { revision: None });
        }
        self.advance(response)
    }

    fn advance(&mut self, response: Response) -> Result<Meaning, End> {
        let revision = response.last_event.unwrap_or(response.revision);
        if revision < self.revision {
            return Err(End::Relist(format!("etcd went back from revision {} to {revision}", self.revision)));
        }
        self.revision = revision;
        Ok(match response.last_event {
            Some(last) => Meaning::Events { events: response.events, last },
            None => Meaning::Alive { revision: Some(revision) },
        })
    }
}

impl Known {
    /// What is alarming about a list of now.
    pub(super) fn oddity(&self, now: Self) -> Option<String> {
        if now.cluster != self.cluster {
            return Some(format!("cluster {:x} answers instead of cluster {:x}", now.cluster, self.cluster));
        }
        (now.revision < self.revision)
            .then(|| format!("etcd went back from revision {} to {}", self.revision, now.revision))
    }
}
