//! Our make, with as small a driver as will do.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::http2::{Code, Connection, Event, Fields, Reset, Token};

use super::{Came, List, Message, Plan, Shared};

/// Bytes of a body that may wait in the engine before no more are given to it.
const WAITING: usize = 20_000;

/// One direction of a call, on its way out.
struct Sending {
    stream: u32,
    pieces: std::vec::IntoIter<Vec<u8>>,
    waits: usize,
    ended: bool,
}

/// A connection, its socket, and the calls on it.
struct End {
    connection: Connection,
    plans: Vec<Plan>,
    shared: Shared,
    sending: Vec<Option<Sending>>,
    is_client: bool,
    opened: usize,
}

/// Makes the calls as they are planned.
pub(super) async fn client(connection: Connection, io: DuplexStream, plans: Vec<Plan>, shared: Shared) {
    End::new(connection, plans, shared, true).drive(io).await;
}

/// Serves the calls as they are planned.
pub(super) async fn server(connection: Connection, io: DuplexStream, plans: Vec<Plan>, shared: Shared) {
    End::new(connection, plans, shared, false).drive(io).await;
}

impl End {
    fn new(connection: Connection, plans: Vec<Plan>, shared: Shared, is_client: bool) -> Self {
        let sending = plans.iter().map(|_| None).collect();
        Self { connection, plans, shared, sending, is_client, opened: 0 }
    }

    async fn drive(mut self, io: DuplexStream) {
        let (mut reads, mut writes) = tokio::io::split(io);
        let mut input = Vec::new();
        let mut buffer = vec![0; 4000];
        loop {
            self.send();
            let output = self.connection.output();
            tokio::select! {
                came = reads.read(&mut buffer) => match came {
                    Ok(came @ 1..) => {
                        input.extend_from_slice(&buffer[..came]);
                        self.receive(&mut input);
                    }
                    _ => return,
                },
                taken = writes.write(output), if !output.is_empty() => match taken {
                    Ok(taken) => self.connection.output_taken(taken),
                    Err(_) => return,
                },
            }
        }
    }

    fn receive(&mut self, input: &mut Vec<u8>) {
        let bytes = std::mem::take(input);
        let mut rest = &bytes[..];
        let mut fields = Fields::new();
        while let Some(event) = self.connection.receive(&mut rest, &mut fields).expect("no fault of the other make") {
            self.released();
            self.hear(event, &fields);
        }
        *input = rest.to_vec();
    }

    fn released(&mut self) {
        while let Some((token, bytes)) = self.connection.next_released() {
            if let Some(sending) = &mut self.sending[token] {
                sending.waits -= bytes;
            }
        }
    }

    /// Opens what can be opened and gives what is wanted to the engine.
    fn send(&mut self) {
        while self.is_client && self.opened < self.plans.len() && self.connection.room() > 0 {
            self.open();
        }
        self.released();
        for call in 0..self.plans.len() {
            let Some(sending) = &mut self.sending[call] else { continue };
            while !sending.ended && sending.waits < WAITING {
                match sending.pieces.next() {
                    Some(piece) => {
                        sending.waits += piece.len() - self.connection.send_data(sending.stream, &piece, false);
                    }
                    None if self.is_client || self.may_end(call) => {
                        self.end(call);
                        break;
                    }
                    None => break,
                }
            }
        }
    }

    fn open(&mut self) {
        let call = self.opened;
        self.opened += 1;
        let mut head = Fields::new();
        let path = format!("/{call}");
        for (name, value) in [(":method", "POST"), (":scheme", "http"), (":authority", "host"), (":path", &path)] {
            head.push(name.as_bytes(), value.as_bytes());
        }
        add(&mut head, &self.plans[call].request.fields);
        let stream = self.connection.open(call, head.iter(), false).expect("room");
        self.start(call, stream);
    }

    fn start(&mut self, call: usize, stream: u32) {
        let pieces = self.message(call).pieces(call).into_iter();
        self.sending[call] = Some(Sending { stream, pieces, waits: 0, ended: false });
    }

    /// What this end sends.
    fn message(&self, call: usize) -> &Message {
        if self.is_client { &self.plans[call].request } else { &self.plans[call].response }
    }

