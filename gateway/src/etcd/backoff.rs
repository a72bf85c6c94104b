//! How long to wait before the next session.

use std::time::Duration;

/// The longest pause after the first failure that is not tried again at once.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause at all; a session that lived as long was a good one.
const LONGEST: Duration = Duration::from_secs(5);

/// Counts sessions that ended early.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a session that lived this long: none after a good one, then any up to a limit that doubles, so
    /// that many gateways do not come back all at once.
    pub fn next(&mut self, lived: Duration) -> Duration {
        self.limit(lived).mul_f64(fastrand::f64())
    }

    fn limit(&mut self, lived: Duration) -> Duration {
        if lived >= LONGEST {
            self.failures = 0;
        }
        let doublings = self.failures.checked_sub(1);
        self.failures = self.failures.saturating_add(1);
        doublings.map_or(Duration::ZERO, |doublings| FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_twice_as_long_each_time() {
        let mut backoff = Backoff::default();
        let limits: Vec<_> = (0..9).map(|_| backoff.limit(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(limits, [0, 50, 100, 200, 400, 800, 1600, 3200, 5000]);
        for _ in 0..100 {
            assert_eq!(backoff.limit(Duration::ZERO), LONGEST, "it never overflows");
        }
        assert!(backoff.next(Duration::ZERO) <= LONGEST);
    }

    #[test]
    fn a_session_that_lived_is_followed_at_once() {
        let mut backoff = Backoff { failures: 7 };
        assert_eq!(backoff.limit(LONGEST), Duration::ZERO);
        assert_eq!(backoff.limit(Duration::ZERO), FIRST, "the one after it is not");
    }
}
