//! Names and numbers of HTTP/2, and frames as octets. Nothing here is the gateway's code: two errors in one place would
//! agree with each other.

/// What a client sends first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Octets of a frame's header.
pub(super) const HEAD: usize = 9;

/// Frame types (section 6).
pub(super) mod kind {
    pub(in crate::conformance) const DATA: u8 = 0;
    pub(in crate::conformance) const HEADERS: u8 = 1;
    pub(in crate::conformance) const PRIORITY: u8 = 2;
    pub(in crate::conformance) const RST_STREAM: u8 = 3;
    pub(in crate::conformance) const SETTINGS: u8 = 4;
    pub(in crate::conformance) const PUSH_PROMISE: u8 = 5;
    pub(in crate::conformance) const PING: u8 = 6;
    pub(in crate::conformance) const GOAWAY: u8 = 7;
    pub(in crate::conformance) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::conformance) const CONTINUATION: u8 = 9;
}

/// Flags.
pub(super) mod flag {
    pub(in crate::conformance) const ACK: u8 = 0x1;
    pub(in crate::conformance) const END_STREAM: u8 = 0x1;
    pub(in crate::conformance) const END_HEADERS: u8 = 0x4;
    pub(in crate::conformance) const PADDED: u8 = 0x8;
    pub(in crate::conformance) const PRIORITY: u8 = 0x20;
}

/// Settings (section 6.5.2).
pub(super) mod setting {
    pub(in crate::conformance) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in crate::conformance) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in crate::conformance) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(in crate::conformance) const MAX_FRAME_SIZE: u16 = 5;
}

/// By their number.
const KINDS: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

/// By their number (section 7).
const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// By their number, from 1; `u32::MAX` is no limit.
const SETTINGS: [(&str, u32); 6] = [
    ("HEADER_TABLE_SIZE", 4096),
    ("ENABLE_PUSH", 1),
    ("MAX_CONCURRENT_STREAMS", u32::MAX),
    ("INITIAL_WINDOW_SIZE", 65_535),
    ("MAX_FRAME_SIZE", 16_384),
    ("MAX_HEADER_LIST_SIZE", u32::MAX),
];

/// The number of a frame type; `0xb0` names one without a name.
pub(super) fn kind_of(name: &str) -> Option<u8> {
    place(&KINDS, name).or_else(|| u8::from_str_radix(name.strip_prefix("0x")?, 16).ok())
}

/// The name of a frame type.
pub(super) fn kind_name(kind: u8) -> String {
    KINDS.get(usize::from(kind)).map_or_else(|| format!("{kind:#04x}"), |name| (*name).to_owned())
}

/// The number of an error code; `0xff` names one without a name.
pub(super) fn code_of(name: &str) -> Option<u32> {
    place(&CODES, name).map(u32::from).or_else(|| u32::from_str_radix(name.strip_prefix("0x")?, 16).ok())
}

/// The name of an error code.
pub(super) fn code_name(code: u32) -> String {
    CODES.get(code as usize).map_or_else(|| format!("{code:#x}"), |name| (*name).to_owned())
}

/// The number of a setting; `0x10` names one without a name.
pub(super) fn setting_of(name: &str) -> Option<u16> {
    let known = SETTINGS.iter().position(|known| known.0 == name).and_then(|at| u16::try_from(at + 1).ok());
    known.or_else(|| u16::from_str_radix(name.strip_prefix("0x")?, 16).ok())
}

/// What holds for a setting that was not sent.
pub(super) fn setting_default(setting: u16) -> u32 {
    SETTINGS.get(usize::from(setting).wrapping_sub(1)).map_or(0, |known| known.1)
}

/// Appends a frame. `stream` may carry the reserved bit, `length` may lie.
pub(super) fn write(out: &mut Vec<u8>, length: u32, head: (u8, u8, u32), payload: &[u8]) {
    let (kind, flags, stream) = head;
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Four octets from the start, without the highest bit: a stream, an increment, a window.
pub(super) fn low_31(octets: &[u8]) -> u32 {
    word(octets) & (u32::MAX >> 1)
}

/// Four octets from the start; those that are missing are zero.
pub(super) fn word(octets: &[u8]) -> u32 {
    (0..4).fold(0, |word, at| (word << 8) | u32::from(octets.get(at).copied().unwrap_or(0)))
}

fn place(names: &[&str], name: &str) -> Option<u8> {
    names.iter().position(|known| *known == name).and_then(|at| u8::try_from(at).ok())
}
