//! A connection driven by hand: the peer of these tests writes its frames itself, valid or not, and reads ours.

use crate::http2::{
    Event, Fields, Reset,
    fields::Field,
    frame::{Head, flag},
};

use super::*;

mod book;
mod client;
mod differential;
mod drain;
mod endings;
mod floods;
mod flow;
mod ledger;
mod malformed;
mod pair;
mod properties;
mod release;
mod requests;
mod settings;

pub(super) const LIMITS: Limits = Limits {
    max_streams: 4,
    max_header_list: 4096,
    stream_window: 100_000,
    connection_window: 150_000,
    rates: Rates { resets: 10, frames: 20 },
};

const POST: &str = ":method: POST, :scheme: http, :path: /a/b, :authority: x";
const OK: &str = ":status: 200";

/// A connection and its peer.
struct Rig {
    connection: Connection,
    encoder: Encoder,
    decoder: Decoder,
    fields: Fields,
}

/// What the connection told its user; header lists as text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Request { stream: u32, head: String, end: bool },
    TooLarge(u32),
    Response { token: Token, status: u16, head: String, end: bool },
    Data { token: Token, bytes: Vec<u8>, end: bool },
    Trailers { token: Token, trailers: String },
    Reset(Token, Reset),
    Refused,
    Ready,
    GoingAway,
}

/// What the connection told its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Head { stream: u32, head: String, end: bool },
    Data { stream: u32, bytes: Vec<u8>, end: bool },
    Reset(u32, Code),
    Settings(Vec<(u16, u32)>),
    Acknowledged,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    GoAway(u32, Code, String),
    Window(u32, u32),
}

impl Rig {
    fn server() -> Self {
        Self::server_with(LIMITS)
    }

    /// A server whose client has greeted it and knows its settings.
    fn server_with(limits: Limits) -> Self {
        let mut rig = Self::new(Connection::server(limits));
        let greeting = [PREFACE, &settings(&[]), &frame(kind::SETTINGS, flag::ACK, 0, &[])].concat();
        assert_eq!(rig.hears(&greeting), [Heard::Ready]);
        rig.said();
        rig
    }

    fn client() -> Self {
        Self::client_of(&[])
    }

    /// A client whose server has greeted it with these settings.
    fn client_of(theirs: &[(u16, u32)]) -> Self {
        let mut rig = Self::new(Connection::client(LIMITS));
        let greeting = [settings(theirs), frame(kind::SETTINGS, flag::ACK, 0, &[])].concat();
        assert_eq!(rig.hears(&greeting), [Heard::Ready]);
        rig.connection.output_taken(PREFACE.len());
        rig.said();
        rig
    }

    fn new(connection: Connection) -> Self {
        Self { connection, encoder: Encoder::new(), decoder: Decoder::new(4096), fields: Fields::new() }
    }

    /// Gives bytes to the connection; what it makes of them.
    #[track_caller]
    fn hears(&mut self, bytes: &[u8]) -> Vec<Heard> {
        self.try_hears(bytes).expect("no fault")
    }

    /// The same, where the peer's fault ends the connection.
    #[track_caller]
    fn fault(&mut self, bytes: &[u8]) -> Code {
        self.try_hears(bytes).expect_err("a fault").code
    }

    fn try_hears(&mut self, mut bytes: &[u8]) -> Result<Vec<Heard>, Fault> {
        let mut heard = Vec::new();
        while let Some(event) = self.connection.receive(&mut bytes, &mut self.fields)? {
            let list = || text(&self.fields);
            heard.push(match event {
                Event::Request { stream, end, .. } => Heard::Request { stream, head: list(), end },
                Event::RequestTooLarge { stream } => Heard::TooLarge(stream),
                Event::Response { token, status, end } => Heard::Response { token, status, head: list(), end },
                Event::Data { token, bytes, end } => Heard::Data { token, bytes: bytes.to_vec(), end },
                Event::Trailers { token } => Heard::Trailers { token, trailers: list() },
                Event::Reset { token, reset } => Heard::Reset(token, reset),
                Event::Refused { .. } => Heard::Refused,
                Event::Ready => Heard::Ready,
                Event::GoingAway => Heard::GoingAway,
            });
        }
        assert!(bytes.is_empty(), "whole frames are used up");
        Ok(heard)
    }

