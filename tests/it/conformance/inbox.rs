//! What came from the gateway on one connection: frames in order, what it announced, how it ended, and whether all of
//! it was right.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
};

use bytes::{Buf, BytesMut};
use loona_hpack::Decoder;

use super::{
    audit::Audit,
    script::{Number, Role, Term},
    wire::{self, HEAD, PREFACE, flag, kind, setting},
};

/// A field as it was decoded.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// A frame that came; a field block is one with all its CONTINUATION frames.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Without padding; of a field block, as it is encoded.
    pub(super) payload: Vec<u8>,
    pub(super) fields: Vec<Field>,
}

/// Everything that came.
pub(super) struct Inbox {
    /// Frames that no step took.
    pub(super) frames: VecDeque<Got>,
    /// How the connection ended.
    pub(super) end: Option<String>,
    /// What a side wrote that speaks no HTTP/2.
    pub(super) text: Vec<u8>,
    /// Acknowledgements that this side has to send.
    pub(super) owed: Vec<u8>,
    /// What the gateway did wrong first, whatever the case is about.
    pub(super) foul: Option<String>,
    /// Whether the client's preface came.
    pub(super) preface: bool,
    /// Calls that the gateway opened.
    pub(super) calls: usize,
    pub(super) audit: Audit,
    role: Role,
    decoder: Decoder<'static>,
    block: Option<Got>,
    settings: HashMap<u16, u32>,
    connection_window: i64,
    /// By how much each stream's window differs from the initial one.
    windows: HashMap<u32, i64>,
}

impl Got {
    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether it is the last of its stream that carries anything.
    pub(super) fn ends(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.has(flag::END_STREAM)
    }

    /// The first value of a field.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| field.0 == name.as_bytes())?;
        Some(String::from_utf8_lossy(&field.1).into_owned())
    }

    /// The error code of RST_STREAM and GOAWAY.
    pub(super) fn code(&self) -> Option<u32> {
        match self.kind {
            kind::RST_STREAM => Some(wire::word(&self.payload)),
            kind::GOAWAY => Some(wire::word(self.payload.get(4..)?)),
            _ => None,
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", wire::kind_name(self.kind), self.stream)?;
        if let Some(code) = self.code() {
            write!(f, " {}", wire::code_name(code))?;
        }
        if self.flags != 0 {
            write!(f, " flags={:#04x}", self.flags)?;
        }
        match self.kind {
            kind::HEADERS | kind::PUSH_PROMISE => {
                let text = |octets: &[u8]| octets[..octets.len().min(80)].escape_ascii().to_string();
                let fields: Vec<_> =
                    self.fields.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
                write!(f, " ({})", fields.join(", "))
            }
            kind::GOAWAY => write!(
                f,
                " last={} {:?}",
                wire::low_31(&self.payload),
                String::from_utf8_lossy(self.payload.get(8..).unwrap_or_default())
            ),
            kind::DATA => write!(f, " of {} octets", self.payload.len()),
            _ => write!(f, " {}", self.payload.iter().take(24).map(|octet| format!("{octet:02x}")).collect::<String>()),
        }
    }
}

