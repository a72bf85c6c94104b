//! Whether calls keep away from an instance because of how it failed: after failures in a row it is out; after a pause
//! one call may try it; an answer brings it back, a failure sends it out for twice as long. Knows no clock: whoever
//! sends it out says when the pause is over.

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// The low bits of [`Ejection::state`]; the others count ejections, so that a pause that is over is known from a later
/// one.
const PHASE: u32 = 3;
const IN: u32 = 0;
const OUT: u32 = 1;
const TRIAL: u32 = 2;
const TRYING: u32 = 3;

/// How an instance stands with calls; all workers share it.
#[derive(Debug, Default)]
pub struct Ejection {
    state: AtomicU32,
    /// Failures since the last answer.
    failures: AtomicU32,
    /// One of them was a connection that calls were lost with: that one can be opened proves nothing.
    lost: AtomicBool,
    /// Ejections since the last answer.
    streak: AtomicU32,
    /// When the pause ends, in milliseconds of Unix time; for who looks on.
    until: AtomicU64,
}

/// A failure of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be opened.
    Connect,
    /// A connection was lost with calls on it.
    Lost,
}

/// An ejection that has just begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejected {
    /// Which one; see [`Ejection::offer_trial`].
    pub turn: u32,
    /// How many it is without an answer in between, from 1.
    pub streak: u32,
}

impl Ejection {
    /// Whether calls keep away while another instance stands.
    pub fn is_out(&self) -> bool {
        matches!(self.state.load(Relaxed) & PHASE, OUT | TRYING)
    }

    /// When the pause of an instance that is out ends, in milliseconds of Unix time.
    pub fn until(&self) -> Option<u64> {
        self.is_out().then(|| self.until.load(Relaxed))
    }

    /// Says so.
    pub fn set_until(&self, unix_ms: u64) {
        self.until.store(unix_ms, Relaxed);
    }

    /// The instance failed once more; `limit` failures in a row send it out, and so does one while it is tried.
    pub fn failed(&self, failure: Failure, limit: u32) -> Option<Ejected> {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failure == Failure::Lost {
            self.lost.store(true, Relaxed);
        }
        let state = self.state.load(Acquire);
        let ejects = match state & PHASE {
            IN => failures >= limit,
            OUT => false,
            _ => true,
        };
        let turn = (state | PHASE).wrapping_add(1) | OUT;
        // Of two workers that see it fail, one sends it out.
        let ours = ejects && self.state.compare_exchange(state, turn, AcqRel, Relaxed).is_ok();
        ours.then(|| Ejected { turn, streak: self.streak.fetch_add(1, Relaxed).saturating_add(1) })
    }

    /// The pause of this ejection is over, unless something came in between: one call may try the instance.
    pub fn offer_trial(&self, turn: u32) -> bool {
        self.state.compare_exchange(turn, turn & !PHASE | TRIAL, AcqRel, Relaxed).is_ok()
    }

    /// Takes the trial, if there is one; its turn.
    pub fn take_trial(&self) -> Option<u32> {
        let state = self.state.load(Relaxed);
        let ours =
            state & PHASE == TRIAL && self.state.compare_exchange(state, state | TRYING, AcqRel, Relaxed).is_ok();
        ours.then_some(state & !PHASE | OUT)
    }

    /// The trial of this ejection told nothing: another call may try.
    pub fn repeat_trial(&self, turn: u32) {
        let trying = turn & !PHASE | TRYING;
        // It did tell something if this fails.
        let _ = self.state.compare_exchange(trying, turn & !PHASE | TRIAL, AcqRel, Relaxed);
    }

    /// A connection was opened. Whether that brings the instance back.
    pub fn connected(&self) -> bool {
        !self.lost.load(Relaxed) && self.answered()
    }

    /// The instance answered a call. Whether that brings it back.
    pub fn answered(&self) -> bool {
        // Looked at first: almost always there is nothing to write.
        if self.failures.load(Relaxed) == 0 && self.state.load(Relaxed) & PHASE == IN {
            return false;
        }
        self.clear()
    }

