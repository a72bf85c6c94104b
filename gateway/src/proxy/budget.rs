//! How often calls of a route may be sent again: so many per call that ended, and a few at once. Without it, repetitions
//! would double the load just when instances fail.

use std::cell::Cell;

/// Repetitions that may come at once.
const BURST: f64 = 10.0;

/// The repetitions that a route has left in one worker.
pub(super) struct Budget {
    left: Cell<f64>,
    per_call: f64,
}

impl Budget {
    /// That grows by so much with every call that ends.
    pub(super) fn new(per_call: f64) -> Self {
        Self { left: Cell::new(if per_call > 0.0 { BURST } else { 0.0 }), per_call }
    }

    /// A call has ended.
    pub(super) fn earn(&self) {
        self.left.set((self.left.get() + self.per_call).min(BURST));
    }

    /// Takes one, if one is left.
    pub(super) fn spend(&self) -> bool {
        let left = self.left.get();
        let may = left >= 1.0;
        if may {
            self.left.set(left - 1.0);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_at_once_and_then_one_for_every_ten_calls() {
        let budget = Budget::new(0.1);
        assert_eq!((0..20).filter(|_| budget.spend()).count(), 10);
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.spend());
        (0..2).for_each(|_| budget.earn());
        assert!(budget.spend() && !budget.spend());
        (0..1_000).for_each(|_| budget.earn());
        assert_eq!((0..20).filter(|_| budget.spend()).count(), 10, "what is not used is not kept");
    }

    #[test]
    fn none_is_none() {
        let budget = Budget::new(0.0);
        budget.earn();
        assert!(!budget.spend());
    }
}
