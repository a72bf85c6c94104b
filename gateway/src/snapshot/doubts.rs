//! What workers and operators ask of control.

use tokio::sync::mpsc;

use crate::routing::Address;

/// What may wait for control.
const WAITING: usize = 64;

/// What control is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// The registry announces an instance that cannot be reached: is it still registered?
    ReadAgain(Address),
    /// The instances of the service at this place that left the registry and serve on are really gone.
    Release(usize),
}

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
}
