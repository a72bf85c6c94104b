//! Unary calls through the gateway: what it does with each event when all is decided, between a client and an instance.

use symgate::http2::{Connection, Event, Fields, Limits, Rates, Token};

use crate::{
    ENDLESS, LIMITS, REQUEST, RESPONSE, TRAILERS, fields,
    wire::{greet, hear, take, throw_away},
};

/// What every call and every reply carries.
const MESSAGE: [u8; 60] = [7; 60];
/// Calls until all tables are warm, at least.
pub(crate) const WARM: usize = 1_000;

/// A client, the gateway and an instance, and what the first and the last said in one batch of calls.
pub(crate) struct Relay {
    client: Connection,
    pub(crate) gateway: Gateway,
    instance: Connection,
    request: Fields,
    response: Fields,
    trailers: Fields,
    fields: Fields,
    streams: usize,
    pub(crate) tape: Tape,
}

/// The bytes of one batch, with the stream numbers of the last batch that they stood for.
#[derive(Default, PartialEq)]
pub(crate) struct Tape {
    from_client: Vec<u8>,
    from_instance: Vec<u8>,
    /// What a batch adds to them.
    step: u32,
}

/// Both connections of the gateway, and the calls between them.
pub(crate) struct Gateway {
    client: Connection,
    instance: Connection,
    fields: Fields,
    spare: Vec<Fields>,
    calls: Vec<Call>,
    free: Vec<Token>,
    pub(crate) done: usize,
}

/// A call's streams, and its head until the reply has begun.
#[derive(Default)]
struct Call {
    from: u32,
    to: u32,
    head: Fields,
}

impl Relay {
    /// All tables warm, and the tape of the next batch.
    pub(crate) fn new(streams: usize) -> Self {
        let upstream = Limits { rates: Rates { resets: u32::MAX, ..LIMITS.rates }, ..LIMITS };
        let mut relay = Self {
            client: Connection::client(ENDLESS),
            gateway: Gateway::new(Connection::server(LIMITS), Connection::client(upstream)),
            instance: Connection::server(ENDLESS),
            request: fields(REQUEST),
            response: fields(RESPONSE),
            trailers: fields(TRAILERS),
            fields: Fields::new(),
            streams,
            tape: Tape::default(),
        };
        greet(&mut relay.client, &mut relay.gateway.client);
        greet(&mut relay.gateway.instance, &mut relay.instance);
        let mut before = Tape::default();
        while relay.gateway.done < WARM {
            before = std::mem::take(&mut relay.tape);
            relay.tape = relay.call();
        }
        before.renumber();
        assert!(before == relay.tape, "a batch says what the one before it said, but for the numbers");
        relay
    }

    /// One batch of calls, from the client to the instance and back; what both said.
    pub(crate) fn call(&mut self) -> Tape {
        for _ in 0..self.streams {
            let stream = self.client.open(0, self.request.iter(), false).expect("room");
            self.client.send_data(stream, &MESSAGE, true);
        }
        let from_client = take(&mut self.client);
        self.gateway.client_said(&from_client);
        let asked = take(&mut self.gateway.instance);
        let Self { instance, fields, response, trailers, .. } = self;
        hear(instance, &asked, fields, |instance, _, event| match event {
            Event::Request { stream, .. } => instance.bind(stream, stream as Token),
            Event::Data { token, bytes, end: true } => {
                assert_eq!(bytes, MESSAGE, "it came as it was sent");
                let stream = token as u32;
                instance.respond(stream, response.iter(), false);
                instance.send_data(stream, bytes, false);
                instance.send_trailers(stream, trailers);
            }
            other => panic!("{other:?}"),
        });
        let from_instance = take(instance);
        self.gateway.instance_said(&from_instance);
        let answered = take(&mut self.gateway.client);
        let mut left = self.streams;
        hear(&mut self.client, &answered, &mut self.fields, |_, fields, event| match event {
            Event::Response { status: 200, .. } => {}
            Event::Data { bytes, .. } => assert_eq!(bytes, MESSAGE, "it came as it was sent"),
            Event::Trailers { .. } if fields.len() == TRAILERS.len() => left -= 1,
            other => panic!("{other:?}"),
        });
        assert_eq!(left, 0, "every call has its reply");
        Tape { from_client, from_instance, step: 2 * self.streams as u32 }
    }

    /// The next batch as the gateway sees it.
    pub(crate) fn play(&mut self) {
        let Self { gateway, tape, streams, .. } = self;
        let done = gateway.done;
        tape.renumber();
        gateway.client_said(&tape.from_client);
        throw_away(&mut gateway.instance);
        gateway.instance_said(&tape.from_instance);
        throw_away(&mut gateway.client);
        assert_eq!(gateway.done - done, *streams, "every call has ended");
    }
}

impl Tape {
    /// Makes it the tape of the next batch.
    #[inline(never)]
    pub(crate) fn renumber(&mut self) {
        for mut bytes in [&mut *self.from_client, &mut *self.from_instance] {
            while let Some((&mut [a, b, c, _, _, ref mut stream @ ..], rest)) = bytes.split_first_chunk_mut::<9>() {
                *stream = (u32::from_be_bytes(*stream) + self.step).to_be_bytes();
                bytes = &mut rest[u32::from_be_bytes([0, a, b, c]) as usize..];
            }
        }
    }
}

impl Gateway {
    fn new(client: Connection, instance: Connection) -> Self {
        let (spare, calls, free) = Default::default();
        Self { client, instance, fields: Fields::new(), spare, calls, free, done: 0 }
    }

    fn client_said(&mut self, mut bytes: &[u8]) {
        while let Some(event) = self.client.receive(&mut bytes, &mut self.fields).expect("no fault") {
            match event {
                Event::Request { stream, end, .. } => self.begin(stream, end),
                Event::Data { token, bytes, end } => {
                    let Call { from, to, .. } = self.calls[token];
                    let now = self.instance.send_data(to, bytes, end);
                    self.client.release(from, now);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn begin(&mut self, from: u32, end: bool) {
        let spare = self.spare.pop().unwrap_or_default();
        let head = std::mem::replace(&mut self.fields, spare);
        let token = self.free.pop().unwrap_or_else(|| {
            self.calls.push(Call::default());
            self.calls.len() - 1
        });
        self.client.bind(from, token);
        let to = self.instance.open(token, head.iter(), end).expect("room");
        // What came before the call had its place: nothing here.
        self.instance.send_data(to, &[], false);
        self.calls[token] = Call { from, to, head };
    }

    fn instance_said(&mut self, mut bytes: &[u8]) {
        while let Some(event) = self.instance.receive(&mut bytes, &mut self.fields).expect("no fault") {
            match event {
                Event::Response { token, end, .. } => {
                    let call = &mut self.calls[token];
                    let mut head = std::mem::take(&mut call.head);
                    head.clear();
                    self.spare.push(head);
                    self.client.respond(call.from, self.fields.iter(), end);
                }
                Event::Data { token, bytes, .. } => {
                    let Call { from, to, .. } = self.calls[token];
                    let now = self.client.send_data(from, bytes, false);
                    self.instance.release(to, now);
                }
                Event::Trailers { token } => {
                    let Call { from, .. } = self.calls[token];
                    self.client.send_trailers(from, &self.fields);
                    self.client.unbind(from);
                    self.free.push(token);
                    self.done += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
