//! Waiting for a condition with a deadline. Nothing in the tests sleeps to let something happen.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
pub const POLL: Duration = Duration::from_millis(10);

/// What most conditions get before the test fails; far more than any needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the condition holds, else fails with the message: `eventually!(PATIENCE, condition, "text")`.
/// The condition may `.await`; without a deadline it gets [`PATIENCE`].
#[macro_export]
macro_rules! eventually {
    ($condition:expr, $($message:tt)+) => {
        $crate::eventually!(in $crate::eventually::PATIENCE, $condition, $($message)+)
    };
    (in $deadline:expr, $condition:expr, $($message:tt)+) => {{
        let clock = $crate::eventually::Clock::start($deadline);
        loop {
            if $condition {
                break;
            }
            assert!(clock.runs(), "after {:?}: {}", $deadline, format!($($message)+));
            $crate::eventually::pause().await;
        }
    }};
}

/// Runs until a deadline.
pub struct Clock(Instant);

impl Clock {
    /// Starts now.
    pub fn start(deadline: Duration) -> Self {
        Self(Instant::now() + deadline)
    }

    /// Whether there is time left.
    pub fn runs(&self) -> bool {
        Instant::now() < self.0
    }
}

/// The pause between two looks.
pub async fn pause() {
    tokio::time::sleep(POLL).await;
}
