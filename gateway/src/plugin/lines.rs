//! The log lines of one plugin version: cut, limited in rate, with the plugin's name. A plugin can do nothing else
//! besides answering.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::wit::log::Level;

/// Bytes of one line that are kept.
const MAX_LINE: usize = 1024;
/// Lines per [`WINDOW`] of all sandboxes of a plugin version together.
const MAX_LINES: u64 = 20;
const WINDOW: Duration = Duration::from_secs(1);

/// Where the sandboxes of one plugin version write.
pub(super) struct Lines {
    plugin: Arc<str>,
    version: Arc<str>,
    rate: Mutex<Rate>,
}

/// Counts the lines of the current window.
struct Rate {
    since: Instant,
    lines: u64,
}

impl Lines {
    pub(super) fn new(plugin: Arc<str>, version: Arc<str>) -> Self {
        Self { plugin, version, rate: Mutex::new(Rate { since: Instant::now(), lines: 0 }) }
    }

    /// Writes one line, or counts it when there were too many.
    pub(super) fn write(&self, level: Level, text: &str) {
        let (admitted, dropped) = self.rate.lock().admit(Instant::now());
        let (plugin, version) = (&*self.plugin, &*self.version);
        if dropped > 0 {
            tracing::warn!(plugin, version, dropped, "dropped log lines: a plugin may write {MAX_LINES} per second");
        }
        if !admitted {
            return;
        }
        let text = cut(text);
        match level {
            Level::Error => tracing::error!(plugin, version, "{text}"),
            Level::Warn => tracing::warn!(plugin, version, "{text}"),
            Level::Info => tracing::info!(plugin, version, "{text}"),
            Level::Debug => tracing::debug!(plugin, version, "{text}"),
        }
    }
}

impl Rate {
    /// Whether a line may be written now, and how many were dropped in the window that it ends.
    fn admit(&mut self, now: Instant) -> (bool, u64) {
        let mut dropped = 0;
        if now.duration_since(self.since) >= WINDOW {
            dropped = self.lines.saturating_sub(MAX_LINES);
            *self = Self { since: now, lines: 0 };
        }
        self.lines += 1;
        (self.lines <= MAX_LINES, dropped)
    }
}

/// The first [`MAX_LINE`] bytes of a line, whole characters only.
pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_LINE)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_rate_are_counted() {
        let start = Instant::now();
        let mut rate = Rate { since: start, lines: 0 };
        for line in 0..MAX_LINES {
            assert_eq!(rate.admit(start), (true, 0), "line {line}");
        }
        assert_eq!(rate.admit(start), (false, 0));
        assert_eq!(rate.admit(start), (false, 0));
        assert_eq!(rate.admit(start + WINDOW), (true, 2), "the next window tells of the last one");
        assert_eq!(rate.admit(start + 2 * WINDOW), (true, 0));
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(MAX_LINE + 1)).len(), MAX_LINE);
        assert_eq!(cut(&format!("x{}", "é".repeat(MAX_LINE))).len(), MAX_LINE - 1);
    }
}
