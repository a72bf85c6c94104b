//! What one sandbox may use: CPU time of a call, memory and tables. Knows nothing of what a plugin decides.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{ResourceLimiter, UpdateDeadline};

use super::engine::TICK;
use crate::config;

/// Core instances, memories and tables of a sandbox; a component made from one Rust module has three instances.
const MAX_PARTS: usize = 100;

/// Watches over the limits of one sandbox.
pub(super) struct Meter {
    limits: config::Limits,
    /// Bytes in all linear memories together.
    memory: usize,
    /// Elements of all tables together.
    table: usize,
    /// CPU time of the thread at the first tick that the call met.
    since: Option<Duration>,
}

/// The error that ends a call which wants more memory than the limit.
#[derive(Debug, thiserror::Error)]
#[error("memory limit reached")]
pub(super) struct OutOfMemory;

/// The error that ends a call which wants more table elements than the limit.
#[derive(Debug, thiserror::Error)]
#[error("table limit reached")]
pub(super) struct OutOfTable;

impl Meter {
    pub(super) fn new(limits: config::Limits) -> Self {
        Self { limits, memory: 0, table: 0, since: None }
    }

    pub(super) fn limits(&self) -> config::Limits {
        self.limits
    }

    /// Bytes in all linear memories together.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// A new call begins.
    pub(super) fn begin(&mut self) {
        self.since = None;
    }

    /// CPU time that the call under way has taken. One that met no tick took less than one and counts as nothing; one that
    /// met some counts one more than it may have: over many calls that is no less than what they took.
    pub(super) fn spent(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| thread_cpu_time().saturating_sub(since) + TICK)
    }

    /// Whether a call that the epoch's tick has met may go on; if so, until the next tick.
    ///
    /// The limit is about the thread's CPU time, because on a busy machine wall time passes for innocent calls. Reading
    /// that clock costs as much as a whole small call, so that it is first read at the first tick that a call meets,
    /// which few calls live to see.
    pub(super) fn interrupted(&mut self) -> UpdateDeadline {
        let now = thread_cpu_time();
        let used = now.saturating_sub(*self.since.get_or_insert(now));
        if used < self.limits.time { UpdateDeadline::Continue(1) } else { UpdateDeadline::Interrupt }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.limits.memory {
            // A trap, not a failed `memory.grow`: few guests survive that one in a state to be trusted.
            return Err(OutOfMemory.into());
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let table = self.table.saturating_add(desired.saturating_sub(current));
        if table > self.limits.table {
            return Err(OutOfTable.into());
        }
        self.table = table;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: config::Limits = config::Limits { time: Duration::from_millis(5), memory: 1 << 20, table: 1_000 };

    #[test]
    fn memories_are_counted_together() {
        let mut meter = Meter::new(LIMITS);
        assert!(meter.memory_growing(0, 1 << 19, None).unwrap(), "the first half");
        assert!(meter.memory_growing(0, 1 << 19, None).unwrap(), "another memory with the second half");
        let error = meter.memory_growing(1 << 19, (1 << 19) + 1, None).unwrap_err();
        assert!(error.is::<OutOfMemory>(), "one byte more: {error}");
    }

    #[test]
    fn tables_are_counted_together() {
        let mut meter = Meter::new(LIMITS);
        assert!(meter.table_growing(0, 600, None).unwrap(), "one table");
        assert!(meter.table_growing(0, 400, None).unwrap(), "another one with the rest");
        let error = meter.table_growing(400, 401, None).unwrap_err();
        assert!(error.is::<OutOfTable>(), "one element more: {error}");
    }

    #[test]
    fn waiting_costs_nothing_and_computing_does() {
        let mut meter = Meter::new(LIMITS);
        meter.begin();
        assert!(matches!(meter.interrupted(), UpdateDeadline::Continue(1)), "the first look only notes the time");
        std::thread::sleep(2 * LIMITS.time);
        assert!(matches!(meter.interrupted(), UpdateDeadline::Continue(1)), "time asleep is not CPU time");
        let start = thread_cpu_time();
        while thread_cpu_time() - start < LIMITS.time {}
        assert!(matches!(meter.interrupted(), UpdateDeadline::Interrupt), "its CPU time is used up");
        meter.begin();
        assert!(matches!(meter.interrupted(), UpdateDeadline::Continue(1)), "the next call starts anew");
    }
}