    /// Nothing bad is known any more. Whether it was out.
    pub(super) fn clear(&self) -> bool {
        self.failures.store(0, Relaxed);
        self.lost.store(false, Relaxed);
        self.streak.store(0, Relaxed);
        self.state.fetch_and(!PHASE, AcqRel) & PHASE != IN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After three failures of a kind.
    fn out(failure: Failure) -> (Ejection, Ejected) {
        let ejection = Ejection::default();
        assert_eq!([ejection.failed(failure, 3), ejection.failed(failure, 3)], [None, None]);
        assert!(!ejection.is_out());
        let ejected = ejection.failed(failure, 3).expect("the third failure in a row");
        assert!(ejection.is_out());
        (ejection, ejected)
    }

    #[test]
    fn an_answer_between_failures_counts_them_anew() {
        let ejection = Ejection::default();
        for _ in 0..10 {
            assert_eq!([ejection.failed(Failure::Lost, 3), ejection.failed(Failure::Connect, 3)], [None, None]);
            assert!(!ejection.answered(), "it was never out");
        }
    }

    #[test]
    fn one_call_tries_an_instance_and_brings_it_back() {
        let (ejection, ejected) = out(Failure::Lost);
        assert_eq!(ejection.take_trial(), None, "the pause is not over");
        assert!(ejection.offer_trial(ejected.turn) && !ejection.is_out());
        let turn = ejection.take_trial().expect("a trial");
        assert!(ejection.is_out() && ejection.take_trial().is_none(), "one call, no more");
        assert!(ejection.answered() && !ejection.is_out());
        ejection.repeat_trial(turn);
        assert_eq!(ejection.take_trial(), None, "it is over");
        assert_eq!(ejection.failed(Failure::Lost, 3), None, "three in a row again");
    }

    #[test]
    fn a_trial_that_fails_sends_it_out_once_more() {
        let (ejection, first) = out(Failure::Lost);
        assert_eq!(ejection.failed(Failure::Lost, 3), None, "it is out already");
        ejection.offer_trial(first.turn);
        ejection.take_trial().expect("a trial");
        let second = ejection.failed(Failure::Lost, 3).expect("one is enough");
        assert_eq!((first.streak, second.streak), (1, 2));
        assert!(ejection.is_out() && !ejection.offer_trial(first.turn), "the first pause means nothing now");
        assert!(ejection.offer_trial(second.turn));
        assert_eq!(ejection.failed(Failure::Connect, 3).map(|ejected| ejected.streak), Some(3));
    }

    #[test]
    fn a_trial_without_a_verdict_is_repeated() {
        let (ejection, ejected) = out(Failure::Lost);
        ejection.offer_trial(ejected.turn);
        let turn = ejection.take_trial().expect("a trial");
        ejection.repeat_trial(turn);
        assert!(ejection.take_trial().is_some());
    }

    #[test]
    fn a_connection_that_opens_disproves_only_failures_to_connect() {
        let (ejection, _) = out(Failure::Connect);
        assert!(ejection.connected() && !ejection.is_out());
        let (ejection, _) = out(Failure::Lost);
        assert!(!ejection.connected() && ejection.is_out());
    }

    #[test]
    fn turns_differ_even_when_they_wrap() {
        let (ejection, _) = out(Failure::Connect);
        let mut last = 0;
        for _ in 0..5 {
            ejection.clear();
            let turn = (0..3).find_map(|_| ejection.failed(Failure::Connect, 3)).expect("out").turn;
            assert!(turn != last && turn & PHASE == OUT);
            last = turn;
        }
        let last = Ejection { state: AtomicU32::new(!PHASE), ..Ejection::default() };
        assert_eq!(last.failed(Failure::Connect, 1).map(|ejected| ejected.turn), Some(OUT));
    }
}
