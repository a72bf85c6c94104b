//! What the instance answers, to the client: taken from the instance's window only as the client's window takes it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::outward::poll_room;
use crate::{
    proxy::{
        head::is_grpc,
        status::{Code, Ended, GRPC_STATUS, Reject},
        stream::Respond,
    },
    routing::{Address, Live},
};

/// Which instance answered.
const INSTANCE: HeaderName = HeaderName::from_static("symgate-instance");

/// A reply whose head was sent to the client.
pub(super) struct Reply {
    from: RecvStream,
    to: SendStream<Bytes>,
    held: Bytes,
}

impl Reply {
    /// Sends the head on. A head that is the whole reply ends the call here, as does one that is not gRPC.
    pub(super) fn begin(
        response: Response<RecvStream>,
        respond: &mut Respond,
        instance: Option<&Address>,
    ) -> Result<Self, Ended> {
        let (mut head, from) = response.into_parts();
        let whole = from.is_end_stream();
        if let Err(reject) = check(&head, whole) {
            return Err(match respond.0.send_response(reject.reply(), true) {
                Ok(_) => reject.ended(),
                Err(_) => Ended::CANCELLED,
            });
        }
        if let Some(address) = instance.and_then(|address| HeaderValue::try_from(address.as_str()).ok()) {
            head.headers.insert(INSTANCE, address);
        }
        let ended = whole.then(|| Ended::from_trailers(&head.headers));
        let to = respond.0.send_response(Response::from_parts(head, ()), whole).map_err(|_gone| Ended::CANCELLED)?;
        ended.map_or(Ok(Self { from, to, held: Bytes::new() }), Err)
    }

    /// Moves on until the reply is complete.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, live: &Live) -> Poll<Ended> {
        loop {
            if !self.held.is_empty() {
                let Some(room) = ready!(poll_room(&mut self.to, self.held.len(), cx)) else {
                    return Poll::Ready(Ended::CANCELLED);
                };
                let piece = self.held.split_to(room);
                // Fails only for a stream that has ended, as the next round shows.
                let _ = self.from.flow_control().release_capacity(piece.len());
                if self.to.send_data(piece, false).is_err() {
                    return Poll::Ready(Ended::CANCELLED);
                }
                continue;
            }
            match ready!(self.from.poll_data(cx)) {
                Some(Ok(chunk)) => self.held = chunk,
                Some(Err(error)) => return Poll::Ready(self.break_off(&lost(&error, live.address()))),
                None => return self.poll_trailers(cx, live),
            }
        }
    }

    /// Ready when the client has gone or took the call back.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.to.poll_reset(cx).map(|reason| tracing::debug!(?reason, "client gone"))
    }

    /// Ends a reply that is not complete.
    pub(super) fn break_off(&mut self, reject: &Reject) -> Ended {
        match self.to.send_trailers(reject.trailers()) {
            Ok(()) => reject.ended(),
            Err(_) => Ended::CANCELLED,
        }
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>, live: &Live) -> Poll<Ended> {
        Poll::Ready(match ready!(self.from.poll_trailers(cx)) {
            Ok(Some(trailers)) => {
                let ended = Ended::from_trailers(&trailers);
                if self.to.send_trailers(trailers).is_ok() { ended } else { Ended::CANCELLED }
            }
            Ok(None) => self.break_off(&no_trailers()),
            Err(error) => self.break_off(&lost(&error, live.address())),
        })
    }
}

/// What the error of a stream to an instance means for the caller.
pub(super) fn lost(error: &h2::Error, address: &Address) -> Reject {
    match error.reason() {
        Some(reason) if error.is_reset() && error.is_remote() => Reject::from_reset(reason.into()),
        _ => Reject::instance_lost(address, error),
    }
}

/// A reply is gRPC when it says so, or carries a status; alone, its head must carry one.
fn check(head: &http::response::Parts, whole: bool) -> Result<(), Reject> {
    if head.headers.contains_key(GRPC_STATUS) {
        return Ok(());
    }
    if head.status != StatusCode::OK || !is_grpc(&head.headers) {
        return Err(Reject::from_http(head.status));
    }
    if whole { Err(no_trailers()) } else { Ok(()) }
}

fn no_trailers() -> Reject {
    Reject::new(Code::Internal, "no-trailers", "the instance ended the call without a grpc-status")
}