    /// Whether the response may end.
    fn may_end(&self, call: usize) -> bool {
        self.plans[call].early || self.shared.borrow().requests.get(&call).is_some_and(|came| came.whole)
    }

    fn end(&mut self, call: usize) {
        let trailers = self.message(call).trailers.clone();
        let abort = !self.is_client && self.plans[call].abort;
        let Some(sending) = &mut self.sending[call] else { return };
        sending.ended = true;
        match trailers {
            _ if abort => self.connection.reset(sending.stream, Code::INTERNAL_ERROR),
            Some(trailers) => {
                let mut list = Fields::new();
                add(&mut list, &trailers);
                self.connection.send_trailers(sending.stream, &list);
            }
            None => drop(self.connection.send_data(sending.stream, b"", true)),
        }
    }

    fn hear(&mut self, event: Event<'_>, fields: &Fields) {
        match event {
            Event::Ready | Event::GoingAway => {}
            Event::Request { stream, request, end } => {
                let path = fields.get(request.path.expect("a path")).expect("a path").value;
                let call: usize = std::str::from_utf8(&path[1..]).expect("text").parse().expect("a number");
                self.connection.bind(stream, call);
                self.came(call, |came| *came = Came { fields: list(fields), whole: end, ..Came::default() });
                let mut head = Fields::new();
                head.push(b":status", b"200");
                add(&mut head, &self.plans[call].response.fields);
                self.connection.respond(stream, head.iter(), false);
                self.start(call, stream);
            }
            Event::Response { token, end, .. } => {
                self.came(token, |came| *came = Came { fields: list(fields), whole: end, ..Came::default() });
                self.progress(token);
            }
            Event::Data { token, bytes, end } => {
                self.came(token, |came| {
                    came.body.extend_from_slice(bytes);
                    came.whole = end;
                });
                let stream = self.sending[token].as_ref().expect("it is open").stream;
                self.connection.release(stream, bytes.len());
                self.progress(token);
            }
            Event::Trailers { token } => {
                self.came(token, |came| {
                    came.trailers = Some(list(fields));
                    came.whole = true;
                });
                self.progress(token);
            }
            Event::Reset { token, reset } => {
                let Reset::ByPeer(code) = reset else { panic!("{reset:?}") };
                let whole = self.came(token, |came| {
                    came.reset = Some(code.0).filter(|_| !came.whole);
                    came.whole
                });
                self.sending[token] = None;
                if self.is_client && !whole {
                    self.shared.borrow_mut().done += 1;
                }
            }
            Event::RequestTooLarge { .. } | Event::Refused { .. } => panic!("{event:?}"),
        }
    }

    /// The client has seen the end of the response, or has seen enough of it.
    fn progress(&mut self, call: usize) {
        if !self.is_client {
            return;
        }
        let cancel = self.plans[call].cancel;
        let stream = self.sending[call].as_ref().expect("it is open").stream;
        let (whole, enough) = self.came(call, |came| (came.whole, cancel.is_some_and(|at| came.body.len() >= at)));
        if enough && !whole {
            self.came(call, |came| came.reset = Some(Code::CANCEL.0));
        }
        if whole || enough {
            // Once the response has ended the request is of no use.
            self.connection.reset(stream, Code::CANCEL);
            self.sending[call] = None;
            self.shared.borrow_mut().done += 1;
        }
    }

    fn came<T>(&self, call: Token, tell: impl FnOnce(&mut Came) -> T) -> T {
        let mut journal = self.shared.borrow_mut();
        let side = if self.is_client { &mut journal.responses } else { &mut journal.requests };
        tell(side.entry(call).or_default())
    }
}

fn add(list: &mut Fields, fields: &[(String, Vec<u8>)]) {
    fields.iter().for_each(|(name, value)| list.push(name.as_bytes(), value));
}

fn list(fields: &Fields) -> List {
    let mut list = List::new();
    for field in fields.iter().filter(|field| !field.name.starts_with(b":")) {
        let name = String::from_utf8_lossy(field.name).into_owned();
        list.entry(name).or_default().push(field.value.to_vec());
    }
    list
}
