//! What the instance answers, to the caller. Nothing that it says is changed, and a reply that breaks off never ends
//! cleanly.

use std::rc::Rc;

use super::{Call, Phase, Seat};
use crate::{
    http2::{Code as Http2Code, Field, Fields, Reset, Token},
    proxy::{
        head::is_grpc,
        status::{Code, Ended, GRPC_STATUS, Reject},
        worker::Worker,
    },
    routing::{self, Address},
};

/// Which instance answered.
const INSTANCE: &[u8] = b"symgate-instance";

/// How a reply begins.
pub(in crate::proxy) struct ReplyHead<'a> {
    /// The HTTP status.
    pub(in crate::proxy) status: u16,
    /// Everything.
    pub(in crate::proxy) fields: &'a Fields,
    /// It is all of the reply.
    pub(in crate::proxy) end: bool,
}

impl Call {
    /// The head of the reply, which may be all of it.
    pub(in crate::proxy) fn reply_head(
        &mut self,
        worker: &Rc<Worker>,
        key: Token,
        ReplyHead { status, fields: head, end }: ReplyHead<'_>,
    ) -> Option<Ended> {
        let Phase::Placed(seat) = &self.phase else { return None };
        let waited = seat.since.elapsed().as_micros();
        seat.place.instance.live.observe_latency(u32::try_from(waited).unwrap_or(u32::MAX));
        if let Err(reject) = check(status, head, end) {
            return self.lost(worker, key, reject, false);
        }
        if end && is_unavailable(head) && self.repeats(worker, false) {
            return self.elsewhere(worker, key, "the instance answered UNAVAILABLE".to_owned());
        }
        self.body.forget();
        let Phase::Placed(seat) = &mut self.phase else { return None };
        seat.replied = true;
        worker.keep_fields(std::mem::take(&mut self.head.fields));
        let told = seat.place.route.reply_instance.then(|| seat.place.instance.live.address());
        self.client.with(|http2| http2.respond(self.stream, with_instance(head, told), end));
        end.then(|| self.complete(head))
    }

    /// A piece of the reply.
    pub(in crate::proxy) fn reply_data(&mut self, worker: &Worker, bytes: &[u8], end: bool) -> Option<Ended> {
        let Phase::Placed(seat) = &self.phase else { return None };
        let (now, queued) = self.client.with(|http2| (http2.send_data(self.stream, bytes, false), http2.queued()));
        if now > 0 {
            seat.link.with(|http2| http2.release(seat.stream, now));
        }
        if end {
            self.leave_instance();
            return Some(self.reject(&Reject::no_trailers()));
        }
        if queued > worker.listen.max_unread {
            return Some(self.stop(&Reject::slow_reader()));
        }
        None
    }

    /// The end of the reply.
    pub(in crate::proxy) fn reply_trailers(&mut self, trailers: &Fields) -> Ended {
        self.client.with(|http2| http2.send_trailers(self.stream, trailers));
        self.complete(trailers)
    }

    /// The reply's stream is gone.
    pub(in crate::proxy) fn reply_reset(&mut self, worker: &Rc<Worker>, key: Token, reset: Reset) -> Option<Ended> {
        let Phase::Placed(seat) = &self.phase else { return None };
        let address = seat.place.instance.live.address();
        let reject = match reset {
            Reset::Unprocessed if !seat.replied && self.body.is_whole() => {
                let why = format!("{address} refused the call before it processed it");
                return self.elsewhere(worker, key, why);
            }
            Reset::Unprocessed => Reject::from_reset(Http2Code::REFUSED_STREAM),
            Reset::ByPeer(code) => Reject::from_reset(code),
            Reset::Broken(why) => Reject::broken(address, why),
        };
        self.lost(worker, key, reject, true)
    }

    /// The connection to the instance is lost; `unsent`: no byte of the call had been given to it.
    pub(in crate::proxy) fn instance_lost(
        &mut self,
        worker: &Rc<Worker>,
        key: Token,
        why: &str,
        unsent: bool,
    ) -> Option<Ended> {
        let Phase::Placed(seat) = &self.phase else { return None };
        let address = seat.place.instance.live.address();
        if unsent && self.body.is_whole() {
            let why = format!("lost {address} before the call was sent: {why}");
            return self.elsewhere(worker, key, why);
        }
        let reject = Reject::instance_lost(address, why);
        self.lost(worker, key, reject, true)
    }

    /// Bytes of the reply that had to wait for the caller have gone.
    pub(in crate::proxy) fn reply_passed(&self, bytes: usize) {
        if let Phase::Placed(seat) = &self.phase {
            seat.link.with(|http2| http2.release(seat.stream, bytes));
        }
    }

    /// The caller has its reply. What it still sends has no reader: the stream to the instance is closed, too.
    fn complete(&mut self, end: &Fields) -> Ended {
        if !self.body.has_ended() {
            self.leave_instance();
        }
        Ended::from_trailers(end)
    }

    /// The instance may have seen the call and gives no reply to it: it is sent again if its method is idempotent, else
    /// it ends. `gone`: so is the stream.
    fn lost(&mut self, worker: &Rc<Worker>, key: Token, reject: Reject, gone: bool) -> Option<Ended> {
        if reject.status == Code::Unavailable as u8 && self.repeats(worker, true) {
            return self.elsewhere(worker, key, reject.to_string());
        }
        if !gone {
            self.leave_instance();
        }
        Some(self.reject(&reject))
    }

    /// Whether the call may be sent a second time, and has where to go. An instance's own status reaches the caller when
    /// there is no other instance; a call that was lost may wait for one.
    fn repeats(&mut self, worker: &Worker, lost: bool) -> bool {
        let Phase::Placed(Seat { place, replied: false, .. }) = &self.phase else { return false };
        let others = place.known > self.attempt.failures() + 1;
        let waits = lost && !place.route.wait_for_symbol.is_zero();
        let idempotent = || place.route.idempotent.iter().any(|method| method == routing::Head::path(&self.head));
        let may = self.body.is_whole() && (others || waits) && idempotent() && self.attempt.repeat();
        worker.metrics.repeats.inc_by(may.into());
        may
    }

    /// Another attempt; the instance is told that nobody waits for it any longer.
    fn elsewhere(&mut self, worker: &Rc<Worker>, key: Token, why: String) -> Option<Ended> {
        let place = match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Placed(seat) => {
                // Nothing if the stream is gone.
                seat.link.with(|http2| http2.reset(seat.stream, Http2Code::CANCEL));
                worker.stream_leaves(&seat.place.instance.live);
                seat.place.clone()
            }
            other => {
                self.phase = other;
                return None;
            }
        };
        self.failed(worker, place, why).or_else(|| self.place(worker, key))
    }
}

/// A reply is gRPC when it says so, or carries a status; alone, its head must carry one.
fn check(status: u16, head: &Fields, whole: bool) -> Result<(), Reject> {
    if head.find(GRPC_STATUS).is_some() {
        return Ok(());
    }
    if status != 200 || !is_grpc(head) {
        return Err(Reject::from_http(status));
    }
    if whole { Err(Reject::no_trailers()) } else { Ok(()) }
}

fn is_unavailable(end: &Fields) -> bool {
    end.find(GRPC_STATUS).is_some_and(|status| status.value == b"14")
}

fn with_instance<'a>(head: &'a Fields, instance: Option<&'a Address>) -> impl Iterator<Item = Field<'a>> {
    let field =
        |address: &'a Address| Field { name: INSTANCE, value: address.as_str().as_bytes(), never_indexed: false };
    head.iter().chain(instance.map(field))
}
