//! How benches count nanoseconds: rounds of the same work, of which the best and the median are told.

use std::{env, fmt, hint::black_box, time::Instant};

/// The rounds of one run.
pub struct Rounds {
    count: usize,
    /// A round does this part of the usual work.
    part: u32,
}

/// Nanoseconds for one piece of work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nanos {
    /// In the best round.
    pub best: f64,
    /// In the median round.
    pub median: f64,
}

impl Rounds {
    /// Fifteen; with `--quick` among the arguments three, each of a tenth of the work.
    pub fn from_args() -> Self {
        let quick = env::args().any(|argument| argument == "--quick");
        if quick { Self { count: 3, part: 10 } } else { Self { count: 15, part: 1 } }
    }

    /// Times `work`, which a round does `times` times. A first round is not counted.
    pub fn time<T>(&self, times: u32, mut work: impl FnMut() -> T) -> Nanos {
        let times = (times / self.part).max(1);
        let mut round = || {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed().as_nanos() as f64 / f64::from(times)
        };
        round();
        let mut rounds: Vec<_> = (0..self.count).map(|_| round()).collect();
        rounds.sort_unstable_by(f64::total_cmp);
        let at = |place: usize| rounds.get(place).copied().unwrap_or_default();
        Nanos { best: at(0), median: at(self.count / 2) }
    }
}

impl Nanos {
    /// The same for each of so many equal parts of the work.
    #[must_use]
    pub fn each(self, parts: usize) -> Self {
        Self { best: self.best / parts as f64, median: self.median / parts as f64 }
    }

    /// MB per second in the best round, when the work moves so many bytes.
    pub fn megabytes(self, bytes: usize) -> f64 {
        bytes as f64 * 1000.0 / self.best
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let little = if self.part == 1 { "" } else { ", little work each" };
        write!(f, "best / median of {} rounds{little}", self.count)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} / {:.1}", self.best, self.median))
    }
}
