//! What comes: bytes to frames, frames to events. DATA is here; the other kinds have files of their own.

use crate::http2::{
    code::{Code, Fault, Wrong},
    event::{Event, Reset},
    fields::Fields,
    floods::Flood,
    frame::{Head, MAX_PAYLOAD, PREFACE, flag, kind, unpadded},
    stream::{Coming, Stream},
};

use super::{Connection, Drain, Greeting, Role};

type Outcome<'a> = Result<Option<Event<'a>>, Wrong>;

impl Connection {
    /// Reads whole frames from the front of `input`, which is left at the first byte that was not used, until there is
    /// an event. `None`: more bytes are needed. A header list goes into `fields`.
    ///
    /// # Errors
    /// When the peer's fault ends the connection: see [`Connection::fail`].
    pub fn receive<'a>(&mut self, input: &mut &'a [u8], fields: &mut Fields) -> Result<Option<Event<'a>>, Fault> {
        loop {
            if let Some((token, reset)) = self.left_behind.pop() {
                return Ok(Some(Event::Reset { token, reset }));
            }
            if self.greeting == Greeting::Preface && !self.read_preface(input)? {
                return Ok(None);
            }
            let Some((head, rest)) = Head::parse(input) else { return Ok(None) };
            if head.length > MAX_PAYLOAD {
                return Err(Fault::frame_size("a frame over SETTINGS_MAX_FRAME_SIZE"));
            }
            let Some((payload, rest)) = rest.split_at_checked(head.length) else { return Ok(None) };
            *input = rest;
            let event = match self.frame(head, payload, fields) {
                Ok(event) => event,
                Err(Wrong::Connection(fault)) => return Err(fault),
                Err(Wrong::Stream { stream, code, why }) => self.stream_fault(stream, code, why)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn read_preface(&mut self, input: &mut &[u8]) -> Result<bool, Fault> {
        if let Some(rest) = input.strip_prefix(PREFACE) {
            *input = rest;
            self.greeting = Greeting::Settings;
            return Ok(true);
        }
        if PREFACE.starts_with(input) { Ok(false) } else { Err(Fault::protocol("no HTTP/2 preface")) }
    }

    fn frame<'a>(&mut self, head: Head, payload: &'a [u8], fields: &mut Fields) -> Outcome<'a> {
        if self.block.is_some() && head.kind != kind::CONTINUATION {
            return Err(Fault::protocol("a frame inside a header block").into());
        }
        // An instance may acknowledge ours before it tells its own.
        let is_first = head.kind == kind::SETTINGS && (self.role == Role::Client || !head.has(flag::ACK));
        if self.greeting == Greeting::Settings && !is_first {
            return Err(Fault::protocol("the first frame is not SETTINGS").into());
        }
        match head.kind {
            kind::DATA => self.data(head, payload),
            kind::HEADERS => self.headers(head, payload, fields),
            kind::CONTINUATION => self.continuation(head, payload, fields),
            kind::RST_STREAM => self.rst_stream(head, payload),
            kind::SETTINGS => self.settings(head, payload),
            kind::PING => self.ping(head, payload),
            kind::GOAWAY => self.goaway(head, payload),
            kind::WINDOW_UPDATE => self.window_update_came(head, payload),
            kind::PRIORITY => self.priority(head, payload),
            kind::PUSH_PROMISE => Err(Fault::protocol("PUSH_PROMISE that was not allowed").into()),
            _ => {
                self.floods.count(Flood::Ignored)?;
                Ok(None)
            }
        }
    }

    /// Ends a stream whose rules the peer broke, and tells both sides.
    fn stream_fault<'a>(&mut self, id: u32, code: Code, why: &'static str) -> Result<Option<Event<'a>>, Fault> {
        let flood = if code == Code::REFUSED_STREAM { Flood::Refused } else { Flood::Resets };
        self.floods.count(flood)?;
        self.write_reset(id, code);
        let stream = self.streams.reset(id);
        let token = self.forget(stream).and_then(|stream| stream.token);
        let reset = |token| Event::Reset { token, reset: Reset::Broken(why) };
        Ok(Some(token.map_or(Event::Refused { why }, reset)))
    }

    /// DATA (RFC 9113 section 6.1).
    fn data<'a>(&mut self, head: Head, payload: &'a [u8]) -> Outcome<'a> {
        let id = head.stream;
        if id == 0 {
            return Err(Fault::protocol("DATA on stream 0").into());
        }
        let exceeded = Fault::new(Code::FLOW_CONTROL_ERROR, "DATA over the connection's window");
        self.credit.take(payload.len()).map_err(|_exceeded| exceeded)?;
        let bytes = unpadded(head, payload)?;
        let end = head.has(flag::END_STREAM);
        if bytes.is_empty() && !end {
            self.floods.count(Flood::Empty)?;
        }
        let taken = match self.streams.get_mut(id) {
            Some(stream) => take_data(id, stream, payload.len(), bytes.len(), end),
            None => Err(None),
        };
        let token = match taken {
            Ok(token) => token,
            Err(wrong) => {
                self.release_connection(payload.len());
                return wrong.map_or_else(|| self.closed_stream(id, "DATA on a closed stream"), Err);
            }
        };
        self.account(id, payload.len(), bytes.len(), token.is_some());
        if end {
            self.settle(id);
        }
        Ok(token.filter(|_| end || !bytes.is_empty()).map(|token| Event::Data { token, bytes, end }))
    }

    /// Padding, and what nobody will read, frees its room at once.
    fn account(&mut self, id: u32, whole: usize, bytes: usize, wanted: bool) {
        let held = if wanted { bytes } else { 0 };
        if let Some(stream) = self.streams.get_mut(id) {
            stream.unreleased += held;
        }
        self.release_stream(id, whole - held);
        self.release_connection(whole - self.held_by_connection(held));
    }

    /// A frame came for a stream that is not open. Only of streams that ended a moment ago it is said that this is
    /// wrong: what is not known any more may have been reset by us, in a storm of which not all is remembered.
    pub(super) fn closed_stream<'a>(&self, id: u32, why: &'static str) -> Outcome<'a> {
        if self.is_idle(id) {
            return Err(Fault::protocol("a frame of a stream that was never opened").into());
        }
        if self.streams.has_ended(id) && !self.streams.may_be_late(id) {
            return Err(Wrong::stream(id, Code::STREAM_CLOSED, why));
        }
        Ok(None)
    }

    /// Whether a stream was never opened (RFC 9113 section 5.1.1).
    pub(super) fn is_idle(&self, id: u32) -> bool {
        let after_drain = matches!(self.drain, Drain::Last(last) if id > last);
        id.is_multiple_of(2) || (id > self.last && !(after_drain && self.role == Role::Server))
    }
}

/// Whether a stream takes DATA; its token.
fn take_data(
    id: u32,
    stream: &mut Stream,
    whole: usize,
    bytes: usize,
    end: bool,
) -> Result<Option<usize>, Option<Wrong>> {
    let wrong = |code, why| Some(Wrong::stream(id, code, why));
    match stream.coming {
        Coming::Body => {}
        Coming::Head => return Err(wrong(Code::PROTOCOL_ERROR, "DATA before the head of a response")),
        Coming::Ended => return Err(wrong(Code::STREAM_CLOSED, "DATA behind the end of its stream")),
    }
    if stream.credit.take(whole).is_err() {
        return Err(wrong(Code::FLOW_CONTROL_ERROR, "DATA over the stream's window"));
    }
    // RFC 9113 section 8.1.1
    if !stream.count_length(bytes) || (end && !stream.end_coming()) {
        return Err(wrong(Code::PROTOCOL_ERROR, "a body that is not as long as content-length says"));
    }
    Ok(stream.token)
}
