//! A case as it is played: what a file of `tests/conformance` says, without its spelling.

use std::{cell::OnceCell, collections::BTreeSet};

/// One file.
#[derive(Debug)]
pub(super) struct Case {
    /// Its place under `tests/conformance`, without the ending: `server/settings/length`.
    pub(super) name: String,
    /// Whom the script plays.
    pub(super) role: Role,
    /// What the gateway's configuration must say beside the usual, as lines of TOML.
    pub(super) config: BTreeSet<String>,
    /// What is done, in order.
    pub(super) steps: Vec<Step>,
}

/// Whom a script plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A client of the gateway.
    Client,
    /// An instance, which the gateway connects to.
    Instance,
}

/// One line, with what belongs to it.
#[derive(Debug)]
pub(super) struct Step {
    /// Where it is in the file.
    pub(super) line: usize,
    /// Whose step it is.
    pub(super) who: Who,
    /// What is done.
    pub(super) act: Act,
}

/// Whose step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The one that the script plays.
    Player,
    /// The caller, in the script of an instance.
    Caller,
}

/// What is done in a step.
#[derive(Debug)]
pub(super) enum Act {
    /// The gateway's next connection to the instance is played from now on.
    Accept,
    /// The caller makes a call, the gateway connects, both say hello.
    Begin(Vec<Setting>),
    /// This side's first octets; the other side's are awaited.
    Handshake(Vec<Setting>),
    /// This side closes the connection.
    Close,
    /// The gateway is asked to end.
    Terminate,
    /// So many octets go out at a time from now on.
    Pace(usize),
    /// Whether what comes is read.
    Reading(bool),
    /// Frames go out.
    Send(Vec<Send>),
    /// Something comes, or does not.
    Expect(Expect),
    /// A call on this connection succeeds.
    OkCall,
    /// A call on another connection, open since the case began, succeeds.
    OthersOk,
    /// A well-behaved instance of the same symbol appears.
    Spare,
    /// How many calls that one got.
    SpareCalls(u64),
    /// How many calls reached the played instance on all its connections.
    Deliveries(usize),
    /// The gateway's memory stays within so many bytes of what it was.
    Memory(u64),
    /// Steps, so many times.
    Repeat(u64, Vec<Step>),
}

/// A setting and its value.
pub(super) type Setting = (u16, Number);

/// What goes out.
#[derive(Debug)]
pub(super) enum Send {
    /// The client's connection preface.
    Preface,
    /// Octets as they are.
    Octets(Vec<u8>),
    /// One frame.
    Frame(Frame),
    /// As many DATA frames as it takes.
    Body(Stream, Octets, bool),
}

/// One frame to be sent.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: Stream,
    pub(super) flags: u8,
    /// Sets the reserved bit.
    pub(super) reserved: bool,
    /// What the header says of the length, when it is not the truth.
    pub(super) length: Option<Number>,
    pub(super) padding: Option<Padding>,
    pub(super) content: Content,
}

/// Octets of padding, and what the Pad Length field says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padding {
    pub(super) octets: u8,
    pub(super) says: u8,
}

/// A stream by its number or by its place in the script.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Id(u32),
    /// The lowest of this side that was not used yet.
    Next,
    /// The one that `Next` gave last.
    Last,
}

/// What a frame carries.
#[derive(Debug)]
pub(super) enum Content {
    Octets(Octets),
    Settings(Vec<Setting>),
    Block(Block),
    /// What is left of the last cut block, or its first octets.
    Rest(Option<Number>),
    Priority(Priority),
    Code(u32),
    Away {
        last: Number,
        code: u32,
        debug: Vec<u8>,
    },
    Increment(Number),
}

/// A field block and what stands before it.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) priority: Option<Priority>,
    pub(super) promised: Option<u32>,
    pub(super) lines: Vec<Line>,
    /// Only so many octets go out; CONTINUATION frames take the rest.
    pub(super) first: Option<Number>,
    /// The lines as octets, once they were sent: a flood sends them often.
    pub(super) encoded: OnceCell<Vec<u8>>,
}

