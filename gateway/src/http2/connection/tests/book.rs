//! What was said and heard of one call, at both ends.

use crate::http2::{Code, Connection, Field, Fields, Reset};

use super::pair::Side;

/// One call.
pub(super) struct Call {
    pub(super) stream: u32,
    pub(super) halves: [Half; 2],
    token: usize,
    list: u8,
    end: bool,
}

/// What one end knows of it.
#[derive(Default)]
pub(super) struct Half {
    /// Bytes that wait in the engine's queue.
    pub(super) waits: usize,
    /// Nothing more is to be heard: it was reset, by this end or by the other.
    pub(super) gone: bool,
    /// The engine was told to say nothing of it any more.
    pub(super) loose: bool,
    known: bool,
    responded: Option<(u8, bool)>,
    sent: usize,
    ending: Option<Ending>,
    heard_head: bool,
    heard_end: bool,
    came: usize,
    unreleased: usize,
}

/// How an end has ended what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    Trailers(u8),
    Broken,
}

impl Call {
    /// The client opened it.
    pub(super) fn new(token: usize, stream: u32, list: u8, end: bool) -> Self {
        let ending = end.then_some(Ending::Whole);
        let client = Half { known: true, ending, ..Half::default() };
        Self { stream, halves: [client, Half::default()], token, list, end }
    }

    pub(super) fn respond(&mut self, connection: &mut Connection, list: u8, end: bool) {
        let half = &mut self.halves[Side::Server as usize];
        if half.may_send() && half.responded.is_none() {
            half.responded = Some((list, end));
            half.ending = end.then_some(Ending::Whole);
            connection.respond(self.stream, response(list).iter(), end);
        }
    }

    pub(super) fn send(&mut self, connection: &mut Connection, side: Side, bytes: usize, end: bool) {
        let half = &mut self.halves[side as usize];
        if half.may_send() && (side == Side::Client || half.responded.is_some()) {
            let piece: Vec<u8> = (half.sent..half.sent + bytes).map(|at| body(self.token, side, at)).collect();
            half.sent += bytes;
            half.ending = end.then_some(Ending::Whole);
            half.waits += bytes - connection.send_data(self.stream, &piece, end);
        }
    }

    pub(super) fn trailers(&mut self, connection: &mut Connection, side: Side, list: u8) {
        let half = &mut self.halves[side as usize];
        if half.may_send() && (side == Side::Client || half.responded.is_some()) {
            half.ending = Some(Ending::Trailers(list));
            connection.send_trailers(self.stream, &fields(list));
        }
    }

    pub(super) fn break_off(&mut self, connection: &mut Connection) {
        let half = &mut self.halves[Side::Server as usize];
        if half.responded.is_some() && !half.gone && !half.loose && (half.ending.is_none() || half.waits > 0) {
            half.ending = Some(Ending::Broken);
            half.waits = 0;
            connection.break_off(self.stream, &broken());
        }
    }

    pub(super) fn reset(&mut self, connection: &mut Connection, side: Side) {
        let over = self.is_over(side);
        let half = &mut self.halves[side as usize];
        if half.known && !half.gone && !over {
            half.gone = true;
            connection.reset(self.stream, Code::CANCEL);
        }
    }

    pub(super) fn unbind(&mut self, connection: &mut Connection, side: Side) {
        let half = &mut self.halves[side as usize];
        if half.known && !half.gone {
            half.loose = true;
            connection.unbind(self.stream);
        }
    }

    pub(super) fn release(&mut self, connection: &mut Connection, side: Side, bytes: usize) {
        let half = &mut self.halves[side as usize];
        let bytes = bytes.min(half.unreleased);
        half.unreleased -= bytes;
        connection.release(self.stream, bytes);
    }

    /// Ends and releases whatever is not yet.
    pub(super) fn finish(&mut self, [client, server]: &mut [Connection; 2]) {
        self.release(client, Side::Client, usize::MAX);
        self.release(server, Side::Server, usize::MAX);
        self.respond(server, 0, true);
        self.send(server, Side::Server, 0, true);
        self.send(client, Side::Client, 0, true);
    }

    pub(super) fn is_finished(&self) {
        let [client, server] = &self.halves;
        let stream = self.stream;
        assert!(client.gone || client.loose || client.heard_end, "the client never heard the end of stream {stream}");
        assert!(client.gone || client.ending.is_some(), "the client never ended stream {stream}");
        if server.known {
            assert!(server.gone || server.loose || server.ending.is_some(), "the server never ended stream {stream}");
        }
    }

    /// Whether an end may hear of it.
    pub(super) fn expects_events(&self, side: Side) -> bool {
        let half = &self.halves[side as usize];
        half.known && !half.gone && !half.loose && !self.is_over(side)
    }

    pub(super) fn hear_request(&mut self, list: &Fields, end: bool) {
        let half = &mut self.halves[Side::Server as usize];
        assert!(!std::mem::replace(&mut half.known, true), "a call is opened once");
        same(list, &request(self.list));
        assert_eq!(end, self.end);
        half.heard_head = true;
        half.heard_end = end;
    }

