//! What goes: heads, bodies, trailers, resets. DATA that no window or buffer has room for waits in its stream.

use crate::http2::{
    code::Code,
    fields::{Field, Fields},
    frame::{MAX_PAYLOAD, kind},
    stream::{Coming, Going, Stream, Token},
};

use super::{Connection, Role};

/// Above so many bytes that wait for the socket, DATA waits in its stream.
const OUT_LIMIT: usize = 64 * 1024;

impl Connection {
    /// Opens a stream with a request. `None`: there is no [`room`](Self::room), and nothing was sent.
    pub fn open<'f>(&mut self, token: Token, head: impl Iterator<Item = Field<'f>>, end: bool) -> Option<u32> {
        self.open_stream(token, head, end, false)
    }

    /// The same for a stream that stands aside: a watch on the peer, which is no use of the connection. It counts only
    /// where the peer counts, and a drain does not wait for it.
    pub fn open_aside<'f>(&mut self, token: Token, head: impl Iterator<Item = Field<'f>>) -> Option<u32> {
        self.open_stream(token, head, false, true)
    }

    fn open_stream<'f>(
        &mut self,
        token: Token,
        head: impl Iterator<Item = Field<'f>>,
        end: bool,
        aside: bool,
    ) -> Option<u32> {
        if self.room() == 0 {
            return None;
        }
        let id = if self.last == 0 { 1 } else { self.last + 2 };
        self.last = id;
        let mut stream = Stream::new(Coming::Head, self.peer.window, self.limits.stream_window);
        stream.token = Some(token);
        stream.begins = self.out.end();
        stream.aside = aside;
        if end {
            stream.going = Going::Ended;
        }
        self.streams.insert(id, stream);
        self.write_block(id, head, end);
        Some(id)
    }

    /// Gives a stream that a client opened its name in events; without one it gives none.
    pub fn bind(&mut self, id: u32, token: Token) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.token = Some(token);
        }
    }

    /// The stream gives no more events; what was given to it still goes out. What still comes is thrown away.
    pub fn unbind(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.token = None;
        let held = stream.unreleased;
        self.release(id, held);
    }

    /// Sends the head of a response.
    pub fn respond<'f>(&mut self, id: u32, head: impl Iterator<Item = Field<'f>>, end: bool) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.going == Going::Open) else { return };
        if end {
            stream.going = Going::Ended;
        }
        self.write_block(id, head, end);
        if end {
            self.settle(id);
        }
    }

    /// Sends a piece of body, or keeps what there is no room for. How many bytes did not have to wait; the others come
    /// back through [`next_released`](Self::next_released).
    pub fn send_data(&mut self, id: u32, bytes: &[u8], end: bool) -> usize {
        if bytes.is_empty() && !end {
            return 0;
        }
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.going == Going::Open) else {
            return bytes.len();
        };
        let waits = !stream.queue.is_empty() || self.out.len() >= OUT_LIMIT;
        let room = if waits { 0 } else { stream.window.room().min(self.window.room()).min(bytes.len()) };
        let (now, later) = bytes.split_at_checked(room).unwrap_or_default();
        stream.window.take(now.len());
        self.window.take(now.len());
        let ends = end && later.is_empty() && stream.queue.is_empty();
        stream.going = match (ends, end) {
            (true, _) => Going::Ended,
            (false, true) => Going::End,
            (false, false) => Going::Open,
        };
        self.write_data(id, now, ends);
        if !later.is_empty() {
            self.streams.enqueue(id, later);
            self.line_up(id);
        }
        if ends {
            self.settle(id);
        }
        now.len()
    }

    /// Sends trailers, behind what waits.
    pub fn send_trailers(&mut self, id: u32, trailers: &Fields) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.going == Going::Open) else { return };
        if stream.queue.is_empty() {
            stream.going = Going::Ended;
            self.write_block(id, trailers.iter(), true);
            self.settle(id);
        } else {
            stream.going = Going::Trailers(Box::new(trailers.clone()));
        }
    }

    /// Ends a reply that is not complete: with these trailers, before what waits, which is dropped. Trailers need no
    /// window, so that a peer that does not read is told all the same.
    pub fn break_off(&mut self, id: u32, trailers: &Fields) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.going != Going::Ended) else { return };
        // An end that was to come behind the queue is dropped with it: it would be the end of another reply.
        stream.going = Going::Open;
        self.streams.clear_queue(id);
        self.send_trailers(id, trailers);
    }

    /// Ends a stream at once, both ways.
    pub fn reset(&mut self, id: u32, code: Code) {
        if self.streams.get_mut(id).is_some() {
            self.write_reset(id, code);
            let stream = self.streams.reset(id);
            self.forget(stream);
        }
    }

    /// Gives the peer room for so many bytes that came on a stream; never for more than events have told of.
    pub fn release(&mut self, id: u32, bytes: usize) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let held = bytes.min(stream.unreleased);
        stream.unreleased -= held;
        self.release_connection(self.held_by_connection(held));
        self.release_stream(id, held);
    }

    pub(super) fn release_stream(&mut self, id: u32, bytes: usize) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.coming == Coming::Body) else { return };
        if let Some(by) = stream.credit.release(bytes) {
            self.window_update(id, by);
        }
    }

    /// Sends what waits in streams, in turns, as far as there is room.
    pub(super) fn send_queued(&mut self) {
        while self.out.len() < OUT_LIMIT && self.window.room() > 0 {
            let Some(id) = self.streams.next_in_line() else { return };
            self.send_piece(id);
        }
    }

    /// One frame from a stream's queue.
    fn send_piece(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (front, _) = stream.queue.as_slices();
        let room = stream.window.room().min(self.window.room()).min(MAX_PAYLOAD).min(front.len());
        let piece = front.get(..room).unwrap_or_default();
        let empties = room == stream.queue.len();
        let ends = empties && stream.going == Going::End;
        if room > 0 || ends {
            self.out.data(id, piece, ends);
            self.floods.data_sent();
        }
        stream.window.take(room);
        self.window.take(room);
        self.released.extend(stream.token.filter(|_| room > 0).map(|token| (token, room)));
        let trailers = match &mut stream.going {
            Going::Trailers(trailers) if empties => Some(std::mem::take(trailers)),
            _ => None,
        };
        if ends || trailers.is_some() {
            stream.going = Going::Ended;
        }
        self.streams.dequeue(id, room);
        if let Some(trailers) = trailers {
            self.write_block(id, trailers.iter(), true);
        }
        self.line_up(id);
        self.settle(id);
    }

    /// Puts a stream into the line if only the connection keeps it from sending.
    fn line_up(&mut self, id: u32) {
        if self.streams.get_mut(id).is_some_and(|stream| stream.could_send()) {
            self.streams.stand_in_line(id);
        }
    }

    /// Forgets a stream that has ended. A client that still sends though it has the whole response is told to stop
    /// (RFC 9113 section 8.1).
    pub(super) fn settle(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.going == Going::Ended) else { return };
        if stream.is_over() {
            let stream = self.streams.end(id);
            self.forget(stream);
        } else if self.role == Role::Server {
            self.reset(id, Code::NO_ERROR);
        }
    }

    pub(super) fn write_reset(&mut self, id: u32, code: Code) {
        self.out.frame(kind::RST_STREAM, 0, id, &code.0.to_be_bytes());
    }

    fn write_block<'f>(&mut self, id: u32, fields: impl Iterator<Item = Field<'f>>, end: bool) {
        let Self { out, encoder, .. } = self;
        out.block(id, end, |block| {
            encoder.begin(block);
            fields.for_each(|field| encoder.field(field, block));
        });
    }

    /// Bytes that windows have room for.
    fn write_data(&mut self, id: u32, bytes: &[u8], end: bool) {
        if bytes.is_empty() && end {
            self.out.data(id, bytes, end);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at_checked(MAX_PAYLOAD).unwrap_or((rest, &[]));
            self.out.data(id, piece, end && more.is_empty());
            self.floods.data_sent();
            rest = more;
        }
    }
}
