//! What the instance answers, to the caller. Nothing that it says is changed, and a reply that breaks off never ends
//! cleanly.

use std::rc::Rc;

use super::{Call, Phase};
use crate::{
    http2::{Code, Field, Fields, Reset, Token},
    proxy::{
        head::is_grpc,
        status::{Ended, GRPC_STATUS, Reject},
        worker::Worker,
    },
    routing::Address,
};

/// Which instance answered.
const INSTANCE: &[u8] = b"symgate-instance";

impl Call {
    /// The head of the reply, which may be all of it.
    pub(in crate::proxy) fn reply_head(
        &mut self,
        worker: &Worker,
        status: u16,
        head: &Fields,
        end: bool,
    ) -> Option<Ended> {
        let Phase::Placed(seat) = &mut self.phase else { return None };
        let waited = seat.since.elapsed().as_micros();
        seat.place.instance.live.observe_latency(u32::try_from(waited).unwrap_or(u32::MAX));
        self.body.forget();
        if let Err(reject) = check(status, head, end) {
            self.leave_instance();
            return Some(self.reject(&reject));
        }
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
            Reset::Unprocessed => Reject::from_reset(Code::REFUSED_STREAM),
            Reset::ByPeer(code) => Reject::from_reset(code),
            Reset::Broken(why) => Reject::broken(address, why),
        };
        Some(self.reject(&reject))
    }

    /// The connection to the instance is lost.
    pub(in crate::proxy) fn instance_lost(&mut self, why: &str) -> Option<Ended> {
        let Phase::Placed(seat) = &self.phase else { return None };
        let reject = Reject::instance_lost(seat.place.instance.live.address(), why);
        Some(self.reject(&reject))
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

    fn elsewhere(&mut self, worker: &Rc<Worker>, key: Token, why: String) -> Option<Ended> {
        let place = match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Placed(seat) => seat.place.clone(),
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

fn with_instance<'a>(head: &'a Fields, instance: Option<&'a Address>) -> impl Iterator<Item = Field<'a>> {
    let field =
        |address: &'a Address| Field { name: INSTANCE, value: address.as_str().as_bytes(), never_indexed: false };
    head.iter().chain(instance.map(field))
}
