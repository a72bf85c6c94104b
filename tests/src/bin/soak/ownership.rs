//! Who owns which symbol, and since when a call must not go there any more. Pure: it is told the time.
//!
//! The rule. An address owns a symbol from before the registry is told so. It owns it no longer when the registry has
//! said so: the delete, or the newer entry that announces the address for another symbol, is acknowledged, or the key
//! of a lease that ran out is seen to be gone. A gateway must know of it [`GRACE`] later; if the registry was down then
//! or had just come back, when it has been up for [`RELIST`] without a break. A call that reaches the address after that
//! moment is at a wrong owner. A call at an address that never owned its symbol is at a wrong owner at any time.
//!
//! A call reaches the address when the instance reads it. One that an instance reads after it stood still was sent at some
//! time since its caller began it, so that this is the time that counts.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// What a change may take from the registry through the gateway to an instance, on a busy machine.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// The gateway's longest pause between two tries to reach the registry is 5 s; then it connects and reads the list.
pub(crate) const RELIST: Duration = Duration::from_secs(8);

/// All that is known of owners and of the registry's own ups and downs.
pub(crate) struct Ownership {
    tenures: HashMap<(u16, String), Option<Instant>>,
    up: Vec<Up>,
}

/// A time in which the registry could be reached.
#[derive(Clone, Copy)]
struct Up {
    from: Instant,
    to: Option<Instant>,
}

impl Ownership {
    /// Of a registry that is up.
    pub(crate) fn new(now: Instant) -> Self {
        Self { tenures: HashMap::new(), up: vec![Up { from: now, to: None }] }
    }

    /// Said before the registry is told.
    pub(crate) fn gained(&mut self, port: u16, symbol: &str) {
        self.tenures.insert((port, symbol.to_owned()), None);
    }

    /// Said after the registry has acknowledged it.
    pub(crate) fn lost(&mut self, port: u16, symbol: &str, now: Instant) {
        self.tenures.insert((port, symbol.to_owned()), Some(now));
    }

    /// Said before the registry is stopped.
    pub(crate) fn registry_down(&mut self, now: Instant) {
        if let Some(up) = self.up.last_mut() {
            up.to = Some(now);
        }
    }

    /// Said when the registry answers again.
    pub(crate) fn registry_up(&mut self, now: Instant) {
        self.up.push(Up { from: now, to: None });
    }

    /// Why a call that the gateway sent at `moment` or later is at a wrong owner; nothing when it is not.
    pub(crate) fn fault(&self, port: u16, symbol: &str, moment: Instant) -> Option<String> {
        let Some(tenure) = self.tenures.get(&(port, symbol.to_owned())) else {
            return Some("it never owned the symbol".into());
        };
        let lost = (*tenure)?;
        let late = moment.checked_duration_since(self.known_by(lost)?)?;
        let since = moment.duration_since(lost);
        (!late.is_zero()).then(|| format!("it lost the symbol {since:.2?} before, {late:.2?} too long ago"))
    }

    /// When the gateway must know what the registry acknowledged at `lost`; `None`: not yet to be said.
    fn known_by(&self, lost: Instant) -> Option<Instant> {
        let known = |up: &Up| {
            let by = (lost + GRACE).max(up.from + RELIST);
            up.to.is_none_or(|to| by < to).then_some(by)
        };
        self.up.iter().filter_map(known).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 7000;

    fn seconds(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    /// Lost 20 seconds after the start.
    fn lost(start: Instant) -> Ownership {
        let mut ownership = Ownership::new(start);
        ownership.gained(PORT, "A");
        ownership.lost(PORT, "A", seconds(start, 20.0));
        ownership
    }

    #[track_caller]
    fn check(ownership: &Ownership, start: Instant, right_until: f64) {
        let faulty = |at| ownership.fault(PORT, "A", seconds(start, at)).is_some();
        assert!(!faulty(right_until), "right until {right_until}");
        assert!(faulty(right_until + 0.001), "wrong after {right_until}");
    }

    #[test]
    fn an_owner_is_right_and_a_stranger_is_wrong() {
        let start = Instant::now();
        let mut ownership = Ownership::new(start);
        ownership.gained(PORT, "A");
        assert!(ownership.fault(PORT, "A", seconds(start, 99.0)).is_none());
        assert!(ownership.fault(PORT, "B", start).is_some());
        assert!(ownership.fault(PORT + 1, "A", start).is_some());
    }

    #[test]
    fn a_former_owner_is_wrong_after_the_grace() {
        let start = Instant::now();
        check(&lost(start), start, 21.0);
    }

    #[test]
    fn who_owns_again_is_right_again() {
        let start = Instant::now();
        let mut ownership = lost(start);
        ownership.gained(PORT, "A");
        assert!(ownership.fault(PORT, "A", seconds(start, 99.0)).is_none());
    }

    #[test]
    fn while_the_registry_is_down_nobody_can_know() {
        let start = Instant::now();
        let mut ownership = lost(start);
        ownership.registry_down(seconds(start, 20.5));
        assert!(ownership.fault(PORT, "A", seconds(start, 99.0)).is_none());
        ownership.registry_up(seconds(start, 30.0));
        check(&ownership, start, 38.0);
    }

    #[test]
    fn what_was_known_before_the_registry_went_down_stays_known() {
        let start = Instant::now();
        let mut ownership = lost(start);
        ownership.registry_down(seconds(start, 21.5));
        check(&ownership, start, 21.0);
    }

    #[test]
    fn a_registry_that_came_back_and_went_away_again_told_nothing() {
        let start = Instant::now();
        let mut ownership = lost(start);
        ownership.registry_down(seconds(start, 20.5));
        ownership.registry_up(seconds(start, 25.0));
        ownership.registry_down(seconds(start, 32.0));
        ownership.registry_up(seconds(start, 40.0));
        check(&ownership, start, 48.0);
    }
}
