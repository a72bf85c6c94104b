//! The streams of one connection, those that were just closed, and the line of those that wait for the connection.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::stream::Stream;

/// Streams that we reset and whose late frames are still expected.
const RESET: usize = 256;
/// Streams that ended, of which it is remembered that they did.
const ENDED: usize = 8;

/// All streams.
#[derive(Default)]
pub(super) struct Streams {
    open: FxHashMap<u32, Stream>,
    /// How many of them stand aside.
    aside: usize,
    /// Bytes in all queues.
    queued: usize,
    line: VecDeque<u32>,
    reset: VecDeque<u32>,
    /// The highest of those that are not kept any more.
    forgotten: u32,
    ended: [u32; ENDED],
    next_ended: usize,
}

impl Streams {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many of them are no use of the connection.
    pub(super) fn aside(&self) -> usize {
        self.aside
    }

    /// Bytes that wait in them.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// An open stream.
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.open.get_mut(&id)
    }

    /// All open streams.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Stream)> {
        self.open.iter_mut().map(|(id, stream)| (*id, stream))
    }

    /// Opens one.
    pub(super) fn insert(&mut self, id: u32, stream: Stream) {
        self.aside += usize::from(stream.aside);
        self.open.insert(id, stream);
    }

    /// One has ended both ways.
    pub(super) fn end(&mut self, id: u32) -> Option<Stream> {
        let stream = self.remove(id)?;
        if let Some(place) = self.ended.get_mut(self.next_ended) {
            *place = id;
        }
        self.next_ended = (self.next_ended + 1) % ENDED;
        Some(stream)
    }

    /// One is reset by us: the peer may not know yet.
    pub(super) fn reset(&mut self, id: u32) -> Option<Stream> {
        self.expect_late(id);
        self.remove(id)
    }

    /// Frames may still come for a stream that the peer does not know to be closed.
    pub(super) fn expect_late(&mut self, id: u32) {
        if self.reset.len() == RESET {
            self.forgotten = self.forgotten.max(self.reset.pop_front().unwrap_or_default());
        }
        self.reset.push_back(id);
    }

    /// Whether a frame of a stream that is not open may have been sent before the peer knew that we reset it. Of old
    /// streams that is always assumed.
    pub(super) fn may_be_late(&self, id: u32) -> bool {
        id <= self.forgotten || (!self.reset.is_empty() && self.reset.contains(&id))
    }

    /// Whether a stream is known to have ended.
    pub(super) fn has_ended(&self, id: u32) -> bool {
        self.ended.contains(&id)
    }

    /// Adds bytes to a stream's queue.
    pub(super) fn enqueue(&mut self, id: u32, bytes: &[u8]) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.queue.extend(bytes);
            self.queued += bytes.len();
        }
    }

    /// Takes bytes from a stream's queue that were sent.
    pub(super) fn dequeue(&mut self, id: u32, bytes: usize) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.dequeue(bytes);
            self.queued -= bytes;
        }
    }

    /// Forgets what waits in a stream.
    pub(super) fn clear_queue(&mut self, id: u32) {
        if let Some(stream) = self.open.get_mut(&id) {
            self.queued -= stream.queue.len();
            stream.queue = VecDeque::new();
        }
    }

    /// Puts a stream into the line, once.
    pub(super) fn stand_in_line(&mut self, id: u32) {
        if let Some(stream) = self.open.get_mut(&id)
            && !std::mem::replace(&mut stream.in_line, true)
        {
            self.line.push_back(id);
        }
    }

    /// How many stand in it.
    #[cfg(test)]
    pub(super) fn in_line(&self) -> usize {
        self.line.len()
    }

    /// The stream at the head of the line, which leaves it.
    pub(super) fn next_in_line(&mut self) -> Option<u32> {
        loop {
            let id = self.line.pop_front()?;
            if let Some(stream) = self.open.get_mut(&id) {
                stream.in_line = false;
                return Some(id);
            }
        }
    }

    /// Gives memory back that a quiet connection does not need.
    pub(super) fn shrink(&mut self) {
        if self.open.is_empty() {
            self.open.shrink_to_fit();
            self.line = VecDeque::new();
            self.forgotten = std::mem::take(&mut self.reset).into_iter().fold(self.forgotten, u32::max);
        }
    }

    fn remove(&mut self, id: u32) -> Option<Stream> {
        let stream = self.open.remove(&id)?;
        self.aside -= usize::from(stream.aside);
        self.queued -= stream.queue.len();
        if stream.in_line {
            self.line.retain(|waits| *waits != id);
        }
        Some(stream)
    }
}