/// The fields of a PRIORITY frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Priority {
    pub(super) depends: u32,
    pub(super) exclusive: bool,
    pub(super) weight: u8,
}

/// One line of a field block.
#[derive(Debug)]
pub(super) enum Line {
    /// The fields of an ordinary call, reply or end of a reply, with changes.
    Template(Template, Vec<Change>),
    /// A literal field; the octet says which kind of literal (RFC 7541 section 6.2).
    Field(u8, String, String),
    /// An indexed field.
    Index(u64),
    /// A dynamic table size update.
    Size(u64),
    /// Octets as they are.
    Hex(Vec<u8>),
}

/// What a template is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Template {
    Call,
    Reply,
    Trailers,
}

/// A field that differs from the template.
#[derive(Debug)]
pub(super) enum Change {
    Set(String, String),
    Without(String),
}

/// Octets to be sent.
#[derive(Debug)]
pub(super) enum Octets {
    Hex(Vec<u8>),
    Zeros(Number),
    /// A gRPC message: a request from a client, a reply from an instance.
    Message(Message),
}

/// What a message says.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    /// Octets of payload that it carries.
    pub(super) payload: usize,
    /// Octets of payload that it asks for.
    pub(super) reply: u32,
    /// Replies that it asks for.
    pub(super) count: u32,
}

/// A sum of numbers, some of which are known only when it is played.
#[derive(Debug)]
pub(super) struct Number(pub(super) Vec<(i64, Term)>);

/// What a number is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Term {
    Literal(i64),
    /// What the other side announced, or the default.
    Setting(u16),
    /// What may be sent on the stream.
    StreamWindow,
    /// What may be sent on the connection.
    ConnectionWindow,
}

/// What must come.
#[derive(Debug)]
pub(super) enum Expect {
    /// This frame, next on its stream.
    Frame(Pattern),
    /// An error of the stream or of the connection; `or_nothing`: or none at all.
    Error { stream: Stream, codes: Vec<u32>, or_nothing: bool },
    /// The end of the connection.
    Closed,
    /// An answer to a PING.
    Alive,
    /// An answer to a PING, and before it nothing on this stream, or on any.
    Nothing(Option<Stream>),
    /// A whole call; `open`: its head and its first message.
    Call(Stream, bool),
    /// A whole reply.
    Reply(Stream, Answer),
    /// What is left of a reply.
    End(Stream, Answer),
    /// So many octets in DATA frames.
    Body { stream: Stream, length: Number, ended: bool },
    /// Room to send so many octets on the stream, or the connection.
    Window(Stream, Number),
    /// The client's connection preface.
    Preface,
    /// This text, from a side that speaks no HTTP/2.
    Text(Vec<u8>),
}

/// How a reply must end.
#[derive(Debug)]
pub(super) struct Answer {
    /// One of these gRPC statuses; empty: none.
    pub(super) statuses: Vec<u32>,
    /// The gateway's reason: one of these, or any for `*`; empty: the reply is the instance's.
    pub(super) reasons: Vec<String>,
    /// One of these HTTP statuses.
    pub(super) http: Vec<String>,
    /// Octets of body.
    pub(super) length: Option<Number>,
}

/// A frame to be recognised.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) kind: u8,
    pub(super) stream: Stream,
    pub(super) with: u8,
    pub(super) without: u8,
    pub(super) codes: Vec<u32>,
    pub(super) octets: Option<Vec<u8>>,
    pub(super) length: Option<Number>,
    pub(super) at_least: Option<usize>,
    pub(super) last: Option<Number>,
    pub(super) increment: Option<Number>,
    pub(super) settings: Vec<Setting>,
    pub(super) fields: Vec<Wanted>,
    /// Whether the fields must come in this order.
    pub(super) ordered: bool,
}

/// A field that must be there, or must not.
#[derive(Debug)]
pub(super) enum Wanted {
    Is(String, String),
    Present(String),
    Absent(String),
}
