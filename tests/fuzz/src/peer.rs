//! A connection whose peer is the input: frames, and between them what the connection's user does.

use crate::{
    http2::{Code, Connection, Event, Fault, Fields, Limits, Rates, Token, hpack::Decoder},
    wire::{CONTINUATION, END_HEADERS, Frame, HEADERS, PREFACE, PRIORITY, PUSH_PROMISE, SETTINGS},
};

/// Never more than a frame waits to become whole.
const HALF: usize = 9 + 16_384;
/// What may wait for the socket because of data.
const OUT: usize = 64 * 1024 + HALF;
/// What a frame may be answered with: two windows, a reset, a settings frame, a GOAWAY with a reason.
const ANSWER: usize = 200;

/// The connection and what is known of it.
struct Rig {
    connection: Connection,
    is_client: bool,
    streams: Vec<(u32, Token)>,
    /// Bytes that were given to it to send.
    sent: usize,
    heads: usize,
    reader: Reader,
    ended: bool,
}

/// Reads what the connection says, as a peer would.
struct Reader {
    decoder: Decoder,
    bytes: Vec<u8>,
    block: Vec<u8>,
    said: usize,
}

/// A server, and a client that is the input.
pub fn server(input: &[u8]) {
    let Some((&[mode, window], rest)) = input.split_first_chunk::<2>() else { return };
    let mut rig = Rig::new(Connection::server(limits(window)), false);
    let mut wire = PREFACE.to_vec();
    if mode & 1 == 0 {
        rig.feed_raw(wire, rest, usize::from(mode));
    } else {
        Frame { kind: SETTINGS, flags: 0, stream: 0, payload: b"" }.write(&mut wire);
        rig.feed(wire, rest);
    }
}

/// A client with four requests on their way, and a server that is the input.
pub fn client(input: &[u8]) {
    let Some((&[mode, window], rest)) = input.split_first_chunk::<2>() else { return };
    let mut rig = Rig::new(Connection::client(limits(window)), true);
    let mut wire = Vec::new();
    Frame { kind: SETTINGS, flags: 0, stream: 0, payload: b"" }.write(&mut wire);
    rig.receive(&mut &wire[..]);
    (0..4).for_each(|_| rig.open());
    if mode & 1 == 0 {
        rig.feed_raw(Vec::new(), rest, usize::from(mode));
    } else {
        rig.feed(Vec::new(), rest);
    }
}

fn limits(window: u8) -> Limits {
    Limits {
        max_streams: 5,
        max_header_list: 2048,
        stream_window: u32::from(window) << (window % 12),
        connection_window: 100_000,
        rates: Rates { resets: 5, frames: 10 },
    }
}

impl Rig {
    fn new(connection: Connection, is_client: bool) -> Self {
        let said = if is_client { PREFACE.len() } else { 0 };
        let reader = Reader { decoder: Decoder::new(4096), bytes: Vec::new(), block: Vec::new(), said };
        Self { connection, is_client, streams: Vec::new(), sent: 0, heads: 0, reader, ended: false }
    }

    /// The input is bytes of the wire, in portions.
    fn feed_raw(&mut self, mut wire: Vec<u8>, input: &[u8], portion: usize) {
        for (at, bytes) in input.chunks(portion + 1).enumerate() {
            wire.extend_from_slice(bytes);
            self.receive_all(&mut wire);
            self.act(at as u8, bytes.first().copied().unwrap_or_default());
        }
        self.finish();
    }

    /// The input is frames in short: kind, flags, stream, length, what the user does before it, and a payload.
    fn feed(&mut self, mut wire: Vec<u8>, input: &[u8]) {
        let mut rest = input;
        while let Some((&[kind, flags, stream, length, act, how], after)) = rest.split_first_chunk::<6>()
            && !self.ended
        {
            self.act(act, how);
            let large = if length >= 0xf0 { usize::from(length & 0xf) * 1500 } else { 0 };
            let (payload, after) = after.split_at(usize::from(length).min(after.len()));
            rest = after;
            let payload = [payload, &vec![how; large]].concat();
            let stream = u32::from(stream & 0x3f);
            Frame { kind: kind % 11, flags, stream, payload: &payload }.write(&mut wire);
            self.receive_all(&mut wire);
        }
        self.finish();
    }

    fn receive_all(&mut self, wire: &mut Vec<u8>) {
        let mut rest = &wire[..];
        self.receive(&mut rest);
        let used = wire.len() - rest.len();
        assert!(self.ended || wire.len() - used < HALF, "a whole frame was left");
        wire.drain(..used);
    }

