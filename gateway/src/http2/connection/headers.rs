//! HEADERS and CONTINUATION (RFC 9113 sections 6.2, 6.10 and 8.1): header blocks to requests, responses and trailers.

use crate::http2::{
    code::{Code, Fault, Wrong},
    event::Event,
    fields::Fields,
    floods::Flood,
    frame::{Head, flag, unpadded},
    message,
    stream::{Coming, Stream},
};

use super::{Connection, Drain, Role};

type Outcome<'a> = Result<Option<Event<'a>>, Wrong>;

/// A compressed block may be so much larger than the list it stands for, before the connection ends: a list over the
/// limit is read and refused, and no more than that.
const OVER_LIST: usize = 4;
/// CONTINUATION frames of one block.
const MAX_FRAMES: u32 = 128;

/// A header block that is not whole yet.
pub(super) struct Block {
    stream: u32,
    end: bool,
    bytes: Vec<u8>,
    frames: u32,
}

/// A whole header list as it was read.
struct List {
    stream: u32,
    end: bool,
    over_limit: bool,
    malformed: bool,
}

impl Connection {
    pub(super) fn headers<'a>(&mut self, head: Head, payload: &[u8], fields: &mut Fields) -> Outcome<'a> {
        if head.stream == 0 {
            return Err(Fault::protocol("HEADERS on stream 0").into());
        }
        let mut fragment = unpadded(head, payload)?;
        if head.has(flag::PRIORITY) {
            // Ignored (RFC 9113 section 5.3.2).
            let too_short = if head.has(flag::PADDED) {
                Fault::protocol("padding longer than its frame")
            } else {
                Fault::frame_size("HEADERS too short for their priority")
            };
            fragment = fragment.get(5..).ok_or(too_short)?;
        }
        let end = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.block_is_whole(head.stream, end, fragment, fields);
        }
        self.block = Some(Block { stream: head.stream, end, bytes: fragment.to_vec(), frames: 0 });
        Ok(None)
    }

    pub(super) fn continuation<'a>(&mut self, head: Head, payload: &[u8], fields: &mut Fields) -> Outcome<'a> {
        let Some(mut block) = self.block.take().filter(|block| block.stream == head.stream) else {
            return Err(Fault::protocol("CONTINUATION of no header block").into());
        };
        if payload.is_empty() {
            self.floods.count(Flood::Empty)?;
        }
        block.frames += 1;
        let most = (self.limits.max_header_list as usize).saturating_mul(OVER_LIST);
        if block.frames > MAX_FRAMES || block.bytes.len() + payload.len() > most {
            return Err(Fault::new(Code::ENHANCE_YOUR_CALM, "a header block without end").into());
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.block_is_whole(block.stream, block.end, &block.bytes, fields);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// Every block is decoded, whatever becomes of it: the table must stay in step (RFC 9113 section 4.3).
    fn block_is_whole<'a>(&mut self, stream: u32, end: bool, block: &[u8], fields: &mut Fields) -> Outcome<'a> {
        fields.clear();
        let outcome = self
            .decoder
            .decode(block, fields, self.limits.max_header_list as usize)
            .map_err(|_error| Fault::new(Code::COMPRESSION_ERROR, "a header block that cannot be decompressed"))?;
        let list = List { stream, end, over_limit: outcome.over_limit, malformed: outcome.malformed.is_some() };
        match (self.streams.get_mut(stream).map(|open| open.coming), self.role) {
            (Some(Coming::Body), _) => self.trailers(&list, fields),
            (Some(Coming::Head), _) => self.response(&list, fields),
            (Some(Coming::Ended), _) => {
                Err(Wrong::stream(stream, Code::STREAM_CLOSED, "HEADERS behind the end of their stream"))
            }
            (None, Role::Server) => self.request(&list, fields),
            (None, Role::Client) => self.closed_stream(stream, "HEADERS on a closed stream"),
        }
    }

    fn request<'a>(&mut self, list: &List, fields: &Fields) -> Outcome<'a> {
        let id = list.stream;
        if id.is_multiple_of(2) {
            return Err(Fault::protocol("a stream of a client has an even number").into());
        }
        if self.streams.may_be_late(id) {
            return Ok(None);
        }
        if id <= self.last {
            let code = if self.streams.has_ended(id) { Code::STREAM_CLOSED } else { Code::PROTOCOL_ERROR };
            return Err(Fault::new(code, "HEADERS on a stream that is closed").into());
        }
        if matches!(self.drain, Drain::Last(_)) {
            // The client was told that such a stream is not processed; it may have sent it before it knew.
            self.streams.expect_late(id);
            return Ok(None);
        }
        self.last = id;
        if self.streams.len() >= self.limits.max_streams as usize {
            return Err(Wrong::stream(id, Code::REFUSED_STREAM, "more streams than allowed"));
        }
        if list.malformed {
            return Err(Wrong::stream(id, Code::PROTOCOL_ERROR, "a field with characters that are not allowed"));
        }
        let mut stream = Stream::new(Coming::Body, self.peer.window, self.limits.stream_window);
        stream.credit.widen(self.early_window);
        if list.over_limit {
            stream.coming = if list.end { Coming::Ended } else { Coming::Body };
            self.streams.insert(id, stream);
            return Ok(Some(Event::RequestTooLarge { stream: id }));
        }
        let request =
            message::request(fields).map_err(|malformed| Wrong::stream(id, Code::PROTOCOL_ERROR, malformed))?;
        stream.length = request.length;
        if list.end && !stream.end_coming() {
            return Err(Wrong::stream(id, Code::PROTOCOL_ERROR, "a body that is not as long as content-length says"));
        }
        self.streams.insert(id, stream);
        Ok(Some(Event::Request { stream: id, request, end: list.end }))
    }

    fn response<'a>(&mut self, list: &List, fields: &Fields) -> Outcome<'a> {
        let wrong = |why| Wrong::stream(list.stream, Code::PROTOCOL_ERROR, why);
        let response = check(list).and_then(|()| message::response(fields)).map_err(wrong)?;
        // Interim responses come before the one that counts (RFC 9113 section 8.1).
        if response.status < 200 {
            self.floods.count(Flood::Empty)?;
            return if list.end { Err(wrong("an interim response that ends its stream")) } else { Ok(None) };
        }
        let Some(stream) = self.streams.get_mut(list.stream) else { return Ok(None) };
        stream.coming = Coming::Body;
        // The length of what these would have, had they any (RFC 9110 sections 8.6 and 15.4.5).
        stream.length = response.length.filter(|_| !matches!(response.status, 204 | 304));
        if list.end && !stream.end_coming() {
            return Err(wrong("a body that is not as long as content-length says"));
        }
        let token = stream.token;
        if list.end {
            self.settle(list.stream);
        }
        Ok(token.map(|token| Event::Response { token, status: response.status, end: list.end }))
    }

    fn trailers<'a>(&mut self, list: &List, fields: &Fields) -> Outcome<'a> {
        let wrong = |why| Wrong::stream(list.stream, Code::PROTOCOL_ERROR, why);
        if !list.end {
            return Err(wrong("trailers that do not end their stream"));
        }
        check(list).and_then(|()| message::trailers(fields)).map_err(wrong)?;
        let Some(stream) = self.streams.get_mut(list.stream) else { return Ok(None) };
        if !stream.end_coming() {
            return Err(wrong("a body that is not as long as content-length says"));
        }
        let token = stream.token;
        self.settle(list.stream);
        Ok(token.map(|token| Event::Trailers { token }))
    }
}

/// What is wrong with a list whatever it is.
fn check(list: &List) -> Result<(), &'static str> {
    if list.malformed {
        return Err("a field with characters that are not allowed");
    }
    if list.over_limit { Err("a header list over the limit") } else { Ok(()) }
}
