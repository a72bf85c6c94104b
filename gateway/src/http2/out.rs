//! Frames on their way to the socket, in one buffer. DATA of one stream that meets in it becomes one frame: a stream of
//! small messages costs the peer no frame each when the socket is behind.

use super::frame::{HEAD, Head, MAX_PAYLOAD, flag, kind};

/// What a connection that has nothing to send may keep.
const KEPT: usize = 4 * 1024;

/// The buffer.
#[derive(Default)]
pub(super) struct Out {
    bytes: Vec<u8>,
    sent: usize,
    /// Bytes that the socket took since the beginning.
    taken: u64,
    tail: Option<Tail>,
}

/// Payloads are copied in pieces of this size. The C library copies longer ones with an instruction that is up to thirty
/// times slower when the target lies a few bytes behind the source within a page, as a payload behind its head may.
const COPIED: usize = 2 * 1024;

/// The last frame, while it is DATA that more can be added to.
#[derive(Clone, Copy)]
struct Tail {
    at: usize,
    stream: u32,
}

impl Out {
    /// What the socket should take next.
    pub(super) fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Where the next byte will lie among all that are ever sent.
    pub(super) fn end(&self) -> u64 {
        self.taken + self.len() as u64
    }

    /// Whether the socket took a byte that lies behind this place.
    pub(super) fn is_past(&self, place: u64) -> bool {
        self.taken > place
    }

    /// The socket took so many bytes.
    pub(super) fn taken(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        self.sent = (self.sent + bytes).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            self.tail = None;
        } else if self.sent * 2 > self.bytes.len() {
            // What stays is the smaller part, so that each byte is moved once at most.
            self.bytes.drain(..self.sent);
            self.tail = self.tail.and_then(|tail| Some(Tail { at: tail.at.checked_sub(self.sent)?, ..tail }));
            self.sent = 0;
        }
    }

    /// Gives memory back that a quiet connection does not need.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
    }

    /// Bytes that are no frame: a client's preface.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Any frame.
    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.tail = None;
        self.push(Head { length: payload.len(), kind, flags, stream }, payload);
    }

    /// DATA of at most [`MAX_PAYLOAD`] bytes.
    pub(super) fn data(&mut self, stream: u32, payload: &[u8], end: bool) {
        if !self.extend_tail(stream, payload, end) {
            let at = self.bytes.len();
            let flags = if end { flag::END_STREAM } else { 0 };
            self.push(Head { length: payload.len(), kind: kind::DATA, flags, stream }, payload);
            self.tail = (!end).then_some(Tail { at, stream });
        }
    }

    /// A header block, in one frame or as many as it takes.
    pub(super) fn block(&mut self, stream: u32, end: bool, encode: impl FnOnce(&mut Vec<u8>)) {
        self.tail = None;
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEAD]);
        encode(&mut self.bytes);
        let length = self.bytes.len() - at - HEAD;
        let flags = if end { flag::END_STREAM } else { 0 };
        if length <= MAX_PAYLOAD {
            self.write_head(at, Head { length, kind: kind::HEADERS, flags: flags | flag::END_HEADERS, stream });
            return;
        }
        let first = at + HEAD + MAX_PAYLOAD;
        let rest = self.bytes.split_off(first);
        self.write_head(at, Head { length: MAX_PAYLOAD, kind: kind::HEADERS, flags, stream });
        let mut pieces = rest.chunks(MAX_PAYLOAD).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { flag::END_HEADERS } else { 0 };
            self.push(Head { length: piece.len(), kind: kind::CONTINUATION, flags, stream }, piece);
        }
    }

    fn push(&mut self, head: Head, payload: &[u8]) {
        self.bytes.extend_from_slice(&head.bytes());
        self.copy(payload);
    }

    fn copy(&mut self, payload: &[u8]) {
        self.bytes.reserve(payload.len());
        payload.chunks(COPIED).for_each(|piece| self.bytes.extend_from_slice(piece));
    }

    fn write_head(&mut self, at: usize, head: Head) {
        if let Some(place) = self.bytes.get_mut(at..at + HEAD) {
            place.copy_from_slice(&head.bytes());
        }
    }

    fn extend_tail(&mut self, stream: u32, payload: &[u8], end: bool) -> bool {
        let Some(Tail { at, .. }) = self.tail.filter(|tail| tail.stream == stream && tail.at >= self.sent) else {
            return false;
        };
        let length = self.bytes.len() - at - HEAD + payload.len();
        if length > MAX_PAYLOAD {
            return false;
        }
        self.copy(payload);
        let flags = if end { flag::END_STREAM } else { 0 };
        self.write_head(at, Head { length, kind: kind::DATA, flags, stream });
        if end {
            self.tail = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, flags, stream and payload length of every frame.
    fn frames(out: &Out) -> Vec<(u8, u8, u32, usize)> {
        let mut rest = out.pending();
        let mut frames = Vec::new();
        while let Some((head, payload)) = Head::parse(rest) {
            frames.push((head.kind, head.flags, head.stream, head.length));
            rest = &payload[head.length..];
        }
        assert!(rest.is_empty(), "whole frames only");
        frames
    }

    #[test]
    fn data_of_one_stream_becomes_one_frame() {
        let mut out = Out::default();
        out.data(1, b"one", false);
        out.data(1, b"two", false);
        out.data(3, b"other", false);
        out.data(1, b"three", false);
        out.data(1, b"", true);
        assert_eq!(frames(&out), [(0, 0, 1, 6), (0, 0, 3, 5), (0, 1, 1, 5)]);
    }

    #[test]
    fn nothing_is_added_to_what_is_full_or_partly_sent_or_behind_another_frame() {
        let mut out = Out::default();
        out.data(1, &[0; MAX_PAYLOAD], false);
        out.data(1, b"more", false);
        out.frame(kind::PING, 0, 0, &[0; 8]);
        out.data(1, b"x", false);
        assert_eq!(frames(&out), [(0, 0, 1, MAX_PAYLOAD), (0, 0, 1, 4), (6, 0, 0, 8), (0, 0, 1, 1)]);
        out.taken(out.len() - 3);
        out.data(1, b"y", false);
        assert_eq!(out.len(), 3 + HEAD + 1, "a frame of its own");
    }

    #[test]
    fn what_stays_after_a_partial_write_can_still_be_added_to() {
        let mut out = Out::default();
        out.frame(kind::PING, 0, 0, &[0; 8]);
        out.frame(kind::PING, 0, 0, &[0; 8]);
        out.data(1, b"a", false);
        out.taken(34);
        out.data(1, b"b", true);
        assert_eq!(frames(&out), [(0, 1, 1, 2)]);
        out.taken(11);
        assert!(out.pending().is_empty());
    }

    #[test]
    fn a_long_block_is_continued() {
        let mut out = Out::default();
        out.block(1, true, |block| block.extend_from_slice(&vec![7; 2 * MAX_PAYLOAD + 1]));
        assert_eq!(frames(&out), [(1, 1, 1, MAX_PAYLOAD), (9, 0, 1, MAX_PAYLOAD), (9, 4, 1, 1)]);
        let mut out = Out::default();
        out.block(1, false, |block| block.extend_from_slice(&[7; MAX_PAYLOAD]));
        assert_eq!(frames(&out), [(1, 4, 1, MAX_PAYLOAD)]);
    }
}