impl Inbox {
    /// Of a connection on which this side plays that role.
    pub(super) fn new(role: Role) -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(wire::setting_default(setting::HEADER_TABLE_SIZE) as usize);
        Self {
            frames: VecDeque::new(),
            end: None,
            text: Vec::new(),
            owed: Vec::new(),
            foul: None,
            preface: role == Role::Client,
            calls: 0,
            audit: Audit::new(role),
            role,
            decoder,
            block: None,
            settings: HashMap::new(),
            connection_window: i64::from(wire::setting_default(setting::INITIAL_WINDOW_SIZE)),
            windows: HashMap::new(),
        }
    }

    /// What a number of the script is now, in a frame on this stream.
    pub(super) fn value(&self, number: &Number, stream: u32) -> i64 {
        let term = |term: &Term| match term {
            Term::Literal(literal) => *literal,
            Term::Setting(setting) => i64::from(self.setting(*setting)),
            Term::StreamWindow => self.window(stream),
            Term::ConnectionWindow => self.connection_window,
        };
        number.0.iter().map(|(sign, of)| sign * term(of)).sum()
    }

    /// What the gateway announced, or the default.
    pub(super) fn setting(&self, setting: u16) -> u32 {
        self.settings.get(&setting).copied().unwrap_or_else(|| wire::setting_default(setting))
    }

    /// How many octets the gateway lets this side send on the stream; on the connection if it is 0.
    pub(super) fn window(&self, stream: u32) -> i64 {
        if stream == 0 {
            return self.connection_window;
        }
        let initial = i64::from(self.setting(setting::INITIAL_WINDOW_SIZE));
        initial + self.windows.get(&stream).copied().unwrap_or(0)
    }

    /// This side sent a frame.
    pub(super) fn sent(&mut self, head: (u8, u8, u32), payload: &[u8]) {
        if head.0 == kind::DATA {
            self.add_window(head.2, -(payload.len() as i64));
            self.connection_window -= if head.2 == 0 { 0 } else { payload.len() as i64 };
        }
        if let Some(size) = self.audit.ours(head, payload) {
            self.decoder.set_max_allowed_table_size(size);
        }
    }

    /// Takes what can be taken of the octets that came.
    pub(super) fn take(&mut self, octets: &mut BytesMut) {
        if !self.preface {
            if octets.len() < PREFACE.len() {
                return;
            }
            if !octets.starts_with(PREFACE) {
                self.found_foul("the preface is wrong".into());
            }
            octets.advance(PREFACE.len());
            self.preface = true;
        }
        if !self.text.is_empty() || octets.starts_with(b"HTTP/1") {
            self.text.extend_from_slice(octets);
            octets.clear();
        }
        while let Some(head) = octets.get(..HEAD) {
            let length = wire::word(&[0, head[0], head[1], head[2]]) as usize;
            let (kind, flags, stream) = (head[3], head[4], wire::low_31(&head[5..]));
            if octets.len() < HEAD + length {
                return;
            }
            octets.advance(HEAD);
            let payload = octets.split_to(length);
            self.frame((kind, flags, stream), &payload);
        }
    }

    fn frame(&mut self, (kind, flags, stream): (u8, u8, u32), payload: &[u8]) {
        if let Err(foul) = self.audit.theirs((kind, flags, stream), payload) {
            self.found_foul(foul);
        }
        let mut got = Got { kind, flags, stream, payload: unpadded(kind, flags, payload), fields: Vec::new() };
        match kind {
            kind::CONTINUATION => {
                let Some(mut open) = self.block.take() else { return };
                open.flags |= flags & flag::END_HEADERS;
                open.payload.append(&mut got.payload);
                return self.block(open);
            }
            kind::HEADERS | kind::PUSH_PROMISE => return self.block(got),
            kind::SETTINGS => self.hear_settings(&got),
            kind::PING if !got.has(flag::ACK) => wire::write(&mut self.owed, 8, (kind::PING, flag::ACK, 0), payload),
            kind::WINDOW_UPDATE => {
                let more = i64::from(wire::low_31(payload));
                self.add_window(stream, more);
                self.connection_window += if stream == 0 { more } else { 0 };
            }
            _ => {}
        }
        self.frames.push_back(got);
    }

    /// A field block, whole or not yet.
    fn block(&mut self, mut got: Got) {
        if !got.has(flag::END_HEADERS) {
            self.block = Some(got);
            return;
        }
        if let Err(foul) = self.audit.block_begins(&got.payload) {
            self.found_foul(foul);
        }
        match self.decoder.decode(&got.payload) {
            Ok(fields) => got.fields = fields,
            Err(error) => self.found_foul(format!("a field block that cannot be decoded: {error}")),
        }
        match self.audit.fields(&got) {
            Ok(opens) => self.calls += usize::from(opens && self.role == Role::Instance),
            Err(foul) => self.found_foul(format!("{foul}: {got}")),
        }
        self.frames.push_back(got);
    }

    fn hear_settings(&mut self, got: &Got) {
        if got.has(flag::ACK) {
            if let Some(size) = self.audit.acknowledged() {
                self.decoder.set_max_allowed_table_size(size);
            }
            return;
        }
        for pair in got.payload.chunks_exact(6) {
            self.settings.insert(u16::from_be_bytes([pair[0], pair[1]]), wire::word(&pair[2..]));
        }
        wire::write(&mut self.owed, 0, (kind::SETTINGS, flag::ACK, 0), &[]);
    }

    fn add_window(&mut self, stream: u32, more: i64) {
        *self.windows.entry(stream).or_default() += more;
    }

    fn found_foul(&mut self, foul: String) {
        self.foul.get_or_insert(foul);
    }

    /// The GOAWAY that ends the connection in error.
    pub(super) fn lost(&self) -> Option<String> {
        let away = |got: &&Got| got.kind == kind::GOAWAY && got.code() != Some(0);
        self.frames.iter().find(away).map(ToString::to_string)
    }

    /// What no step took, for who reads why a case failed.
    pub(super) fn left(&self) -> String {
        const SHOWN: usize = 8;
        let dull = |got: &&Got| !matches!(got.kind, kind::SETTINGS | kind::WINDOW_UPDATE | kind::PING);
        let shown: Vec<_> = self.frames.iter().filter(dull).take(SHOWN).map(ToString::to_string).collect();
        if shown.is_empty() { "nothing".into() } else { shown.join("; ") }
    }
}

/// A payload without Pad Length, padding and priority.
fn unpadded(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut inner = payload;
    if matches!(kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE) && flags & flag::PADDED != 0 {
        let pad = usize::from(payload.first().copied().unwrap_or(0));
        inner = payload.get(1..payload.len().saturating_sub(pad)).unwrap_or_default();
    }
    if kind == kind::HEADERS && flags & flag::PRIORITY != 0 {
        inner = inner.get(5..).unwrap_or_default();
    }
    inner.to_vec()
}
