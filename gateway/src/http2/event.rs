//! What a connection tells who uses it.

use super::{code::Code, message::Request, stream::Token};

/// Something happened. Header lists are in the [`Fields`](super::Fields) that were given to
/// [`Connection::receive`](super::Connection::receive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A client opened a stream.
    Request {
        /// The stream.
        stream: u32,
        /// Where to find what in the list.
        request: Request,
        /// Whether nothing follows.
        end: bool,
    },
    /// A client opened a stream with a header list over the limit. The list is not whole.
    RequestTooLarge {
        /// The stream.
        stream: u32,
    },
    /// A server answers; never an interim response.
    Response {
        /// The stream's.
        token: Token,
        /// The HTTP status.
        status: u16,
        /// Whether nothing follows.
        end: bool,
    },
    /// A piece of body. It holds its place in the windows until it is released.
    Data {
        /// The stream's.
        token: Token,
        /// The piece.
        bytes: &'a [u8],
        /// Whether nothing follows.
        end: bool,
    },
    /// Trailers; nothing follows.
    Trailers {
        /// The stream's.
        token: Token,
    },
    /// The stream is gone, at once and both ways.
    Reset {
        /// The stream's.
        token: Token,
        /// Why.
        reset: Reset,
    },
    /// A stream that has no token was refused or reset for a fault of the peer's, who was told.
    Refused {
        /// What it did.
        why: &'static str,
    },
    /// The peer's first settings came: it speaks HTTP/2. Or later ones, that allow more streams.
    Ready,
    /// The peer takes no more streams.
    GoingAway,
}

/// Why a stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The peer says so.
    ByPeer(Code),
    /// The peer says that it never processed it: REFUSED_STREAM (RFC 9113 section 8.7), or a GOAWAY that names an
    /// earlier stream as its last (section 6.8).
    Unprocessed,
    /// The peer broke a rule, and was told so.
    Broken(&'static str),
}

/// A stream that the end of its connection leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forsaken {
    /// The stream's.
    pub token: Token,
    /// The socket took no byte of it: the peer cannot have seen it.
    pub unsent: bool,
}
