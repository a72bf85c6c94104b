//! Finding a call's place, and starting it there. Each attempt looks at the newest snapshot, and none holds one while it
//! waits.

use std::{rc::Rc, time::Instant};

use super::{Call, Phase, Seat};
use crate::{
    http2::Token,
    proxy::{
        attempt::{Decision, Place},
        body::End,
        link::Link,
        request::Decided,
        status::Ended,
        upstream::{Found, Peer},
        worker::Worker,
    },
};

/// Why a connection did not take a call.
const NO_ROOM: &str = "the connection takes no more calls";

impl Call {
    /// Decides where the call goes and sends it there; waits where that takes time.
    pub(super) fn place(&mut self, worker: &Rc<Worker>, key: Token) -> Option<Ended> {
        loop {
            let place = match worker.decide(&self.head, &mut self.attempt) {
                Ok(Decision::Place(place)) => place,
                Ok(Decision::NeedMessage(limit)) => return self.wait_for_message(worker, key, limit),
                Err(reject) => return Some(self.reject(&reject)),
            };
            let (place, why) = match worker.connection(&place.instance.live) {
                Found::Link(link) => match self.send(key, &link, place) {
                    Ok(()) => return None,
                    Err(place) => (place, NO_ROOM.to_owned()),
                },
                Found::Wait(peer) => {
                    peer.wait(key);
                    self.phase = Phase::Waiting(place, peer);
                    return None;
                }
                Found::Failed(why) => (place, why),
            };
            if let Some(ended) = self.failed(worker, place, why) {
                return Some(ended);
            }
        }
    }

    /// The connection to `peer` that the call waits for is there, or why it will not be.
    pub(in crate::proxy) fn resume(
        &mut self,
        worker: &Rc<Worker>,
        key: Token,
        peer: &Peer,
        why: Option<&str>,
    ) -> Option<Ended> {
        let (place, peer) = match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Waiting(place, own) if std::ptr::eq(&*own, peer) => (place, own),
            // Another call has the number of the one that waited.
            other => {
                self.phase = other;
                return None;
            }
        };
        let (place, why) = match (why, peer.link()) {
            (Some(why), _) => (place, why),
            (None, Some(link)) => match self.send(key, &link, place) {
                Ok(()) => return None,
                Err(place) => (place, NO_ROOM),
            },
            (None, None) => {
                peer.wait(key);
                self.phase = Phase::Waiting(place, peer);
                return None;
            }
        };
        self.failed(worker, place, why.to_owned()).or_else(|| self.place(worker, key))
    }

    /// The place never saw the call: another attempt, unless the call is out of them.
    pub(super) fn failed(&mut self, worker: &Worker, place: Place, why: String) -> Option<Ended> {
        worker.metrics.retries.inc();
        self.phase = Phase::New;
        self.body.start_again();
        self.attempt.failed(place, why).err().map(|reject| self.reject(&reject))
    }

    fn wait_for_message(&mut self, worker: &Rc<Worker>, key: Token, limit: usize) -> Option<Ended> {
        let room = self.body.return_all();
        self.client.with(|http2| http2.release(self.stream, room));
        self.look_for_message(worker, key, limit)
    }

    /// Starts the call on a connection; the place comes back if the connection takes no more streams.
    fn send(&mut self, key: Token, link: &Rc<Link>, place: Place) -> Result<(), Place> {
        let now = Instant::now();
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(now));
        let bodiless = self.body.kept().is_empty() && matches!(self.body.end, End::Ended);
        let decided = Decided::new(&place, left);
        let opened = link.with(|http2| {
            let stream = http2.open(key, decided.head(&self.head.fields), bodiless)?;
            let sent = http2.send_data(stream, self.body.kept(), matches!(self.body.end, End::Ended) && !bodiless);
            if let End::Trailers(trailers) = &self.body.end {
                http2.send_trailers(stream, trailers);
            }
            Some((stream, sent))
        });
        let Some((stream, sent)) = opened else { return Err(place) };
        place.instance.live.call_started();
        // Whose call it is, is known; what it was read from need not outlive that.
        self.attempt.message = None;
        self.phase = Phase::Placed(Seat { link: link.clone(), stream, place, since: now, replied: false });
        self.passed(sent);
        Ok(())
    }
}
