//! A clock that is exact to microseconds: the runtime's own timers round to a millisecond, several calls at these
//! rates. A thread of its own sleeps from beat to beat.

use std::{num::NonZero, thread, time::Duration};

use rustix::thread::set_current_timer_slack;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::Instant,
};

/// Beats at a fixed rate from its start on.
pub(crate) struct Metronome {
    beats: UnboundedReceiver<Instant>,
}

impl Metronome {
    /// Beats this often, one beat each `interval`.
    pub(crate) fn start(interval: Duration, count: u32) -> Self {
        let (tell, beats) = unbounded_channel();
        let start = Instant::now();
        thread::spawn(move || {
            // Without the slack of 50 us that the kernel gives a sleeper by default. Where that is refused, latencies
            // are that much longer, with every proxy.
            let _ = set_current_timer_slack(NonZero::new(1));
            for beat in 1..=count {
                let due = start + interval * beat;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if tell.send(due).is_err() {
                    break;
                }
            }
        });
        Self { beats }
    }

    /// Waits for the next beat and says when it was due; `None` after the last.
    pub(crate) async fn beat(&mut self) -> Option<Instant> {
        self.beats.recv().await
    }
}
