//! Finding a call's place, and starting it there. Each attempt looks at the newest snapshot, and none holds one while it
//! waits.

use std::{rc::Rc, time::Instant};

use super::{Call, Hold, Phase, Seat};
use crate::{
    http2::Token,
    proxy::{
        attempt::{Decision, Nobody, Place},
        body::End,
        link::Link,
        request::Decided,
        status::{Ended, Reject},
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
                Ok(Decision::Nobody(nobody)) => return self.hold(worker, key, nobody),
                Err(reject) => return Some(self.reject(&reject)),
            };
            let (place, why) = match worker.connection(&place) {
                Found::Link(link) => match self.send(key, &link, place) {
                    Ok(()) => return None,
                    Err(place) => (place, NO_ROOM.to_owned()),
                },
                Found::Wait(peer) => return self.line_up(worker, key, place, peer),
                Found::Failed(why) => (place, why),
            };
            if let Some(ended) = self.failed(worker, place, why) {
                return Some(ended);
            }
        }
    }

    /// The connection to `peer` that the call waits for is there, or why it will not be. Who owns the symbol may have
    /// changed meanwhile, so it is decided anew.
    pub(in crate::proxy) fn resume(
        &mut self,
        worker: &Rc<Worker>,
        key: Token,
        peer: &Peer,
        why: Option<&str>,
    ) -> Option<Ended> {
        let place = match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Waiting(place, own) if std::ptr::eq(&*own, peer) => place,
            // Another call has the number of the one that waited.
            other => {
                self.phase = other;
                return None;
            }
        };
        match why {
            Some(why) => self.failed(worker, place, why.to_owned()).or_else(|| self.place(worker, key)),
            None => {
                self.attempt.found(place.route, place.target);
                self.place(worker, key)
            }
        }
    }

    /// The call was held for want of an instance: there may be one now.
    pub(in crate::proxy) fn look_again(&mut self, worker: &Rc<Worker>, key: Token) -> Option<Ended> {
        if !matches!(self.phase, Phase::Held(..)) {
            return None;
        }
        self.phase = Phase::New;
        self.place(worker, key)
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

    /// Waits for a connection to the instance, or for room on those that are open, if not too many do.
    fn line_up(&mut self, worker: &Rc<Worker>, key: Token, place: Place, peer: Rc<Peer>) -> Option<Ended> {
        let limit = worker.upstream.max_queued;
        if peer.waiting() >= limit {
            let line = format!("{limit} calls wait for it, which is max_queued of [upstream]");
            return Some(self.reject(&self.no_room(&place, &line)));
        }
        if peer.is_ready() {
            let until = *self.queued_until.get_or_insert_with(|| Instant::now() + worker.upstream.queue_timeout);
            worker.deadlines.add(until, key);
        }
        peer.wait(key);
        self.phase = Phase::Waiting(place, peer);
        None
    }

    /// Waits until the symbol has an instance that can take the call, where the route says so.
    fn hold(&mut self, worker: &Rc<Worker>, key: Token, nobody: Nobody) -> Option<Ended> {
        let Nobody { route, target, reject } = nobody;
        let now = Instant::now();
        let until = *self.held_until.get_or_insert_with(|| now + route.wait_for_symbol);
        if until <= now {
            return Some(self.reject(&reject));
        }
        let waits = self.attempt.counters().and_then(|counters| counters.metrics.wait(route.max_waiting));
        let Some(waits) = waits else {
            return Some(self.reject(&Reject::too_many_wait(&route.name, route.max_waiting)));
        };
        worker.deadlines.add(until, key);
        worker.held.add(route.service, target.clone(), key);
        self.attempt.start_again();
        self.attempt.found(route, target);
        self.phase = Phase::Held(Hold { why: reject, _waits: waits });
        None
    }

    /// A time has come that the call asked to be told of: why it ends, if that time is one of its own.
    pub(in crate::proxy) fn is_late(&self, worker: &Worker) -> Option<Reject> {
        let now = Instant::now();
        let passed = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        let out_of_time = passed(self.deadline);
        match &self.phase {
            Phase::Waiting(place, peer) if peer.is_ready() && (out_of_time || passed(self.queued_until)) => {
                let line = match out_of_time {
                    true => "all its connections are full, and the call's deadline has passed".to_owned(),
                    false => format!(
                        "all its connections are full, and queue_timeout of [upstream], {:?}, has passed",
                        worker.upstream.queue_timeout
                    ),
                };
                Some(self.no_room(place, &line))
            }
            Phase::Held(hold) if !out_of_time && passed(self.held_until) => Some(hold.why.clone()),
            _ => out_of_time.then(Reject::deadline),
        }
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

    fn no_room(&self, place: &Place, line: &str) -> Reject {
        let service = self.attempt.counters().map_or("", |counters| counters.metrics.service());
        Reject::no_room(place.instance.live.address(), line, &place.target.of(service), place.known)
    }
}
