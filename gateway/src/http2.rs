//! The HTTP/2 engine (RFC 9113, RFC 7541): a connection as a state machine that takes bytes and commands and gives bytes
//! and events. It knows no sockets, no clock and no routes; who drives it reads, writes, and says when a second has
//! passed.
//!
//! Made for relaying: a header list is one flat buffer that keeps order and bytes, DATA is handed on as the slice that was
//! read, and a stream is an entry in a map.

mod code;
mod connection;
mod event;
mod fields;
mod floods;
mod frame;
pub mod hpack;
mod message;
mod out;
mod settings;
mod stream;
mod streams;
mod window;

pub use self::{
    code::{Code, Fault},
    connection::{Connection, Limits},
    event::{Event, Forsaken, Reset},
    fields::{Field, Fields},
    floods::Rates,
    message::Request,
    stream::Token,
};
