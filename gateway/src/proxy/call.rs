//! The life of one call: check it, find its place, pass its bytes on both ways, round again where the place provably
//! never saw it. One state, changed by what the two connections tell; it waits for nothing itself.
//!
//! A method answers how the call ended once it has.

mod place;
mod reply;

pub(super) use self::reply::ReplyHead;

use std::{rc::Rc, sync::Arc, time::Instant};

use super::{
    attempt::{Attempt, Place, Target},
    body::{Body, End},
    counters::RouteCounters,
    first_message,
    head::Head,
    link::Link,
    status::{Ended, Reject},
    timeout,
    upstream::Peer,
    worker::Worker,
};
use crate::{
    http2::{Code, Fields, Token},
    metrics::Waits,
    routing::Live,
    tls::Names,
};

/// One call, from its head to its end.
pub(super) struct Call {
    client: Rc<Link>,
    /// Its stream there.
    stream: u32,
    /// Empty once the reply has begun.
    head: Head,
    body: Body,
    attempt: Attempt,
    phase: Phase,
    started: Instant,
    deadline: Option<Instant>,
    /// Waits for an instance of its symbol until then.
    held_until: Option<Instant>,
    /// Waits for room at an instance until then.
    queued_until: Option<Instant>,
}

/// How far the call is.
enum Phase {
    /// It has no place yet.
    New,
    /// The extractor needs the first message, of at most so many bytes.
    Message(usize),
    /// No instance can take it now.
    Held(Hold),
    /// The instance is known, and a connection to it waited for.
    Waiting(Place, Rc<Peer>),
    /// It is with the instance.
    Placed(Seat),
}

/// A wait for an instance.
struct Hold {
    /// What the caller is told when it is in vain.
    why: Reject,
    /// Counts the call.
    _waits: Waits,
}

/// A stream to an instance.
struct Seat {
    link: Rc<Link>,
    stream: u32,
    place: Place,
    since: Instant,
    /// The head of the reply came.
    replied: bool,
}

impl Call {
    /// That a client opened.
    pub(super) fn new(client: Rc<Link>, stream: u32, head: Head) -> Self {
        Self {
            client,
            stream,
            head,
            body: Body::default(),
            attempt: Attempt::default(),
            phase: Phase::New,
            started: Instant::now(),
            deadline: None,
            held_until: None,
            queued_until: None,
        }
    }

    /// From a client whose certificate has these names.
    pub(super) fn of(mut self, names: &Option<Rc<Names>>) -> Self {
        self.attempt.client.clone_from(names);
        self
    }

    /// Refuses what is no gRPC call; finds a place for what is. `end`: the client's half has ended with its head.
    pub(super) fn begin(&mut self, worker: &Rc<Worker>, key: Token, end: bool) -> Option<Ended> {
        if end {
            self.body.end = End::Ended;
        }
        let bad_timeout = |timeout::BadTimeout| Reject::bad_timeout();
        match self.head.check().and_then(|()| timeout::read(&self.head.fields).map_err(bad_timeout)) {
            // A time that no clock can show is as good as none.
            Ok(time) => self.deadline = time.and_then(|time| self.started.checked_add(time)),
            Err(reject) => return Some(self.reject(&reject)),
        }
        if let Some(deadline) = self.deadline {
            worker.deadlines.add(deadline, key);
        }
        self.place(worker, key)
    }

    /// A piece of the client's half.
    pub(super) fn client_data(&mut self, worker: &Rc<Worker>, key: Token, bytes: &[u8], end: bool) -> Option<Ended> {
        if end {
            self.body.end = End::Ended;
        }
        match &mut self.phase {
            Phase::Message(limit) => {
                let limit = *limit;
                self.body.keep(bytes);
                // The client never waits for the gateway.
                let room = self.body.return_all();
                self.client.with(|http2| http2.release(self.stream, room));
                self.look_for_message(worker, key, limit)
            }
            Phase::New | Phase::Held(..) | Phase::Waiting(..) => {
                self.body.keep(bytes);
                None
            }
            Phase::Placed(seat) => {
                if seat.replied {
                    self.body.count(bytes.len());
                } else {
                    self.body.keep_little(bytes);
                }
                let now = seat.link.with(|http2| http2.send_data(seat.stream, bytes, end));
                self.passed(now);
                None
            }
        }
    }

