//! One call as its client's connection has it: the half that comes in and the half that goes out. Knows no routes.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Request, request::Parts};

use super::{
    first_message::{self, Progress},
    status::{Ended, Reject},
};

/// Both halves.
pub(super) struct Stream {
    /// What comes from the client.
    pub(super) incoming: Incoming,
    /// The way back.
    pub(super) respond: Respond,
}

/// The client's half.
pub(super) struct Incoming {
    /// The head.
    pub(super) head: Parts,
    /// What was taken from the body and is not forwarded yet.
    pub(super) held: Bytes,
    /// The rest of the body.
    pub(super) body: RecvStream,
}

/// The reply that has not begun.
pub(super) struct Respond(pub(super) SendResponse<Bytes>);

/// Why a call goes on no further.
pub(super) enum Stop {
    /// The gateway ends it.
    Reject(Reject),
    /// The client has gone, or took the call back.
    Gone,
}

impl Stream {
    /// As the connection gave it.
    pub(super) fn new(request: Request<RecvStream>, respond: SendResponse<Bytes>) -> Self {
        let (head, body) = request.into_parts();
        Self { incoming: Incoming { head, held: Bytes::new(), body }, respond: Respond(respond) }
    }

    /// Ends the call, to which no reply has begun.
    pub(super) fn stop(&mut self, stop: &Stop) -> Ended {
        match stop {
            Stop::Gone => Ended::CANCELLED,
            Stop::Reject(reject) => match self.respond.0.send_response(reject.reply(), true) {
                Ok(_) => reject.ended(),
                Err(_) => Ended::CANCELLED,
            },
        }
    }
}

impl Incoming {
    /// Reads the first message, of at most `limit` bytes. What is read stays to be forwarded, and room is made for
    /// more: the client never waits for the gateway.
    pub(super) async fn first_message(&mut self, limit: usize) -> Result<Bytes, Stop> {
        loop {
            if let Progress::Whole(message) = first_message::look(&self.held, &self.head.headers, limit)? {
                return Ok(message);
            }
            let Some(chunk) = self.body.data().await else { return Err(first_message::missing().into()) };
            let Ok(chunk) = chunk else { return Err(Stop::Gone) };
            // Fails only for a stream that has ended.
            let _ = self.body.flow_control().release_capacity(chunk.len());
            self.held = first_message::join(std::mem::take(&mut self.held), chunk);
        }
    }
}

impl Respond {
    /// Ready when the client has gone or took the call back.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_reset(cx).map(|reason: Result<Reason, _>| tracing::debug!(?reason, "client gone"))
    }
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}
