//! What workers and operators ask of control.

use tokio::sync::{mpsc, oneshot};

use crate::routing::Address;

/// What may wait for control.
const WAITING: usize = 64;

/// What control is asked for.
#[derive(Debug)]
pub enum Ask {
    /// The registry announces an instance that cannot be reached: is it still registered?
    ReadAgain(Address),
    /// The instances of the service at this place that left the registry and serve on are really gone.
    Release(usize),
    /// The plugin at this place goes back to the version that decided before.
    RollBack(usize, Reply),
    /// The file of the plugin at this place is read and decides.
    Reload(usize, Reply),
}

/// Where an operator is told what came of it: what was done, or why nothing was.
pub type Reply = oneshot::Sender<Result<String, String>>;

/// Where that is asked.
#[derive(Clone)]
pub struct Doubts(mpsc::Sender<Ask>);

impl Doubts {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// The instance cannot be reached: is it still registered? Nobody waits for the answer.
    pub fn tell(&self, address: &Address) {
        // With so many waiting, the registry is about to be read again.
        drop(self.0.try_send(Ask::ReadAgain(address.clone())));
    }

    /// The instances of a service that are spared are gone. Whether control will hear it.
    pub fn release(&self, service: usize) -> bool {
        self.0.try_send(Ask::Release(service)).is_ok()
    }

    /// A plugin goes back to the version that decided before. Where the answer comes; `None`: control will not hear it.
    pub fn roll_back(&self, plugin: usize) -> Option<oneshot::Receiver<Result<String, String>>> {
        self.ask(|reply| Ask::RollBack(plugin, reply))
    }

    /// A plugin's file is read and decides. As [`Doubts::roll_back`].
    pub fn reload(&self, plugin: usize) -> Option<oneshot::Receiver<Result<String, String>>> {
        self.ask(|reply| Ask::Reload(plugin, reply))
    }

    fn ask(&self, what: impl FnOnce(Reply) -> Ask) -> Option<oneshot::Receiver<Result<String, String>>> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(what(reply)).ok().map(|()| answer)
    }
}
