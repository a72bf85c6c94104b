//! The error codes of HTTP/2 (RFC 9113 section 7), and what ends a whole connection.

use std::fmt;

/// An error code as it stands in RST_STREAM and GOAWAY. A peer may send any number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

/// Why a connection ends: what GOAWAY says, and what the log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the peer is told.
    pub code: Code,
    /// What it did.
    pub why: &'static str,
}

/// What a peer did wrong, and whom it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The connection.
    Connection(Fault),
    /// One stream.
    Stream { stream: u32, code: Code, why: &'static str },
}

impl Code {
    /// No error.
    pub const NO_ERROR: Self = Self(0x0);
    /// The peer broke a rule that has no code of its own.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// The sender of the code failed.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// A window was exceeded, or made too large.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    /// A frame came for a stream that is closed.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame has a length that it must not have.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// The stream was not processed at all.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// The stream is needed no longer.
    pub const CANCEL: Self = Self(0x8);
    /// The header compression is out of step.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The peer makes too much of what costs too much.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);

    /// The name that RFC 9113 gives it; `None`: it gives none.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0 => "NO_ERROR",
            0x1 => "PROTOCOL_ERROR",
            0x2 => "INTERNAL_ERROR",
            0x3 => "FLOW_CONTROL_ERROR",
            0x4 => "SETTINGS_TIMEOUT",
            0x5 => "STREAM_CLOSED",
            0x6 => "FRAME_SIZE_ERROR",
            0x7 => "REFUSED_STREAM",
            0x8 => "CANCEL",
            0x9 => "COMPRESSION_ERROR",
            0xa => "CONNECT_ERROR",
            0xb => "ENHANCE_YOUR_CALM",
            0xc => "INADEQUATE_SECURITY",
            0xd => "HTTP_1_1_REQUIRED",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Fault {
    /// With this code, because of that.
    pub const fn new(code: Code, why: &'static str) -> Self {
        Self { code, why }
    }

    /// `PROTOCOL_ERROR`.
    pub(super) const fn protocol(why: &'static str) -> Self {
        Self::new(Code::PROTOCOL_ERROR, why)
    }

    /// `FRAME_SIZE_ERROR`.
    pub(super) const fn frame_size(why: &'static str) -> Self {
        Self::new(Code::FRAME_SIZE_ERROR, why)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.why)
    }
}

impl std::error::Error for Fault {}

impl Wrong {
    /// A stream error.
    pub(super) const fn stream(stream: u32, code: Code, why: &'static str) -> Self {
        Self::Stream { stream, code, why }
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Connection(fault)
    }
}
