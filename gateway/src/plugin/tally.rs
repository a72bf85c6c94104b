//! How one plugin version does, over all workers. Workers write it without a lock and look at nothing in it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// Answers that a worker gathers before it adds them here, so that workers seldom meet. Few enough that what even sixty
/// workers have not added cannot make ten failures look like one in a hundred.
const GATHERED: u64 = 16;

/// What all workers count together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answers: AtomicU64,
    failures: AtomicU64,
    cut_off: AtomicU32,
    recycled: AtomicU64,
}

/// A worker does not ask it, while this lives.
#[derive(Debug)]
pub(super) struct CutOff(Arc<Tally>);

/// What one worker has counted and not added yet.
#[derive(Debug, Default)]
pub(super) struct Gathered(u64);

/// How often a plugin version was asked, as far as workers have told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Times that it answered, or was known to have answered the same before.
    pub answers: u64,
    /// Times that it trapped, used up a limit or answered against the contract.
    pub failures: u64,
}

impl Tally {
    pub(super) fn counted(&self) -> Counted {
        Counted { answers: self.answers.load(Relaxed), failures: self.failures.load(Relaxed) }
    }

    /// A sandbox was replaced though it did its work.
    pub(super) fn recycle(&self) {
        self.recycled.fetch_add(1, Relaxed);
    }

    pub(super) fn recycled(&self) -> u64 {
        self.recycled.load(Relaxed)
    }

    /// Workers that do not ask it now.
    pub(super) fn cut_off(&self) -> u32 {
        self.cut_off.load(Relaxed)
    }
}

impl CutOff {
    pub(super) fn new(tally: &Arc<Tally>) -> Self {
        tally.cut_off.fetch_add(1, Relaxed);
        Self(Arc::clone(tally))
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.cut_off.fetch_sub(1, Relaxed);
    }
}

impl Gathered {
    /// It answered.
    pub(super) fn answered(&mut self, tally: &Tally) {
        self.0 += 1;
        if self.0 >= GATHERED {
            self.tell(tally);
        }
    }

    /// It failed.
    pub(super) fn failed(&mut self, tally: &Tally) {
        // The answers first: a share of failures is never seen greater than it is.
        self.tell(tally);
        tally.failures.fetch_add(1, Relaxed);
    }

    fn tell(&mut self, tally: &Tally) {
        tally.answers.fetch_add(std::mem::take(&mut self.0), Relaxed);
    }
}

impl std::ops::Sub for Counted {
    type Output = Self;

    /// What was counted since then.
    fn sub(self, before: Self) -> Self {
        Self {
            answers: self.answers.saturating_sub(before.answers),
            failures: self.failures.saturating_sub(before.failures),
        }
    }
}
