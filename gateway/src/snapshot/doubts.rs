//! What workers tell control: instances that the registry announces and that cannot be reached.

use tokio::sync::mpsc;

use crate::routing::Address;

/// Doubts that may wait for control.
const WAITING: usize = 64;

/// Where workers tell them.
#[derive(Clone)]
pub struct Doubts(mpsc::Sender<Address>);

impl Doubts {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Address>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// The instance cannot be reached: is it still registered? Nobody waits for the answer.
    pub fn tell(&self, address: &Address) {
        // With so many waiting, the registry is about to be read again.
        drop(self.0.try_send(address.clone()));
    }
}
