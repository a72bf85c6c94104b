//! When an instance is asked for a sign of life, and when its connection is given up. Counts seconds as it is told of
//! them; knows no socket.
//!
//! Servers of gRPC end connections with ENHANCE_YOUR_CALM that are pinged too often. By default they allow a ping every
//! five minutes, and forgive two more since they last sent headers or DATA; the first one after that is always allowed.
//! So three pings of one silence come at the interval of the configuration, the later ones at theirs.

use std::{cell::Cell, time::Duration};

/// Pings of one silence that no server counts as too many.
const FORGIVEN: u32 = 3;
/// What servers allow by default, and a little for the clocks.
const ALLOWED: Duration = Duration::from_secs(310);

/// The state of one connection.
pub(super) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    /// Seconds without a byte.
    silence: Cell<u32>,
    /// Seconds since a ping that nothing came after.
    waits: Cell<Option<u32>>,
    /// Pings since the instance last sent a piece of a reply.
    asked: Cell<u32>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    /// Send a ping.
    Ask,
    /// Nothing came in time: the connection is lost.
    GiveUp,
}

impl Keepalive {
    /// Asks after `interval` without a byte, and gives up after `timeout` more.
    pub(super) fn new(interval: Duration, timeout: Duration) -> Self {
        let (silence, waits, asked) = Default::default();
        Self { interval, timeout, silence, waits, asked }
    }

    /// How long a connection may be silent.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// How long an answer may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Something came, whatever it is: the instance lives.
    pub(super) fn heard(&self) {
        self.silence.set(0);
        self.waits.set(None);
    }

    /// A piece of a reply came: the instance counts pings anew.
    pub(super) fn answered(&self) {
        self.asked.set(0);
    }

    /// A second has passed, with calls open or without.
    pub(super) fn second_passed(&self, in_use: bool) -> Beat {
        if !in_use {
            self.heard();
            return Beat::Nothing;
        }
        if let Some(waits) = self.waits.get() {
            self.waits.set(Some(waits.saturating_add(1)));
            return if seconds(waits.saturating_add(1)) >= self.timeout { Beat::GiveUp } else { Beat::Nothing };
        }
        let silence = self.silence.get().saturating_add(1);
        self.silence.set(silence);
        let pause = if self.asked.get() < FORGIVEN { self.interval } else { self.interval.max(ALLOWED) };
        if seconds(silence) < pause {
            return Beat::Nothing;
        }
        self.asked.set(self.asked.get().saturating_add(1));
        self.waits.set(Some(0));
        Beat::Ask
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keepalive() -> Keepalive {
        Keepalive::new(Duration::from_secs(20), Duration::from_secs(10))
    }

    /// After how many seconds the next thing is to be done, and what.
    fn next(keepalive: &Keepalive, limit: u32) -> Option<(u32, Beat)> {
        (1..=limit).map(|second| (second, keepalive.second_passed(true))).find(|(_, beat)| *beat != Beat::Nothing)
    }

    #[test]
    fn a_silent_instance_is_asked_and_given_up() {
        let keepalive = keepalive();
        assert_eq!(next(&keepalive, 100), Some((20, Beat::Ask)));
        assert_eq!(next(&keepalive, 100), Some((10, Beat::GiveUp)));
    }

    #[test]
    fn whatever_comes_is_a_sign_of_life() {
        let keepalive = keepalive();
        for _ in 0..10 {
            assert_eq!(next(&keepalive, 19), None);
            keepalive.heard();
        }
    }

    #[test]
    fn nothing_is_asked_without_calls() {
        let keepalive = keepalive();
        assert_eq!(next(&keepalive, 20), Some((20, Beat::Ask)));
        assert!((0..1000).all(|_| keepalive.second_passed(false) == Beat::Nothing));
        assert_eq!(next(&keepalive, 100), Some((20, Beat::Ask)), "the ping before the pause is forgotten");
    }

    /// How grpc-go counts: at most two pings, less than five minutes after the one before, since it last sent headers or
    /// DATA; the first after that is free.
    #[test]
    fn no_server_finds_the_pings_too_many() {
        for interval in [1, 20, 100, 299, 301, 1000] {
            let keepalive = Keepalive::new(Duration::from_secs(interval), Duration::from_secs(10));
            let (mut now, mut last, mut strikes, mut sent) = (0, None, 0, false);
            for second in 0..100_000_u64 {
                // A piece of a reply in the first second, and much later another one.
                if second == 0 || second == 50_000 {
                    keepalive.heard();
                    keepalive.answered();
                    sent = true;
                }
                now += 1;
                if keepalive.second_passed(true) == Beat::Ask {
                    keepalive.heard();
                    if std::mem::take(&mut sent) {
                        strikes = 0;
                    } else if last.is_some_and(|last| last + 300 > now) {
                        strikes += 1;
                    }
                    last = Some(now);
                    assert!(strikes <= 2, "interval {interval}: too_many_pings after {second} s");
                }
            }
            assert!(last.is_some());
        }
    }
}
