//! What the gateway must never do on any connection, watched in every case: frames that are too large, data beyond a
//! window that this side gave, frames after the end of a stream, fields that may not be sent.

use std::collections::{HashMap, VecDeque};

use super::{
    inbox::Got,
    script::Role,
    wire::{self, flag, kind, setting},
};

/// Fields of HTTP/1 connections (RFC 9113 section 8.2.2).
const CONNECTION: [&[u8]; 5] = [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"];
/// What a request's head may say of itself, and what a response's.
const REQUEST: [&[u8]; 4] = [b":method", b":scheme", b":path", b":authority"];
const RESPONSE: [&[u8]; 1] = [b":status"];

/// One connection, as the gateway uses it.
pub(super) struct Audit {
    role: Role,
    began: bool,
    /// The stream of an unfinished field block.
    block: Option<u32>,
    max_frame: u32,
    initial_window: i64,
    connection_window: i64,
    /// Streams that the gateway may have open.
    most_streams: u32,
    streams: HashMap<u32, Sent>,
    highest: u32,
    last: u32,
    /// Settings of this side that are not acknowledged yet.
    pending: VecDeque<Vec<(u16, u32)>>,
    /// The next field block must begin with a size update.
    owes_size: bool,
    table_size: u32,
}

/// What the gateway did on a stream.
#[derive(Default)]
struct Sent {
    opened: bool,
    head: bool,
    ended: bool,
    /// Whether this side ended it.
    ended_here: bool,
    reset_here: bool,
    /// By how much its window differs from the initial one.
    window: i64,
}

impl Sent {
    /// Whether it takes one of the places of this side's MAX_CONCURRENT_STREAMS.
    fn counts(&self) -> bool {
        self.opened && !self.reset_here && !(self.ended && self.ended_here)
    }
}

type Verdict<T = ()> = Result<T, String>;

impl Audit {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            began: false,
            block: None,
            max_frame: wire::setting_default(setting::MAX_FRAME_SIZE),
            initial_window: i64::from(wire::setting_default(setting::INITIAL_WINDOW_SIZE)),
            connection_window: i64::from(wire::setting_default(setting::INITIAL_WINDOW_SIZE)),
            most_streams: u32::MAX,
            streams: HashMap::new(),
            highest: 0,
            last: u32::MAX,
            pending: VecDeque::new(),
            owes_size: false,
            table_size: wire::setting_default(setting::HEADER_TABLE_SIZE),
        }
    }

    /// This side sends a frame; the size that the gateway's table may have from now on, if it is larger.
    pub(super) fn ours(&mut self, (kind, flags, stream): (u8, u8, u32), payload: &[u8]) -> Option<usize> {
        match kind {
            kind::HEADERS if self.role == Role::Client => self.streams.entry(stream).or_default().opened = true,
            kind::DATA | kind::HEADERS | kind::RST_STREAM if self.role == Role::Instance => {
                let sent = self.streams.entry(stream).or_default();
                sent.reset_here |= kind == kind::RST_STREAM;
                sent.ended_here |= kind != kind::RST_STREAM && flags & flag::END_STREAM != 0;
            }
            kind::WINDOW_UPDATE if stream == 0 => self.connection_window += i64::from(wire::low_31(payload)),
            kind::WINDOW_UPDATE => {
                self.streams.entry(stream).or_default().window += i64::from(wire::low_31(payload));
            }
            kind::SETTINGS if flags & flag::ACK == 0 => {
                let pair = |pair: &[u8]| (u16::from_be_bytes([pair[0], pair[1]]), wire::word(&pair[2..]));
                let settings: Vec<_> = payload.chunks_exact(6).map(pair).collect();
                let size = self.apply(&settings, |new, old| new > old);
                self.pending.push_back(settings);
                return size;
            }
            _ => {}
        }
        None
    }

    /// The gateway acknowledged the oldest settings; the size that its table may have from now on, if it is another.
    pub(super) fn acknowledged(&mut self) -> Option<usize> {
        let settings = self.pending.pop_front()?;
        let before = self.table_size;
        let size = self.apply(&settings, |new, old| new != old);
        self.owes_size |= self.table_size < before;
        size
    }

    /// More is allowed as soon as it is sent, less is forbidden only once it is acknowledged.
    fn apply(&mut self, settings: &[(u16, u32)], changes: fn(u32, u32) -> bool) -> Option<usize> {
        let mut size = None;
        for (name, value) in settings {
            match *name {
                setting::INITIAL_WINDOW_SIZE if changes(*value, u32::try_from(self.initial_window).unwrap_or(0)) => {
                    self.initial_window = i64::from(*value);
                }
                setting::MAX_CONCURRENT_STREAMS if changes(*value, self.most_streams) => self.most_streams = *value,
                setting::MAX_FRAME_SIZE if changes(*value, self.max_frame) => self.max_frame = *value,
                setting::HEADER_TABLE_SIZE if changes(*value, self.table_size) => {
                    self.table_size = *value;
                    size = Some(*value as usize);
                }
                _ => {}
            }
        }
        size
    }

    /// The gateway sends a frame.
    pub(super) fn theirs(&mut self, (kind, flags, stream): (u8, u8, u32), payload: &[u8]) -> Verdict {
        let name = wire::kind_name(kind);
        if !std::mem::replace(&mut self.began, true) && !matches!(kind, kind::SETTINGS | kind::GOAWAY) {
            return Err(format!("{name} came before SETTINGS"));
        }
        if payload.len() > self.max_frame as usize {
            return Err(format!("{name} of {} octets; {} are allowed", payload.len(), self.max_frame));
        }
        match (self.block, kind == kind::CONTINUATION) {
            (Some(open), true) if open == stream => {}
            (None, false) => {}
            _ => return Err(format!("{name} {stream} when a field block on {:?} was open", self.block)),
        }
        if matches!(kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION) {
            self.block = (flags & flag::END_HEADERS == 0).then_some(stream);
        }
        match kind {
            kind::PUSH_PROMISE => Err("PUSH_PROMISE came".into()),
            kind::SETTINGS | kind::PING | kind::GOAWAY if stream != 0 => Err(format!("{name} on stream {stream}")),
            kind::DATA | kind::HEADERS if stream == 0 => Err(format!("{name} on stream 0")),
            kind::WINDOW_UPDATE if wire::low_31(payload) == 0 => Err("WINDOW_UPDATE by 0".into()),
            kind::GOAWAY => self.goes_away(wire::low_31(payload)),
            kind::DATA => self.data(stream, flags, payload.len() as i64),
            kind::HEADERS => self.head(stream, flags),
            kind::RST_STREAM => self.reset(stream),
            _ => Ok(()),
        }
    }

    fn goes_away(&mut self, last: u32) -> Verdict {
        if last > self.last {
            return Err(format!("GOAWAY with the last stream {last} after one with {}", self.last));
        }
        self.last = last;
        Ok(())
    }

    fn data(&mut self, stream: u32, flags: u8, length: i64) -> Verdict {
        let initial = self.initial_window;
        let sent = self.open(stream, "DATA")?;
        sent.ended = flags & flag::END_STREAM != 0;
        sent.window -= length;
        let (head, window) = (sent.head, sent.window + initial);
        self.connection_window -= length;
        if !head {
            return Err(format!("DATA {stream} before HEADERS"));
        }
        if length > 0 && (window < 0 || self.connection_window < 0) {
            let windows = (window, self.connection_window);
            return Err(format!("DATA {stream} leaves the windows of stream and connection at {windows:?}"));
        }
        Ok(())
    }

    fn head(&mut self, stream: u32, flags: u8) -> Verdict {
        if self.role == Role::Instance && stream > self.highest {
            if stream.is_multiple_of(2) {
                return Err(format!("a client opened stream {stream}"));
            }
            self.highest = stream;
            self.streams.entry(stream).or_default().opened = true;
            let open = self.streams.values().filter(|sent| sent.counts()).count();
            if open > self.most_streams as usize {
                return Err(format!("{open} streams are open; {} are allowed", self.most_streams));
            }
        }
        self.open(stream, "HEADERS")?.ended = flags & flag::END_STREAM != 0;
        Ok(())
    }

    fn reset(&mut self, stream: u32) -> Verdict {
        match self.streams.get_mut(&stream) {
            Some(sent) if sent.opened => (sent.ended, sent.ended_here) = (true, true),
            // A stream of which this side sent anything but HEADERS is in error, and may be reset.
            _ if self.role == Role::Client => {}
            _ => return Err(format!("RST_STREAM {stream}, which is idle")),
        }
        Ok(())
    }

    /// The stream, on which more may be sent.
    fn open(&mut self, stream: u32, what: &str) -> Verdict<&mut Sent> {
        match self.streams.get_mut(&stream) {
            Some(sent) if sent.ended => Err(format!("{what} {stream} after the end of that stream")),
            Some(sent) if sent.opened => Ok(sent),
            _ => Err(format!("{what} {stream}, which is idle")),
        }
    }

    /// A size update must come first in the block after a smaller table (RFC 7541 section 4.2).
    pub(super) fn block_begins(&mut self, block: &[u8]) -> Verdict {
        let updates = block.first().is_some_and(|octet| octet & 0xe0 == 0x20);
        if std::mem::take(&mut self.owes_size) && !updates {
            return Err("no table size update after a smaller SETTINGS_HEADER_TABLE_SIZE".into());
        }
        Ok(())
    }

    /// A decoded field block; whether it opens the stream.
    pub(super) fn fields(&mut self, got: &Got) -> Verdict<bool> {
        let sent = self.streams.entry(got.stream).or_default();
        let trailers = sent.head;
        for (name, value) in &got.fields {
            let token = |octet: &u8| matches!(octet, b'!'..=b'9' | b';'..=b'@' | b'['..=b'~');
            let plain = !name.is_empty() && name.strip_prefix(b":").unwrap_or(name).iter().all(token);
            let edge = |octet: Option<&u8>| octet.is_some_and(|octet| matches!(octet, b' ' | b'\t'));
            let breaks = value.iter().any(|octet| matches!(octet, b'\0' | b'\r' | b'\n'));
            if !plain || CONNECTION.contains(&name.as_slice()) || breaks || edge(value.first()) || edge(value.last()) {
                return Err(format!("the field {:?} may not be sent", String::from_utf8_lossy(name)));
            }
        }
        let pseudo = got.fields.iter().take_while(|field| field.0.starts_with(b":")).count();
        if got.fields[pseudo..].iter().any(|field| field.0.starts_with(b":")) {
            return Err("a pseudo-header field after others".into());
        }
        let names: Vec<&[u8]> = got.fields[..pseudo].iter().map(|field| field.0.as_slice()).collect();
        if trailers {
            let right = names.is_empty() && got.has(flag::END_STREAM);
            return if right {
                Ok(false)
            } else {
                Err("trailers without END_STREAM or with pseudo-header fields".into())
            };
        }
        let (allowed, needed) = if self.role == Role::Client { (&RESPONSE[..], 1) } else { (&REQUEST[..], 3) };
        let once = |name: &&[u8]| names.iter().filter(|other| other == &name).count() == 1;
        if !names.iter().all(|name| allowed.contains(name) && once(name)) || !allowed[..needed].iter().all(once) {
            return Err("wrong pseudo-header fields".into());
        }
        sent.head = got.field(":status").is_none_or(|status| !status.starts_with('1'));
        Ok(true)
    }
}
