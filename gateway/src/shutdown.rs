//! The steps of ending: first say so while all goes on, then drain, then end.

use tokio::sync::watch;

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Leaving,
    Draining,
    Ended,
}

/// Says how far it is.
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
    /// Whoever asks is told to send no more calls; those that come are taken.
    pub fn leave(&self) {
        self.reach(Phase::Leaving);
    }

    /// No new calls; those under way go on.
    pub fn drain(&self) {
        self.reach(Phase::Draining);
    }

    /// Ends what is still under way.
    pub fn end(&self) {
        self.reach(Phase::Ended);
    }

    /// There is no way back.
    fn reach(&self, next: Phase) {
        self.0.send_modify(|phase| *phase = (*phase).max(next));
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

    /// Whether the process was told to end, however far that is.
    pub fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Phase::Leaving
    }
}