    fn receive(&mut self, bytes: &mut &[u8]) {
        let mut fields = Fields::new();
        let bound = self.connection.output().len().max(OUT + self.heads * 100) + ANSWER * (1 + bytes.len() / 9);
        while !self.ended {
            let before = bytes.len();
            match self.connection.receive(bytes, &mut fields) {
                Ok(Some(event)) => self.hear(event),
                Ok(None) => break,
                Err(fault) => self.fail(&fault),
            }
            assert!(bytes.len() <= before, "what is used up never comes back");
        }
        let output = self.connection.output().len();
        assert!(output <= bound, "{output} bytes are said, not {bound}");
    }

    fn fail(&mut self, fault: &Fault) {
        assert!(!fault.why.is_empty());
        self.connection.fail(fault);
        self.ended = true;
    }

    fn hear(&mut self, event: Event<'_>) {
        match event {
            Event::Request { stream, .. } | Event::RequestTooLarge { stream } => {
                assert!(!self.is_client && stream % 2 == 1);
                let token = stream as usize;
                self.connection.bind(stream, token);
                self.streams.push((stream, token));
            }
            Event::Response { token, .. } | Event::Trailers { token } => self.is_known(token),
            Event::Data { token, bytes, end } => {
                self.is_known(token);
                assert!(end || !bytes.is_empty());
            }
            Event::Reset { token, .. } => {
                self.is_known(token);
                self.streams.retain(|(_, known)| *known != token);
            }
            Event::Refused { .. } | Event::Ready | Event::GoingAway => {}
        }
    }

    fn is_known(&self, token: Token) {
        assert!(self.streams.iter().any(|(_, known)| *known == token), "{token} has no stream");
    }

    fn open(&mut self) {
        let token = 1000 + self.heads;
        if let Some(stream) = self.connection.open(token, list(&[b":method", b":path"]).iter(), false) {
            self.streams.push((stream, token));
        }
        self.heads += 1;
    }

    /// What a user may do, with the streams it knows.
    fn act(&mut self, act: u8, how: u8) {
        if self.ended {
            return;
        }
        while let Some((_, bytes)) = self.connection.next_released() {
            self.sent = self.sent.checked_sub(bytes).expect("no more leaves than waited");
        }
        assert!(self.connection.queued() <= self.sent, "more waits than was given");
        let at = usize::from(how) % self.streams.len().max(1);
        let stream = self.streams.get(at).map_or(1, |(stream, _)| *stream);
        let end = how & 0x80 != 0;
        match act % 16 {
            0 if self.is_client => self.open(),
            0 => self.connection.respond(stream, list(&[b":status"]).iter(), end),
            1 | 2 => {
                let bytes = vec![how; usize::from(how & 0x3f) << (act >> 5)];
                self.sent += bytes.len() - self.connection.send_data(stream, &bytes, end);
            }
            3 => self.connection.send_trailers(stream, &list(&[b"grpc-status"])),
            4 => self.connection.break_off(stream, &list(&[b"grpc-status"])),
            5 => {
                self.connection.reset(stream, Code::CANCEL);
                self.streams.retain(|(known, _)| *known != stream);
            }
            6 => {
                self.connection.unbind(stream);
                self.streams.retain(|(known, _)| *known != stream);
            }
            7 | 8 => self.connection.release(stream, usize::from(how) << (act >> 4)),
            9 => self.connection.second_passed(),
            10 if how < 8 => self.connection.drain(),
            11 | 12 => self.say(usize::from(how) << (act >> 4)),
            _ => {}
        }
        self.heads += 1;
    }

    /// The socket takes bytes.
    fn say(&mut self, most: usize) {
        let output = self.connection.output();
        let taken = output.len().min(most);
        self.reader.read(&output[..taken]);
        self.connection.output_taken(taken);
    }

    fn finish(&mut self) {
        self.say(usize::MAX);
        while !self.connection.output().is_empty() {
            self.say(usize::MAX);
        }
        assert!(self.reader.bytes.is_empty(), "only whole frames are said");
        let left = self.connection.forsake_streams();
        left.into_iter().for_each(|stream| self.is_known(stream.token));
    }
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.said > 0 && self.bytes.len() >= self.said {
            self.bytes.drain(..std::mem::take(&mut self.said));
        }
        if self.said > 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        while let Some(Frame { kind, flags, payload, .. }) = Frame::read(&mut rest) {
            assert!(payload.len() <= 16_384);
            assert!(self.block.is_empty() || kind == CONTINUATION, "a header block is interrupted");
            match kind {
                HEADERS | CONTINUATION => {
                    self.block.extend_from_slice(payload);
                    if flags & END_HEADERS != 0 {
                        let block = std::mem::take(&mut self.block);
                        self.decoder.decode(&block, &mut Fields::new(), 1 << 20).expect("our own compression");
                    }
                }
                PUSH_PROMISE | PRIORITY => panic!("we never send these"),
                _ => {}
            }
        }
        self.bytes = rest.to_vec();
    }
}

fn list(names: &[&[u8]]) -> Fields {
    let mut list = Fields::new();
    names.iter().for_each(|name| list.push(name, b"200"));
    list
}
