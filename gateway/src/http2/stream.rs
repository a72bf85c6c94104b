//! One stream: what may still come, what is still to be sent, and both windows (RFC 9113 section 5.1).

use std::collections::VecDeque;

use super::{
    fields::Fields,
    window::{Credit, SendWindow},
};

/// What a quiet stream may keep of its queue.
const KEPT: usize = 1024;

/// The name that who uses the engine gave to a stream.
pub type Token = usize;

/// A stream that is open, at least one way.
pub(super) struct Stream {
    /// `None`: nobody listens to it any longer; what is queued still goes out.
    pub(super) token: Option<Token>,
    pub(super) window: SendWindow,
    pub(super) credit: Credit,
    /// Bytes that were told of in events and are not released yet.
    pub(super) unreleased: usize,
    pub(super) coming: Coming,
    /// Bytes of body that are still to come by content-length.
    pub(super) length: Option<u64>,
    pub(super) going: Going,
    /// Where its first frame lies among all bytes that are ever sent, if this side opened it.
    pub(super) begins: u64,
    /// Waits for room in the window or the buffer.
    pub(super) queue: VecDeque<u8>,
    /// Stands in the line of streams that wait for the connection.
    pub(super) in_line: bool,
    /// It is no use of the connection, and keeps it from nothing.
    pub(super) aside: bool,
}

/// What the peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coming {
    /// The head of a response.
    Head,
    /// DATA and trailers.
    Body,
    /// Nothing.
    Ended,
}

/// What is to be sent behind the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Going {
    /// Not known yet.
    Open,
    /// The end.
    End,
    /// Trailers, which are the end.
    Trailers(Box<Fields>),
    /// Nothing: the end is sent.
    Ended,
}

impl Stream {
    /// Just opened; windows of these sizes.
    pub(super) fn new(coming: Coming, send_window: u32, receive_window: u32) -> Self {
        Self {
            token: None,
            window: SendWindow::new(send_window),
            credit: Credit::new(receive_window),
            unreleased: 0,
            coming,
            length: None,
            going: Going::Open,
            begins: 0,
            queue: VecDeque::new(),
            in_line: false,
            aside: false,
        }
    }

    /// Whether something waits to be sent.
    pub(super) fn waits(&self) -> bool {
        !self.queue.is_empty() || matches!(self.going, Going::End | Going::Trailers(_))
    }

    /// Whether something could be sent if the connection had room.
    pub(super) fn could_send(&self) -> bool {
        self.waits() && (self.queue.is_empty() || self.window.room() > 0)
    }

    /// Whether both directions have ended.
    pub(super) fn is_over(&self) -> bool {
        self.coming == Coming::Ended && self.going == Going::Ended
    }

    /// Whether it is a request to which no response has begun.
    pub(super) fn is_unanswered(&self) -> bool {
        self.coming == Coming::Head
    }

    /// The peer ended its half; false: not where its content-length says.
    pub(super) fn end_coming(&mut self) -> bool {
        self.coming = Coming::Ended;
        self.length.is_none_or(|left| left == 0)
    }

    /// So many bytes of body came; false: more than its content-length says.
    pub(super) fn count_length(&mut self, bytes: usize) -> bool {
        let Some(left) = &mut self.length else { return true };
        left.checked_sub(bytes as u64).map(|less| *left = less).is_some()
    }

    /// Removes so many bytes from the front of the queue.
    pub(super) fn dequeue(&mut self, bytes: usize) {
        self.queue.drain(..bytes.min(self.queue.len()));
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }
}
