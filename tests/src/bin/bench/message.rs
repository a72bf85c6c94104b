//! What is inside the messages: a request says which reply it wants, a reply says which request it answers.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A call for one price.
pub(crate) const GET: &str = "/bench.Prices/Get";
/// A call for many.
pub(crate) const WATCH: &str = "/bench.Prices/Watch";
/// A call in which both sides talk: answered at its first message, ended by the caller.
pub(crate) const TALK: &str = "/bench.Prices/Talk";

/// The response header in which a backend says which one it is.
pub(crate) const BACKEND: &str = "backend";

/// Compressed or not, and the length, before each message.
const PREFIX: usize = 5;
/// The prefix and the fields of an [`Ask`].
pub(crate) const ASK: usize = PREFIX + 16;
/// The prefix and the number of the call, with which a reply begins.
pub(crate) const ANSWER: usize = PREFIX + 8;

/// The reply that a request wants.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    /// Which call this is.
    pub(crate) number: u64,
    /// Bytes of each reply message.
    pub(crate) size: u32,
    /// How many there are.
    pub(crate) messages: u32,
}

impl Ask {
    /// The fields in the beginning of a request.
    pub(crate) fn read(head: &[u8; ASK]) -> Self {
        let mut head = head.as_slice();
        head.advance(PREFIX);
        Self { number: head.get_u64(), size: head.get_u32(), messages: head.get_u32() }
    }

    /// The first of the requests in a buffer, taken out of it, once it is there whole.
    pub(crate) fn take(bytes: &mut BytesMut) -> Option<Self> {
        let mut size = bytes.get(1..PREFIX)?;
        let end = PREFIX + size.get_u32() as usize;
        let ask = Self::read(bytes.get(..end)?.first_chunk()?);
        bytes.advance(end);
        Some(ask)
    }

    /// The request, as a message of this many bytes.
    pub(crate) fn request(self, size: u32) -> Bytes {
        let mut message = prefixed(size);
        message.put_u64(self.number);
        message.put_u32(self.size);
        message.put_u32(self.messages);
        filled(message, size)
    }

    /// Each message of the reply.
    pub(crate) fn reply(self) -> Bytes {
        let mut message = prefixed(self.size);
        message.put_u64(self.number);
        filled(message, self.size)
    }

    /// Bytes of the whole reply.
    pub(crate) fn reply_bytes(self) -> usize {
        self.messages as usize * (PREFIX + self.size as usize)
    }

    /// Whether a reply begins as the first message of this call's does.
    pub(crate) fn is_answered_by(self, mut head: &[u8]) -> bool {
        head.len() == ANSWER && head.get_u8() == 0 && head.get_u32() == self.size && head.get_u64() == self.number
    }
}

fn prefixed(size: u32) -> BytesMut {
    let mut message = BytesMut::with_capacity(PREFIX + size as usize);
    message.put_u8(0);
    message.put_u32(size);
    message
}

fn filled(mut message: BytesMut, size: u32) -> Bytes {
    message.resize(PREFIX + size as usize, b'.');
    message.freeze()
}
