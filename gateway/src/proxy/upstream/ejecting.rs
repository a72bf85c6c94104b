//! Who fails is left alone for a while: failures and answers of an instance as its connections see them, and the pauses
//! between. What they add up to is the instance's own, shared by all workers.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time;

use super::peer::Peer;
use crate::{
    proxy::worker::Worker,
    routing::{Ejected, Failure},
};

/// The longest pause, unless the first is longer.
const LONGEST: Duration = Duration::from_secs(30);

impl Peer {
    /// No connection could be opened, or one was lost with calls on it.
    pub(super) fn failed(self: &Rc<Self>, worker: &Rc<Worker>, failure: Failure) {
        if self.is_closed() {
            return;
        }
        let Some(Ejected { turn, streak }) = self.live().ejection().failed(failure, self.settings().eject_after) else {
            return;
        };
        let pause = pause(self.settings().eject_time, streak);
        let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + pause;
        self.live().ejection().set_until(u64::try_from(until.as_millis()).unwrap_or(u64::MAX));
        worker.metrics.ejections.inc();
        let address = self.live().address();
        if streak == 1 {
            tracing::warn!(%address, ?failure, ?pause, "instance ejected: calls go to others while there are any");
        } else {
            tracing::debug!(%address, ?failure, ?pause, streak, "instance ejected again");
        }
        // Asked ever more seldom: an instance that stays dead and registered is no news.
        if failure == Failure::Connect && streak.is_power_of_two() {
            worker.doubts.tell(address);
        }
        tokio::task::spawn_local(self.clone().offer_trial(worker.clone(), turn, pause));
    }

    /// The instance answered a call.
    pub(super) fn answered(&self) {
        if self.live().ejection().answered() {
            tracing::info!(address = %self.live().address(), "instance returned: it answers calls again");
        }
    }

    /// A connection was opened.
    pub(super) fn connected(&self) {
        if self.live().ejection().connected() {
            tracing::info!(address = %self.live().address(), "instance returned: it can be connected again");
        }
    }

    /// A call is on its way there: it is the trial, if one is due.
    pub(super) fn called(self: &Rc<Self>) {
        let Some(turn) = self.live().ejection().take_trial() else { return };
        tracing::debug!(address = %self.live().address(), "a call tries the instance");
        let (peer, pause) = (self.clone(), self.settings().eject_time);
        tokio::task::spawn_local(async move {
            // Its caller may have left before the instance could show anything.
            time::sleep(pause).await;
            peer.live().ejection().repeat_trial(turn);
        });
    }

    async fn offer_trial(self: Rc<Self>, worker: Rc<Worker>, turn: u32, pause: Duration) {
        time::sleep(pause).await;
        // Where it is not connected, that is tried first, at nobody's cost.
        if self.live().ejection().offer_trial(turn) && !self.is_closed() && !self.is_ready() {
            self.open_ahead(&worker);
        }
    }
}

/// Doubles with every ejection that no answer came after; a quarter more or less of it, so that gateways spread.
fn pause(first: Duration, streak: u32) -> Duration {
    let whole = first.saturating_mul(1 << streak.saturating_sub(1).min(16)).min(LONGEST.max(first));
    whole.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: u64, streak: u32, expected: u64) {
        for _ in 0..100 {
            let share = pause(Duration::from_secs(first), streak).as_secs_f64() / expected as f64;
            assert!((0.75..=1.25).contains(&share), "{streak} times after {first} s: {share} of {expected} s");
        }
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        for (streak, expected) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (100, 30), (u32::MAX, 30)] {
            check(1, streak, expected);
        }
        check(60, 3, 60);
    }
}
