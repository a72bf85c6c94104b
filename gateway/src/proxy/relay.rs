//! Both directions of one call, by hand in one future: bytes, trailers, cancellation and the deadline pass; nothing
//! that the instance says is changed. A reply that breaks off never ends cleanly.

mod outward;
mod reply;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use h2::{Reason, client::ResponseFuture};
use http::Request;

use self::{
    outward::{Outward, Sent},
    reply::Reply,
};
use super::{
    attempt::Place,
    limits::Limits,
    request,
    status::Ended,
    stream::{Stop, Stream},
    upstream::Lease,
};

/// What became of a call that was given to an instance.
pub(super) enum Relayed {
    /// It ended for its caller.
    Ended(Ended),
    /// The instance provably never processed it, and nothing of it is lost: it may go elsewhere.
    NeverSeen(&'static str),
}

struct Relay<'a> {
    stream: &'a mut Stream,
    lease: Lease,
    sent: Instant,
    tell_instance: bool,
    outward: Outward,
    reply: State,
}

enum State {
    Waiting(ResponseFuture),
    Flowing(Reply),
}

/// Sends the call to the instance and its reply to the caller.
pub(super) async fn relay(stream: &mut Stream, lease: Lease, place: &Place, limits: &mut Limits<'_, '_>) -> Relayed {
    let head = request::head(&stream.incoming.head, place, limits.left());
    let mut relay = match Relay::start(stream, lease, head, place.route.reply_instance) {
        Ok(relay) => relay,
        Err(never_seen) => return never_seen,
    };
    std::future::poll_fn(|cx| relay.poll(cx, limits)).await
}

impl<'a> Relay<'a> {
    fn start(stream: &'a mut Stream, lease: Lease, head: Request<()>, tell_instance: bool) -> Result<Self, Relayed> {
        let held = stream.incoming.held.clone();
        let ended = held.is_empty() && stream.incoming.body.is_end_stream();
        let (response, to) =
            lease.send(head, ended).ok_or(Relayed::NeverSeen("takes no more calls on its connection"))?;
        stream.incoming.held = Bytes::new();
        let outward = Outward::new(to, held, ended);
        Ok(Self { stream, lease, sent: Instant::now(), tell_instance, outward, reply: State::Waiting(response) })
    }

    fn poll(&mut self, cx: &mut Context<'_>, limits: &mut Limits<'_, '_>) -> Poll<Relayed> {
        if let Poll::Ready(Sent::ClientGone) = self.outward.poll(&mut self.stream.incoming.body, cx) {
            return Poll::Ready(self.stop(Stop::Gone));
        }
        if let Poll::Ready(relayed) = self.poll_reply(cx) {
            return Poll::Ready(relayed);
        }
        let gone = match &mut self.reply {
            State::Waiting(_) => self.stream.respond.poll_gone(cx),
            State::Flowing(reply) => reply.poll_gone(cx),
        };
        if gone.is_ready() {
            return Poll::Ready(self.stop(Stop::Gone));
        }
        limits.poll(cx).map(|reject| self.stop(reject.into()))
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Relayed> {
        loop {
            match &mut self.reply {
                State::Flowing(reply) => {
                    let ended = std::task::ready!(reply.poll(cx, self.lease.live()));
                    return Poll::Ready(self.end(ended));
                }
                State::Waiting(response) => match std::task::ready!(Pin::new(response).poll(cx)) {
                    Ok(response) => {
                        self.outward.forget();
                        let waited = self.sent.elapsed().as_micros();
                        self.lease.live().observe_latency(u32::try_from(waited).unwrap_or(u32::MAX));
                        let address = self.tell_instance.then(|| self.lease.live().address());
                        match Reply::begin(response, &mut self.stream.respond, address) {
                            Ok(reply) => self.reply = State::Flowing(reply),
                            Err(ended) => return Poll::Ready(self.end(ended)),
                        }
                    }
                    Err(error) => return Poll::Ready(self.failed(&error)),
                },
            }
        }
    }

    /// No reply has begun and none will.
    fn failed(&mut self, error: &h2::Error) -> Relayed {
        if never_processed(error)
            && let Some(held) = self.outward.take_back(&mut self.stream.incoming.body)
        {
            self.stream.incoming.held = held;
            return Relayed::NeverSeen("refused the call before it processed it");
        }
        let reject = reply::lost(error, self.lease.live().address());
        Relayed::Ended(self.stream.stop(&reject.into()))
    }

    /// The call ends before its reply does.
    fn stop(&mut self, stop: Stop) -> Relayed {
        self.outward.reset(Reason::CANCEL);
        Relayed::Ended(match (&mut self.reply, stop) {
            (State::Waiting(_), stop) => self.stream.stop(&stop),
            (State::Flowing(_), Stop::Gone) => Ended::CANCELLED,
            (State::Flowing(reply), Stop::Reject(reject)) => reply.break_off(&reject),
        })
    }

    /// The reply is complete. What the client still sends has no reader: the stream to the instance is closed too.
    fn end(&mut self, ended: Ended) -> Relayed {
        if !self.outward.is_done() {
            self.outward.reset(Reason::CANCEL);
        }
        Relayed::Ended(ended)
    }
}

/// `REFUSED_STREAM`, or a stream above the last one of the instance's GOAWAY: nothing else gives a stream that error.
fn never_processed(error: &h2::Error) -> bool {
    error.is_remote() && ((error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)) || error.is_go_away())
}
