//! The two steps of ending: first drain, then end.

use tokio::sync::watch;

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Ended,
}

/// Says that it is time to drain or to end.
#[derive(Clone, Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// Hears it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

/// A trigger and its listener.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// No new calls; those under way go on.
    pub fn drain(&self) {
        self.0.send_modify(|phase| *phase = (*phase).max(Phase::Draining));
    }

    /// Ends what is still under way.
    pub fn end(&self) {
        self.0.send_replace(Phase::Ended);
    }
}

impl Shutdown {
    /// Waits for the drain to begin. A trigger that is gone counts as one that was pulled.
    pub async fn draining(&mut self) {
        drop(self.0.wait_for(|phase| *phase >= Phase::Draining).await);
    }

    /// Waits for the end.
    pub async fn ended(&mut self) {
        drop(self.0.wait_for(|phase| *phase >= Phase::Ended).await);
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }
}