    pub(super) fn hear_response(&mut self, status: u16, list: &Fields, end: bool) {
        let [client, server] = &mut self.halves;
        let (said, said_end) = server.responded.expect("a response that was said");
        assert!(!std::mem::replace(&mut client.heard_head, true), "a response comes once");
        same(list, &response(said));
        assert_eq!((status, end), (200, said_end));
        client.heard_end = end;
    }

    pub(super) fn hear_data(&mut self, side: Side, bytes: &[u8], end: bool) {
        let (half, other) = self.half_and_other(side);
        assert!(half.heard_head && !half.heard_end, "data in the wrong place");
        assert!(end || !bytes.is_empty(), "nothing is told of nothing");
        let start = half.came;
        half.came += bytes.len();
        half.unreleased += bytes.len();
        half.heard_end = end;
        assert!(half.came <= other.sent, "more came than was sent");
        if end {
            assert_eq!((other.ending, half.came), (Some(Ending::Whole), other.sent), "the end is where it was said");
        }
        let token = self.token;
        let good = bytes.iter().enumerate().all(|(at, byte)| *byte == body(token, side.other(), start + at));
        assert!(good, "the bytes of a body come as they were sent");
    }

    pub(super) fn hear_trailers(&mut self, side: Side, list: &Fields) {
        let (half, other) = self.half_and_other(side);
        assert!(half.heard_head && !std::mem::replace(&mut half.heard_end, true), "trailers in the wrong place");
        match other.ending {
            Some(Ending::Trailers(said)) => {
                same(list, &fields(said));
                assert_eq!(half.came, other.sent, "all of the body comes before its trailers");
            }
            Some(Ending::Broken) => same(list, &broken()),
            other => panic!("trailers that were never said: {other:?}"),
        }
    }

    pub(super) fn hear_reset(&mut self, side: Side, reset: Reset, draining: bool) {
        let served = self.is_over(Side::Server);
        let (half, other) = self.half_and_other(side);
        match reset {
            Reset::ByPeer(Code::CANCEL) => assert!(other.gone, "the other end never reset it"),
            Reset::ByPeer(Code::NO_ERROR) => {
                assert!(side == Side::Client && half.heard_end && (served || other.loose), "the reply is whole");
            }
            Reset::Unprocessed => assert!(side == Side::Client && draining && !other.known, "the server knows it"),
            Reset::ByPeer(_) | Reset::Broken(_) => panic!("{reset:?}"),
        }
        half.gone = true;
    }

    fn half_and_other(&mut self, side: Side) -> (&mut Half, &Half) {
        let [client, server] = &mut self.halves;
        if side == Side::Client { (client, server) } else { (server, client) }
    }

    /// Whether nothing is to be heard any more: a server that has said all is done, a client must have heard all, too.
    fn is_over(&self, side: Side) -> bool {
        let half = &self.halves[side as usize];
        half.ending.is_some() && half.waits == 0 && (side == Side::Server || half.heard_end)
    }
}

impl Half {
    fn may_send(&self) -> bool {
        self.known && !self.gone && self.ending.is_none()
    }
}

/// A list of a request, made of odd but legal bytes.
pub(super) fn request(seed: u8) -> Fields {
    let mut list = Fields::new();
    for (name, value) in [(":method", "POST"), (":scheme", "http"), (":path", "/a/b%00"), (":authority", "a:1,b:2%")] {
        list.push(name.as_bytes(), value.as_bytes());
    }
    add(&mut list, seed);
    list
}

pub(super) fn response(seed: u8) -> Fields {
    let mut list = Fields::new();
    list.push(b":status", b"200");
    add(&mut list, seed);
    list
}

/// Trailers.
fn fields(seed: u8) -> Fields {
    let mut list = Fields::new();
    add(&mut list, seed);
    list
}

fn broken() -> Fields {
    let mut list = Fields::new();
    list.push(b"broken", b"off");
    list
}

fn add(list: &mut Fields, seed: u8) {
    const NAMES: [&[u8]; 6] = [b"grpc-status", b"x", b"cookie", b"!#$%&'*+-.^_`|~", b"x", b"user-agent"];
    let seed = usize::from(seed);
    for (at, name) in NAMES.into_iter().cycle().skip(seed % 7).take(seed % 9).enumerate() {
        let length = if (seed + at) % 32 == 7 { 2500 } else { seed * at % 23 };
        // No value has NUL, CR or LF, or a blank at its edges.
        let value: Vec<u8> = (0..length).map(|byte| ((seed * 7 + at + byte) % 200 + 0x21) as u8).collect();
        list.push_field(Field { name, value: &value, never_indexed: (seed + at) % 5 == 0 });
    }
}

fn same(heard: &Fields, said: &Fields) {
    assert!(heard.iter().eq(said.iter()), "a list comes as it was sent: {heard:?}, not {said:?}");
}

/// The byte of a body at a place.
fn body(token: usize, side: Side, at: usize) -> u8 {
    (token * 7 + side as usize * 3 + at + at / 251) as u8
}
