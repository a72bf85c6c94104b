//! What came of the client's half of a call: kept while it may have to be sent again, and counted, so that the client
//! gets room for exactly what has gone on. Knows no sockets.

use crate::http2::Fields;

/// More than this is not kept for a second attempt once it was sent.
const KEPT: usize = 64 * 1024;

/// The client's half of a call.
#[derive(Default)]
pub(super) struct Body {
    /// Everything that came, unless it is lost.
    kept: Vec<u8>,
    lost: bool,
    came: usize,
    /// Bytes that went on to the instance of this attempt.
    passed: usize,
    /// Bytes for which the client has got room again.
    returned: usize,
    /// How it ends.
    pub(super) end: End,
}

/// How the client's half ends.
#[derive(Default)]
pub(super) enum End {
    /// Not yet.
    #[default]
    Open,
    /// It has ended.
    Ended,
    /// With trailers.
    Trailers(Box<Fields>),
}

impl Body {
    /// Everything that came.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether all of it could be sent again.
    pub(super) fn is_whole(&self) -> bool {
        !self.lost
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.end, End::Open)
    }

    /// More came, and waits.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.came += bytes.len();
        self.kept.extend_from_slice(bytes);
    }

    /// More came and is sent; it is kept if it is little.
    pub(super) fn keep_little(&mut self, bytes: &[u8]) {
        self.came += bytes.len();
        if self.lost || self.kept.len() + bytes.len() > KEPT {
            self.forget();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    /// More came and is sent; it cannot be needed again.
    pub(super) fn count(&mut self, bytes: usize) {
        self.came += bytes;
    }

    /// The instance answers: the call stays there.
    pub(super) fn forget(&mut self) {
        self.lost = true;
        self.kept = Vec::new();
    }

    /// Room for everything that came, whether it went on or not: the gateway itself needs more.
    pub(super) fn return_all(&mut self) -> usize {
        let room = self.came - self.returned;
        self.returned = self.came;
        room
    }

    /// So many bytes went on; the room that the client gets for it.
    pub(super) fn pass(&mut self, bytes: usize) -> usize {
        self.passed += bytes;
        let room = self.passed.saturating_sub(self.returned);
        self.returned += room;
        room
    }

    /// It will be sent from the start again.
    pub(super) fn start_again(&mut self) {
        self.passed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_returned_once_for_each_byte() {
        let mut body = Body::default();
        body.keep(&[0; 100]);
        assert_eq!(body.return_all(), 100, "the first message is read");
        body.keep(&[0; 50]);
        assert_eq!(body.pass(100), 0, "the client has room for these already");
        assert_eq!(body.pass(50), 50);
        body.start_again();
        assert_eq!(body.pass(150), 0, "a second attempt sends the same bytes");
        body.keep_little(&[0; 7]);
        assert_eq!(body.pass(7), 7);
    }

    #[test]
    fn what_is_too_much_is_lost_as_a_whole() {
        let mut body = Body::default();
        body.keep_little(&[1; KEPT]);
        assert!(body.is_whole());
        body.keep_little(&[1]);
        assert!(!body.is_whole() && body.kept().is_empty());
        body.keep_little(&[1]);
        assert!(!body.is_whole() && body.kept().is_empty(), "a part is never taken for the whole");
    }
}