    /// The client's half ends with trailers.
    pub(super) fn client_trailers(&mut self, worker: &Rc<Worker>, key: Token, trailers: &Fields) -> Option<Ended> {
        self.body.end = End::Trailers(Box::new(trailers.clone()));
        match &self.phase {
            Phase::Message(limit) => self.look_for_message(worker, key, *limit),
            Phase::New | Phase::Held(..) | Phase::Waiting(..) => None,
            Phase::Placed(seat) => {
                seat.link.with(|http2| http2.send_trailers(seat.stream, trailers));
                None
            }
        }
    }

    /// The client took the call back, or is lost.
    pub(super) fn client_gone(&mut self) -> Ended {
        self.leave_instance();
        Ended::CANCELLED
    }

    /// Ends the call from outside, in whichever phase it is.
    pub(super) fn stop(&mut self, reject: &Reject) -> Ended {
        self.leave_instance();
        self.reject(reject)
    }

    /// Bytes that had to wait for the instance have gone.
    pub(super) fn passed(&mut self, bytes: usize) {
        let room = self.body.pass(bytes);
        if room > 0 {
            self.client.with(|http2| http2.release(self.stream, room));
        }
    }

    /// Whether this is its client's connection.
    pub(super) fn comes_over(&self, client: &Rc<Link>) -> bool {
        Rc::ptr_eq(&self.client, client)
    }

    /// When it asked to be told of the time.
    pub(super) fn times(&self) -> impl Iterator<Item = Instant> {
        [self.deadline, self.held_until, self.queued_until].into_iter().flatten()
    }

    /// Whose call it is and with whom, of a service of this place, while it is a stream: its reply has begun, or its
    /// client's half goes on. A call whose one request waits for its one reply is none, however long it takes.
    pub(super) fn streams_of(&self, service: usize) -> Option<(&Target, &Arc<Live>)> {
        match &self.phase {
            Phase::Placed(seat) if seat.place.route.service == service => {
                let place = &seat.place;
                (seat.replied || !self.body.has_ended()).then_some((&place.target, &place.instance.live))
            }
            _ => None,
        }
    }

    /// How long it took so far, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Where its end is counted.
    pub(super) fn counters(&self) -> Option<&RouteCounters> {
        self.attempt.counters().map(|counters| &**counters)
    }

    /// What is left of it: the memory of its head, and the instance that has one call less.
    pub(super) fn into_rest(mut self, key: Token) -> (Fields, Option<Arc<Live>>) {
        self.client.with(|http2| http2.unbind(self.stream));
        let live = match &self.phase {
            Phase::Placed(seat) => Some(seat.place.instance.live.clone()),
            Phase::Waiting(_, peer) => {
                peer.give_up(key);
                None
            }
            _ => None,
        };
        (std::mem::take(&mut self.head.fields), live)
    }

    /// Looks whether the first message is whole, and goes on if it is.
    fn look_for_message(&mut self, worker: &Rc<Worker>, key: Token, limit: usize) -> Option<Ended> {
        match first_message::look(self.body.kept(), &self.head.fields, limit) {
            Ok(Some(message)) => {
                self.attempt.message = Some(message);
                self.place(worker, key)
            }
            Ok(None) if self.body.has_ended() => Some(self.reject(&first_message::missing())),
            Ok(None) => {
                self.phase = Phase::Message(limit);
                None
            }
            Err(reject) => Some(self.reject(&reject)),
        }
    }

    /// Tells the instance that nobody waits for its reply.
    fn leave_instance(&mut self) {
        if let Phase::Placed(seat) = &self.phase {
            seat.link.with(|http2| http2.reset(seat.stream, Code::CANCEL));
        }
    }

    /// Ends the call for its caller with an error of the gateway.
    fn reject(&mut self, reject: &Reject) -> Ended {
        let replied = matches!(&self.phase, Phase::Placed(seat) if seat.replied);
        self.client.with(|http2| {
            if replied {
                http2.break_off(self.stream, &reject.trailers());
            } else {
                http2.respond(self.stream, reject.reply().iter(), true);
            }
        });
        reject.ended()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.place.instance.live.call_ended();
    }
}
