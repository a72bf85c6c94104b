//! What reached an instance.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use tonic::{Request, metadata::MetadataMap};

/// How many calls are kept with their metadata.
const KEPT: usize = 64;

/// Counters and the newest calls of an instance.
#[derive(Default)]
pub struct Seen {
    started: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
    newest: Mutex<VecDeque<Call>>,
}

/// One call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method, e.g. `GetKline`.
    pub method: &'static str,
    /// The metadata with what the gateway added.
    pub metadata: MetadataMap,
    /// The certificate that the gateway showed, in DER.
    pub certificate: Option<Vec<u8>>,
}

/// A call under way: counted as cancelled when it is dropped before its end.
pub(super) struct UnderWay {
    seen: Arc<Seen>,
    finished: bool,
}

impl Seen {
    /// Calls that arrived.
    pub fn calls(&self) -> u64 {
        self.started.load(SeqCst)
    }

    /// Calls that were cut off before their end.
    pub fn cancelled(&self) -> u64 {
        self.cancelled.load(SeqCst)
    }

    /// Calls that have neither ended nor been cut off.
    pub fn under_way(&self) -> u64 {
        // The ends first: a call that ends between the loads must not make the difference negative.
        let ended = self.finished.load(SeqCst) + self.cancelled.load(SeqCst);
        self.started.load(SeqCst) - ended
    }

    /// The newest call.
    ///
    /// # Panics
    /// When none arrived.
    pub fn last(&self) -> Call {
        self.newest.lock().back().cloned().expect("a call arrived")
    }

    pub(super) fn start<T>(self: &Arc<Self>, method: &'static str, request: &Request<T>) -> UnderWay {
        let mut newest = self.newest.lock();
        if newest.len() == KEPT {
            newest.pop_front();
        }
        let certificate = request.peer_certs().and_then(|shown| shown.first().map(|first| first.to_vec()));
        newest.push_back(Call { method, metadata: request.metadata().clone(), certificate });
        self.started.fetch_add(1, SeqCst);
        UnderWay { seen: self.clone(), finished: false }
    }
}

impl Call {
    /// The value of a metadata key as text.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(|value| value.to_str().ok())
    }
}

impl UnderWay {
    /// The instance has said all it has to say.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let counter = if self.finished { &self.seen.finished } else { &self.seen.cancelled };
        counter.fetch_add(1, SeqCst);
    }
}
