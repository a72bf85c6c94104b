//! When a plugin that fails is left alone, so that it costs its own calls only, and a small share of its worker. Each
//! worker has one for each plugin version; nothing in it is shared but that it is open.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::tally::{CutOff, Tally};

/// Failures in a row that cost no pause: a trap or two may be their calls' own fault.
const FREE: u32 = 2;
/// The pause after the next one; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// However many answers are between them, failures take one part in so many of the worker's time.
const ONE_PART_IN: u32 = 10;
/// Calls of the full time limit that may fail at once before that is held against the plugin.
const AT_ONCE: u32 = 10;
/// What a failure costs beside its own time: the next sandbox.
const NEW_SANDBOX: Duration = Duration::from_micros(100);

/// Of one plugin version on one worker.
#[derive(Default)]
pub(super) struct Breaker {
    in_a_row: u32,
    /// When the failures so far will have taken no more than their part of the time.
    paid: Option<Instant>,
    /// When the plugin is asked again.
    until: Option<Instant>,
    /// Since it was cut off it has not answered.
    open: Option<CutOff>,
}

impl Breaker {
    /// It answered.
    pub(super) fn answered(&mut self) {
        self.in_a_row = 0;
        if self.open.is_some() {
            self.open = None;
        }
    }

    /// It failed and took this much CPU time; `limit` is what a call may take.
    pub(super) fn failed(&mut self, now: Instant, took: Duration, limit: Duration, tally: &Arc<Tally>) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let paid = self.paid.map_or(now, |paid| paid.max(now)) + (took + NEW_SANDBOX).saturating_mul(ONE_PART_IN);
        self.paid = Some(paid);
        let at_once = limit.saturating_mul(AT_ONCE * ONE_PART_IN);
        let owed = paid.saturating_duration_since(now).saturating_sub(at_once);
        let pause = self.pause().max(owed);
        self.until = Some(now + pause);
        if !pause.is_zero() && self.open.is_none() {
            self.open = Some(CutOff::new(tally));
        }
    }

    /// Whether it is not asked now.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn pause(&self) -> Duration {
        match self.in_a_row.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);
    /// What an endless call is held to have taken: its limit and two ticks.
    const ENDLESS: Duration = Duration::from_millis(10);

    #[test]
    fn the_pause_doubles_until_an_answer_comes() {
        let (now, tally) = (Instant::now(), Arc::default());
        let mut breaker = Breaker::default();
        let mut pauses = Vec::new();
        for _ in 0..11 {
            breaker.failed(now, Duration::ZERO, LIMIT, &tally);
            pauses.push((breaker.until.unwrap() - now).as_millis());
        }
        assert_eq!(pauses, [0, 0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert!(breaker.holds(now), "a pause holds");
        assert!(!breaker.holds(now + LONGEST_PAUSE), "and ends");
        assert_eq!(tally.cut_off(), 1, "others see it");

        breaker.answered();
        assert_eq!(tally.cut_off(), 0, "and that it is over");
        breaker.failed(now, Duration::ZERO, LIMIT, &tally);
        assert!(!breaker.holds(now), "after an answer the first failure costs nothing again");
    }

    #[test]
    fn answers_between_do_not_buy_more_than_a_tenth_of_the_time() {
        let (start, tally) = (Instant::now(), Arc::default());
        let mut breaker = Breaker::default();
        let (mut now, mut took, end) = (start, Duration::ZERO, start + Duration::from_secs(60));
        while now < end {
            if !breaker.holds(now) {
                breaker.failed(now, ENDLESS, LIMIT, &tally);
                breaker.answered();
                took += ENDLESS;
            }
            now += Duration::from_millis(1);
        }
        let share = took.as_secs_f64() / 60.0;
        assert!((0.08..0.11).contains(&share), "{share} of the time");
    }

    #[test]
    fn short_failures_among_answers_are_never_cut_off() {
        let (start, tally) = (Instant::now(), Arc::default());
        let mut breaker = Breaker::default();
        for hundredth in 0..6_000 {
            let now = start + Duration::from_millis(10) * hundredth;
            assert!(!breaker.holds(now), "trap {hundredth}, a hundred a second");
            breaker.failed(now, Duration::ZERO, LIMIT, &tally);
            breaker.answered();
        }
    }

    #[test]
    fn one_that_is_dropped_is_not_counted_as_open() {
        let tally: Arc<Tally> = Arc::default();
        let mut breaker = Breaker::default();
        (0..5).for_each(|_| breaker.failed(Instant::now(), ENDLESS, LIMIT, &tally));
        assert_eq!(tally.cut_off(), 1);
        drop(breaker);
        assert_eq!(tally.cut_off(), 0);
    }
}
