//! One connection: its state, and the commands that concern all of it. What comes is read in `receive`, what goes is
//! written in `send`.

mod control;
mod headers;
mod receive;
mod send;

#[cfg(test)]
mod tests;

use super::{
    code::{Code, Fault},
    event::{Forsaken, Reset},
    floods::{Floods, Rates},
    frame::{PREFACE, kind},
    hpack::{Decoder, Encoder},
    out::Out,
    settings::{DEFAULT_WINDOW, Ours, Peer},
    stream::{Stream, Token},
    streams::Streams,
    window::{Credit, SendWindow},
};

/// Bytes of HPACK table that we keep for the peer: the default of RFC 9113.
const HEADER_TABLE: usize = 4096;
/// The PING that tells when the first GOAWAY has reached the peer.
const DRAIN_PING: [u8; 8] = *b"draining";
/// Seconds until the last GOAWAY for a peer that does not answer that PING.
const DRAIN_UNHEARD: u8 = 5;
/// Seconds for one that does. Clients that stand on the h2 crate open streams while they have others, until the last
/// GOAWAY, and fail those that cross it on the way; most have none at some moment before, and close the connection then.
const DRAIN_HEARD: u8 = 2;
/// The PING that asks whether the peer still lives. Whatever comes is answer enough.
const LIFE_PING: [u8; 8] = *b"alive?\0\0";

/// What a connection may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams that a client may have open.
    pub max_streams: u32,
    /// Size of a header list that is taken (RFC 9113 section 6.5.2).
    pub max_header_list: u32,
    /// Receive window of a stream.
    pub stream_window: u32,
    /// Receive window of the connection.
    pub connection_window: u32,
    /// What a peer may do per second that costs it less than us.
    pub rates: Rates,
}

/// One connection.
pub struct Connection {
    role: Role,
    limits: Limits,
    greeting: Greeting,
    decoder: Decoder,
    encoder: Encoder,
    peer: Peer,
    streams: Streams,
    /// The highest stream that the client opened.
    last: u32,
    /// A header block that is not whole yet.
    block: Option<headers::Block>,
    window: SendWindow,
    credit: Credit,
    /// How much larger the windows of new streams are for a client that does not know our settings yet
    /// (RFC 9113 section 6.9.3).
    early_window: u32,
    out: Out,
    drain: Drain,
    /// The peer said GOAWAY, at last with this code.
    peer_leaves: Option<Code>,
    floods: Floods,
    /// Streams that a peer leaves behind when it goes, not told yet.
    left_behind: Vec<(Token, Reset)>,
    /// Bytes that waited in streams and are sent now, not told yet.
    released: Vec<(Token, usize)>,
}

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

/// What the peer has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeting {
    /// Nothing; a client's first word is its preface.
    Preface,
    /// Its preface, if it has one. SETTINGS come next (RFC 9113 section 3.4).
    Settings,
    /// All.
    Done,
}

/// How far our own GOAWAY is (RFC 9113 section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    No,
    /// The peer is told to open no more streams; those that are on their way are still taken, for so many seconds.
    Announced(u8),
    /// Streams above this one are not.
    Last(u32),
}

impl Connection {
    /// The end that is called.
    pub fn server(limits: Limits) -> Self {
        let Limits { max_streams, max_header_list, stream_window: window, .. } = limits;
        Self::new(Role::Server, Greeting::Preface, limits, Ours::Server { max_streams, window, max_header_list })
    }

    /// The end that calls. Room that DATA takes in the connection's window is given back at once: no stream can hold
    /// up the others, and what waits is bounded by the windows of the streams.
    pub fn client(limits: Limits) -> Self {
        let Limits { max_header_list, stream_window: window, .. } = limits;
        Self::new(Role::Client, Greeting::Settings, limits, Ours::Client { window, max_header_list })
    }

    fn new(role: Role, greeting: Greeting, limits: Limits, ours: Ours) -> Self {
        let mut out = Out::default();
        if role == Role::Client {
            out.raw(PREFACE);
        }
        out.frame(kind::SETTINGS, 0, 0, &ours.payload());
        let early_window = if role == Role::Server { DEFAULT_WINDOW.saturating_sub(limits.stream_window) } else { 0 };
        let connection_window = limits.connection_window.max(DEFAULT_WINDOW);
        if connection_window > DEFAULT_WINDOW {
            out.frame(kind::WINDOW_UPDATE, 0, 0, &(connection_window - DEFAULT_WINDOW).to_be_bytes());
        }
        Self {
            role,
            limits,
            greeting,
            decoder: Decoder::new(HEADER_TABLE),
            encoder: Encoder::new(),
            peer: Peer::default(),
            streams: Streams::default(),
            last: 0,
            block: None,
            window: SendWindow::new(DEFAULT_WINDOW),
            credit: Credit::new(connection_window),
            early_window,
            out,
            drain: Drain::No,
            peer_leaves: None,
            floods: Floods::new(limits.rates),
            left_behind: Vec::new(),
            released: Vec::new(),
        }
    }

