//! Frames as they lie on the wire (RFC 9113 section 4 and 6): heads, kinds, flags, padding. Knows no state.

use super::code::Fault;

/// Bytes before every payload.
pub(super) const HEAD: usize = 9;

/// The largest payload that is sent and taken: the smallest that RFC 9113 allows as a limit, and its default.
pub(super) const MAX_PAYLOAD: usize = 16_384;

/// What a client says first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames.
pub(super) mod kind {
    pub(in crate::http2) const DATA: u8 = 0x0;
    pub(in crate::http2) const HEADERS: u8 = 0x1;
    pub(in crate::http2) const PRIORITY: u8 = 0x2;
    pub(in crate::http2) const RST_STREAM: u8 = 0x3;
    pub(in crate::http2) const SETTINGS: u8 = 0x4;
    pub(in crate::http2) const PUSH_PROMISE: u8 = 0x5;
    pub(in crate::http2) const PING: u8 = 0x6;
    pub(in crate::http2) const GOAWAY: u8 = 0x7;
    pub(in crate::http2) const WINDOW_UPDATE: u8 = 0x8;
    pub(in crate::http2) const CONTINUATION: u8 = 0x9;
}

/// The flags of frames; what they mean depends on the kind.
pub(super) mod flag {
    pub(in crate::http2) const ACK: u8 = 0x1;
    pub(in crate::http2) const END_STREAM: u8 = 0x1;
    pub(in crate::http2) const END_HEADERS: u8 = 0x4;
    pub(in crate::http2) const PADDED: u8 = 0x8;
    pub(in crate::http2) const PRIORITY: u8 = 0x20;
}

/// The nine bytes before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Reads a head and returns what follows it; `None`: it is not whole yet.
    pub(super) fn parse(input: &[u8]) -> Option<(Self, &[u8])> {
        let (&[l2, l1, l0, kind, flags, s3, s2, s1, s0], rest) = input.split_first_chunk::<HEAD>()?;
        let head = Self {
            length: u32::from_be_bytes([0, l2, l1, l0]) as usize,
            kind,
            flags,
            // The first bit is reserved and ignored (RFC 9113 section 4.1).
            stream: u32::from_be_bytes([s3, s2, s1, s0]) & 0x7fff_ffff,
        };
        Some((head, rest))
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> [u8; HEAD] {
        let [_, l2, l1, l0] = (self.length as u32).to_be_bytes();
        let [s3, s2, s1, s0] = self.stream.to_be_bytes();
        [l2, l1, l0, self.kind, self.flags, s3, s2, s1, s0]
    }

    /// Whether a flag is set.
    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The payload without its padding (RFC 9113 section 6.1).
pub(super) fn unpadded(head: Head, payload: &[u8]) -> Result<&[u8], Fault> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let Some((&padding, rest)) = payload.split_first() else {
        return Err(Fault::frame_size("a padded frame without a pad length"));
    };
    rest.len()
        .checked_sub(padding.into())
        .and_then(|length| rest.get(..length))
        .ok_or(Fault::protocol("padding longer than its frame"))
}

/// A payload of exactly four bytes, as a number.
pub(super) fn number(payload: &[u8], why: &'static str) -> Result<u32, Fault> {
    payload.try_into().map(u32::from_be_bytes).map_err(|_length| Fault::frame_size(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::code::Code;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { length: 0x01_02_03, kind: kind::HEADERS, flags: 0x25, stream: 0x7654_3210 };
        let mut bytes = head.bytes().to_vec();
        bytes.push(7);
        assert_eq!(Head::parse(&bytes), Some((head, &[7][..])));
        bytes[5] |= 0x80;
        assert_eq!(Head::parse(&bytes), Some((head, &[7][..])), "the reserved bit is ignored");
        assert_eq!(Head::parse(&bytes[..8]), None);
    }

    #[track_caller]
    fn check(payload: &[u8], expected: Result<&[u8], Code>) {
        let head = Head { length: payload.len(), kind: kind::DATA, flags: flag::PADDED, stream: 1 };
        assert_eq!(unpadded(head, payload).map_err(|fault| fault.code), expected, "{payload:?}");
    }

    #[test]
    fn padding_is_taken_off() {
        check(&[0], Ok(&[]));
        check(&[0, 1, 2], Ok(&[1, 2]));
        check(&[2, 1, 2, 3], Ok(&[1]));
        check(&[3, 1, 2, 3], Ok(&[]));
        check(&[4, 1, 2, 3], Err(Code::PROTOCOL_ERROR));
        check(&[], Err(Code::FRAME_SIZE_ERROR));
    }
}