    /// Takes what waits for the socket.
    #[track_caller]
    fn said(&mut self) -> Vec<Said> {
        let output = self.connection.output().to_vec();
        self.connection.output_taken(output.len());
        let mut said = Vec::new();
        let mut block = Vec::new();
        let mut end = false;
        for (head, payload) in split(&output) {
            let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("4 bytes"));
            said.push(match head.kind {
                kind::HEADERS | kind::CONTINUATION => {
                    end |= head.has(flag::END_STREAM);
                    block.extend_from_slice(payload);
                    if !head.has(flag::END_HEADERS) {
                        continue;
                    }
                    let mut fields = Fields::new();
                    let block = std::mem::take(&mut block);
                    self.decoder.decode(&block, &mut fields, 1 << 20).expect("our own compression");
                    Said::Head { stream: head.stream, head: text(&fields), end: std::mem::take(&mut end) }
                }
                kind::DATA => {
                    Said::Data { stream: head.stream, bytes: payload.to_vec(), end: head.has(flag::END_STREAM) }
                }
                kind::RST_STREAM => Said::Reset(head.stream, Code(number(0))),
                kind::SETTINGS if head.has(flag::ACK) => Said::Acknowledged,
                kind::SETTINGS => Said::Settings(
                    payload.chunks(6).map(|s| (u16::from_be_bytes([s[0], s[1]]), u32_of(&s[2..]))).collect(),
                ),
                kind::PING if head.has(flag::ACK) => Said::Pong(payload.to_vec()),
                kind::PING => Said::Ping(payload.to_vec()),
                kind::GOAWAY => Said::GoAway(number(0), Code(number(4)), String::from_utf8_lossy(&payload[8..]).into()),
                kind::WINDOW_UPDATE => Said::Window(head.stream, number(0)),
                other => panic!("a frame of kind {other}"),
            });
        }
        said
    }

    /// A HEADERS frame with this list.
    fn head(&mut self, stream: u32, list: &str, end: bool) -> Vec<u8> {
        let block = self.block(list);
        let flags = flag::END_HEADERS | if end { flag::END_STREAM } else { 0 };
        frame(kind::HEADERS, flags, stream, &block)
    }

    fn block(&mut self, list: &str) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        fields(list).iter().for_each(|field| self.encoder.field(field, &mut block));
        block
    }

    /// A client opens a stream; the server's user calls it by ten times its number.
    #[track_caller]
    fn request(&mut self, stream: u32, end: bool) {
        let head = self.head(stream, POST, end);
        assert_eq!(self.hears(&head), [Heard::Request { stream, head: POST.into(), end }]);
        self.connection.bind(stream, token(stream));
    }

    /// The client's user opens a stream, which it calls by ten times its number.
    #[track_caller]
    fn open(&mut self, end: bool) -> u32 {
        let next = if self.connection.last == 0 { 1 } else { self.connection.last + 2 };
        let stream = self.connection.open(token(next), fields(POST).iter(), end).expect("room");
        assert_eq!(stream, next);
        assert_eq!(self.said(), [Said::Head { stream, head: POST.into(), end }]);
        stream
    }

    fn respond(&mut self, stream: u32, list: &str, end: bool) {
        self.connection.respond(stream, fields(list).iter(), end);
    }

    fn trailers(&mut self, stream: u32, list: &str) {
        self.connection.send_trailers(stream, &fields(list));
    }

    /// All of the connection's receive window is open or about to be: nothing holds it.
    #[track_caller]
    fn holds_nothing(&self) {
        assert_eq!(self.connection.credit.held(), 0, "bytes of the connection's window are lost");
    }
}

fn token(stream: u32) -> Token {
    stream as usize * 10
}

fn u32_of(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("4 bytes"))
}

/// `name: value, name: value`
fn fields(list: &str) -> Fields {
    let mut fields = Fields::new();
    for field in list.split(", ").filter(|field| !field.is_empty()) {
        let (name, value) = field.rsplit_once(": ").expect("a name and a value");
        fields.push(name.as_bytes(), value.as_bytes());
    }
    fields
}

fn text(fields: &Fields) -> String {
    let field = |field: Field<'_>| [field.name, field.value].map(|part| String::from_utf8_lossy(part).into_owned());
    fields.iter().map(|one| field(one).join(": ")).collect::<Vec<_>>().join(", ")
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = Head { length: payload.len(), kind, flags, stream };
    [&head.bytes()[..], payload].concat()
}

fn data(stream: u32, bytes: &[u8], end: bool) -> Vec<u8> {
    frame(kind::DATA, if end { flag::END_STREAM } else { 0 }, stream, bytes)
}

fn reset(stream: u32, code: Code) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        list.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(kind::SETTINGS, 0, 0, &payload)
}

fn ping(payload: &[u8], ack: bool) -> Vec<u8> {
    frame(kind::PING, if ack { flag::ACK } else { 0 }, 0, payload)
}

fn go_away(last: u32, code: Code) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), code.0.to_be_bytes()].concat())
}

fn split(mut bytes: &[u8]) -> Vec<(Head, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = Head::parse(bytes) {
        let (payload, rest) = rest.split_at(head.length);
        frames.push((head, payload));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "only whole frames are sent");
    frames
}