    /// Bytes for the socket.
    pub fn output(&self) -> &[u8] {
        self.out.pending()
    }

    /// The socket took so many of them.
    pub fn output_taken(&mut self, bytes: usize) {
        self.out.taken(bytes);
        self.send_queued();
    }

    /// Bytes that waited in a stream's queue and have left it since the last call: the room that their sender may
    /// have again.
    pub fn next_released(&mut self) -> Option<(Token, usize)> {
        self.released.pop()
    }

    /// Bytes that wait for windows or for the socket, in all streams.
    pub fn queued(&self) -> usize {
        self.streams.queued()
    }

    /// Streams that are open, without those that stand aside.
    pub fn streams(&self) -> usize {
        self.streams.len() - self.streams.aside()
    }

    /// Streams that could be opened now.
    pub fn room(&self) -> usize {
        let closed = self.greeting != Greeting::Done || self.peer_leaves.is_some() || self.drain != Drain::No;
        if closed || self.last >= 0x7fff_fffd {
            return 0;
        }
        (self.peer.max_streams as usize).saturating_sub(self.streams.len())
    }

    /// Streams that the peer allows in all.
    pub fn max_streams(&self) -> usize {
        self.peer.max_streams as usize
    }

    /// The code of the peer's last GOAWAY, if it said one.
    pub fn peer_leaves(&self) -> Option<Code> {
        self.peer_leaves
    }

    /// Asks the peer for a sign of life.
    pub fn probe(&mut self) {
        self.out.frame(kind::PING, 0, 0, &LIFE_PING);
    }

    /// Whether streams have to wait because the peer took nothing of what others on the connection sent it.
    pub fn is_stuck(&self) -> bool {
        self.window.room() == 0 && self.streams.queued() > 0
    }

    /// All streams, for the end of the connection. None of them gives events any more.
    pub fn forsake_streams(&mut self) -> Vec<Forsaken> {
        let Self { streams, out, .. } = self;
        let forsaken = streams.iter_mut().filter_map(|(_, stream)| {
            Some(Forsaken { token: stream.token.take()?, unsent: !out.is_past(stream.begins) })
        });
        forsaken.collect()
    }

    /// A second has passed, more or less: budgets grow, memory that is not in use is given back.
    pub fn second_passed(&mut self) {
        self.floods.second_passed();
        match self.drain {
            Drain::Announced(0..=1) => self.say_last_stream(),
            Drain::Announced(seconds) => self.drain = Drain::Announced(seconds - 1),
            Drain::No | Drain::Last(_) => {}
        }
        self.out.shrink();
        self.streams.shrink();
    }

    /// Begins to end the connection: the peer is told twice, so that no stream is lost that is on its way.
    pub fn drain(&mut self) {
        if self.drain != Drain::No {
            return;
        }
        if self.role == Role::Client || self.greeting != Greeting::Done {
            return self.say_last_stream();
        }
        self.drain = Drain::Announced(DRAIN_UNHEARD);
        self.go_away(0x7fff_ffff, Code::NO_ERROR, "");
        self.out.frame(kind::PING, 0, 0, &DRAIN_PING);
    }

    /// Ends the first step of a drain: there is no time left for streams that are on their way.
    pub fn drain_at_once(&mut self) {
        if matches!(self.drain, Drain::Announced(_)) {
            self.say_last_stream();
        }
    }

    /// Whether the drain is done: no stream is open and none will be. It does not wait for those that stand aside.
    pub fn is_drained(&self) -> bool {
        matches!(self.drain, Drain::Last(_)) && self.streams() == 0
    }

    /// Tells the peer why the connection ends.
    pub fn fail(&mut self, fault: &Fault) {
        self.go_away(self.last_of_peer(), fault.code, fault.why);
    }

    fn say_last_stream(&mut self) {
        let last = self.last_of_peer();
        self.drain = Drain::Last(last);
        self.go_away(last, Code::NO_ERROR, "");
    }

    /// The peer's highest stream; a server opens none.
    fn last_of_peer(&self) -> u32 {
        if self.role == Role::Server { self.last } else { 0 }
    }

    fn go_away(&mut self, last: u32, code: Code, why: &str) {
        let payload = [&last.to_be_bytes()[..], &code.0.to_be_bytes(), why.as_bytes()].concat();
        self.out.frame(kind::GOAWAY, 0, 0, &payload);
    }

    fn window_update(&mut self, stream: u32, by: u32) {
        self.out.frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    }

    /// Gives room in the connection's window back.
    fn release_connection(&mut self, bytes: usize) {
        if let Some(by) = self.credit.release(bytes) {
            self.window_update(0, by);
        }
    }

    /// A stream is gone; the room that it held is not.
    fn forget(&mut self, stream: Option<Stream>) -> Option<Stream> {
        let stream = stream?;
        self.release_connection(self.held_by_connection(stream.unreleased));
        Some(stream)
    }

    /// How much of what streams hold the connection holds as well: a client's holds nothing.
    fn held_by_connection(&self, bytes: usize) -> usize {
        if self.role == Role::Server { bytes } else { 0 }
    }
}
