//! What the client sends, to the instance: taken from the client's window only as the instance's window takes it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

/// The way to the instance.
pub(super) struct Outward {
    to: SendStream<Bytes>,
    /// Taken from the client, not sent yet.
    held: Bytes,
    /// Bytes of `held` whose room in the client's window was not given back.
    owed: bool,
    kept: Kept,
    done: bool,
}

/// What was sent so far, as long as it is one chunk: enough to send a small call again.
enum Kept {
    Nothing,
    All(Bytes),
    Lost,
}

/// How sending ended.
pub(super) enum Sent {
    /// The client's last byte is sent, or the instance wants no more.
    Done,
    /// The client took the call back.
    ClientGone,
}

impl Outward {
    /// Sends `held` first; `ended`: the head ended the client's half.
    pub(super) fn new(to: SendStream<Bytes>, held: Bytes, ended: bool) -> Self {
        let kept = if held.is_empty() { Kept::Nothing } else { Kept::All(held.clone()) };
        Self { to, held, owed: false, kept, done: ended }
    }

    /// Moves on.
    pub(super) fn poll(&mut self, from: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Sent> {
        while !self.done {
            if !self.held.is_empty() {
                ready!(self.poll_send(from, cx));
                continue;
            }
            match ready!(from.poll_data(cx)) {
                Some(Ok(chunk)) => self.take(chunk, from.is_end_stream()),
                Some(Err(_)) => return Poll::Ready(Sent::ClientGone),
                None => match ready!(from.poll_trailers(cx)) {
                    Ok(trailers) => self.finish(trailers),
                    Err(_) => return Poll::Ready(Sent::ClientGone),
                },
            }
        }
        Poll::Ready(Sent::Done)
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Everything that was taken from the client, if it is all still here.
    pub(super) fn take_back(&mut self, from: &mut RecvStream) -> Option<Bytes> {
        let bytes = match std::mem::replace(&mut self.kept, Kept::Lost) {
            Kept::Nothing => Bytes::new(),
            Kept::All(bytes) => bytes,
            Kept::Lost => return None,
        };
        if self.owed {
            let _ = from.flow_control().release_capacity(self.held.len());
        }
        Some(bytes)
    }

    /// The instance has answered: the call stays there, and nothing needs to be kept of it.
    pub(super) fn forget(&mut self) {
        self.kept = Kept::Lost;
    }

    /// Ends the stream to the instance.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.to.send_reset(reason);
    }

    fn take(&mut self, chunk: Bytes, last: bool) {
        if chunk.is_empty() {
            // Nothing but an end: it needs no room, and what was sent before is still all there is.
            self.done = last;
            if last {
                let _ = self.to.send_data(chunk, true);
            }
            return;
        }
        self.kept = match self.kept {
            Kept::Nothing => Kept::All(chunk.clone()),
            Kept::All(_) | Kept::Lost => Kept::Lost,
        };
        self.owed = true;
        self.held = chunk;
    }

    fn poll_send(&mut self, from: &mut RecvStream, cx: &mut Context<'_>) -> Poll<()> {
        let Some(room) = ready!(poll_room(&mut self.to, self.held.len(), cx)) else {
            // The instance wants no more; its reply says why.
            self.done = true;
            return Poll::Ready(());
        };
        let piece = self.held.split_to(room);
        if std::mem::take(&mut self.owed) {
            let _ = from.flow_control().release_capacity(piece.len());
            self.owed = !self.held.is_empty();
        }
        self.done = self.held.is_empty() && from.is_end_stream();
        // Fails only for a stream that has ended; the reply says why.
        let _ = self.to.send_data(piece, self.done);
        Poll::Ready(())
    }

    fn finish(&mut self, trailers: Option<http::HeaderMap>) {
        self.done = true;
        let _ = match trailers {
            Some(trailers) => {
                self.kept = Kept::Lost;
                self.to.send_trailers(trailers)
            }
            None => self.to.send_data(Bytes::new(), true),
        };
    }
}

/// Room for up to `wanted` bytes; `None`: the stream takes no more.
pub(super) fn poll_room(to: &mut SendStream<Bytes>, wanted: usize, cx: &mut Context<'_>) -> Poll<Option<usize>> {
    to.reserve_capacity(wanted);
    loop {
        let room = to.capacity();
        if room > 0 {
            return Poll::Ready(Some(room.min(wanted)));
        }
        match ready!(to.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(None),
        }
    }
}
