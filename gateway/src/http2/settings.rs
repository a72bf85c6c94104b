//! What each side tells the other about itself (RFC 9113 section 6.5): what is read of the peer's, and how ours are
//! written.

use super::code::{Code, Fault};

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// The window of a stream, and of a connection, that nothing else was said of.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
/// The largest window.
pub(super) const MAX_WINDOW: u32 = 0x7fff_ffff;

/// What the peer said of itself, as far as it matters to what is sent. Frames are never larger than every peer must
/// take, and a peer's limit on header lists is advice that the instance itself can act on better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Bytes of HPACK table that it keeps.
    pub(super) header_table: u32,
    /// Streams that it lets us open; there is no limit before it names one.
    pub(super) max_streams: u32,
    /// The window that every stream begins with.
    pub(super) window: u32,
}

/// What we say of ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    /// As the one that is called.
    Server { max_streams: u32, window: u32, max_header_list: u32 },
    /// As the one that calls.
    Client { window: u32, max_header_list: u32 },
}

impl Default for Peer {
    fn default() -> Self {
        Self { header_table: 4096, max_streams: u32::MAX, window: DEFAULT_WINDOW }
    }
}

impl Peer {
    /// Reads a payload; gives back the smallest HPACK table that it names on the way. `is_server`: a server sent it.
    pub(super) fn read(&mut self, payload: &[u8], is_server: bool) -> Result<u32, Fault> {
        let (settings, []) = payload.as_chunks::<6>() else {
            return Err(Fault::frame_size("SETTINGS of a length that is no multiple of 6"));
        };
        let mut lowest_table = u32::MAX;
        for &[i1, i0, v3, v2, v1, v0] in settings {
            let value = u32::from_be_bytes([v3, v2, v1, v0]);
            match u16::from_be_bytes([i1, i0]) {
                HEADER_TABLE_SIZE => {
                    self.header_table = value;
                    lowest_table = lowest_table.min(value);
                }
                ENABLE_PUSH if value > 1 || (is_server && value == 1) => {
                    return Err(Fault::protocol("SETTINGS_ENABLE_PUSH that is not allowed"));
                }
                MAX_CONCURRENT_STREAMS => self.max_streams = value,
                INITIAL_WINDOW_SIZE if value > MAX_WINDOW => {
                    return Err(Fault::new(Code::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1"));
                }
                INITIAL_WINDOW_SIZE => self.window = value,
                MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                    return Err(Fault::protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
                }
                _ => {}
            }
        }
        Ok(lowest_table.min(self.header_table))
    }
}

impl Ours {
    /// The payload.
    pub(super) fn payload(self) -> Vec<u8> {
        let list = match self {
            Self::Server { max_streams, window, max_header_list } => [
                (MAX_CONCURRENT_STREAMS, max_streams),
                (INITIAL_WINDOW_SIZE, window),
                (MAX_HEADER_LIST_SIZE, max_header_list),
            ],
            Self::Client { window, max_header_list } => {
                [(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, window), (MAX_HEADER_LIST_SIZE, max_header_list)]
            }
        };
        let mut payload = Vec::with_capacity(18);
        for (setting, value) in list {
            payload.extend_from_slice(&setting.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(setting: u16, value: u32, is_server: bool, expected: Result<Peer, Code>) {
        let payload = [&setting.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let mut peer = Peer::default();
        let read = peer.read(&payload, is_server).map(|_table| peer).map_err(|fault| fault.code);
        assert_eq!(read, expected, "{setting:#x} = {value}");
    }

    #[test]
    fn settings_are_read_as_rfc_9113_says() {
        let peer = Peer::default();
        check(1, 0, false, Ok(Peer { header_table: 0, ..peer }));
        check(2, 1, false, Ok(peer));
        check(2, 1, true, Err(Code::PROTOCOL_ERROR));
        check(2, 2, false, Err(Code::PROTOCOL_ERROR));
        check(3, 0, true, Ok(Peer { max_streams: 0, ..peer }));
        check(4, 0x7fff_ffff, false, Ok(Peer { window: 0x7fff_ffff, ..peer }));
        check(4, 0x8000_0000, false, Err(Code::FLOW_CONTROL_ERROR));
        check(5, 16_383, false, Err(Code::PROTOCOL_ERROR));
        check(5, 16_777_215, false, Ok(peer));
        check(5, 16_777_216, false, Err(Code::PROTOCOL_ERROR));
        check(0x7777, 1, false, Ok(peer));
    }

    #[test]
    fn the_last_of_equal_settings_counts_and_a_broken_payload_is_refused() {
        let mut peer = Peer::default();
        peer.read(&[0, 3, 0, 0, 0, 1, 0, 3, 0, 0, 0, 2], false).expect("valid");
        assert_eq!(peer.max_streams, 2);
        assert_eq!(peer.read(&[0, 1, 0, 0, 0, 7, 0, 1, 0, 0, 1, 0], false), Ok(7), "a table shrinks on the way");
        assert_eq!(peer.header_table, 0x100);
        assert_eq!(peer.read(&[], false), Ok(0x100));
        assert_eq!(peer.read(&[0, 3, 0, 0, 0], false).map_err(|fault| fault.code), Err(Code::FRAME_SIZE_ERROR));
    }

    #[test]
    fn ours_are_ones_that_a_peer_can_read() {
        let mut peer = Peer::default();
        let ours = Ours::Server { max_streams: 7, window: 70_000, max_header_list: 100 };
        peer.read(&ours.payload(), true).expect("valid");
        assert_eq!((peer.max_streams, peer.window), (7, 70_000));
        Peer::default().read(&Ours::Client { window: 1, max_header_list: 1 }.payload(), false).expect("valid");
    }
}
