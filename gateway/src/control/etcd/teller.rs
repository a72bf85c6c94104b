//! Tells control what a service's part of the registry says, and of one outage once for each reason that it goes on.

use tokio::sync::mpsc;
use tracing::debug;

use super::super::source::{Change, Update};

/// The way to control.
pub(super) struct Teller {
    prefix: String,
    service: usize,
    updates: mpsc::Sender<Update>,
    /// Why etcd cannot be heard.
    lost: Option<String>,
}

impl Teller {
    pub(super) fn new(prefix: String, service: usize, updates: mpsc::Sender<Update>) -> Self {
        Self { prefix, service, updates, lost: None }
    }

    pub(super) async fn listed(&mut self, change: Change) {
        self.lost = None;
        self.say(change).await;
    }

    pub(super) async fn lost(&mut self, reason: String) {
        let prefix = &self.prefix;
        match self.lost.replace(reason.clone()) {
            Some(before) if before == reason => debug!(prefix, reason, "the registry is still not heard"),
            _ => self.say(Change::Lost { reason }).await,
        }
    }

    pub(super) async fn say(&self, change: Change) {
        // When nobody listens, `watch` ends.
        drop(self.updates.send(Update { service: self.service, change }).await);
    }
}
