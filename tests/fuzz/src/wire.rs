//! Frames as they lie on the wire, written and read apart from the engine.

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.payload.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(self.payload);
    }

    /// Takes one off the front, if it is whole.
    pub fn read(bytes: &mut &'a [u8]) -> Option<Self> {
        let (&[l2, l1, l0, kind, flags, s3, s2, s1, s0], rest) = bytes.split_first_chunk::<9>()?;
        let (payload, rest) = rest.split_at_checked(u32::from_be_bytes([0, l2, l1, l0]) as usize)?;
        *bytes = rest;
        Some(Self { kind, flags, stream: u32::from_be_bytes([s3, s2, s1, s0]), payload })
    }
}
