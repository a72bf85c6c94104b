//! Asks sources to read again what they told, when it is in doubt; not too often. Reads nothing itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// Between two readings of a service for this reason.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells one source to read everything again.
pub type Reread = Arc<Notify>;

/// One for each service.
pub(super) struct Rereads(Vec<(Reread, Option<Instant>)>);

impl Rereads {
    /// Of these sources, by the places of their services.
    pub(super) fn new(sources: Vec<Reread>) -> Self {
        Self(sources.into_iter().map(|source| (source, None)).collect())
    }

    /// Asks for a service to be read again, unless that was done a moment ago. Whether it is.
    pub(super) fn ask(&mut self, service: usize, now: Instant) -> bool {
        let Some((source, last)) = self.0.get_mut(service) else { return false };
        if last.is_some_and(|last| now < last + PAUSE) {
            return false;
        }
        *last = Some(now);
        source.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_is_read_again_now_and_then() {
        let source = Reread::default();
        let mut rereads = Rereads::new(vec![Reread::default(), source.clone()]);
        let now = Instant::now();
        assert!(rereads.ask(1, now) && !rereads.ask(1, now) && !rereads.ask(2, now));
        source.notified().await;
        assert!(rereads.ask(0, now), "another service is another matter");
        assert!(rereads.ask(1, now + PAUSE));
    }
}
