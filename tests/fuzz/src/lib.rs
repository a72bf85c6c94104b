//! Fuzz targets for what reads the bytes of strangers, the HTTP/2 engine and the protobuf walker of the SDK:
//!
//! - `frames`: a server, and whatever a client may send behind its preface;
//! - `client`: a client with open streams, and whatever a server may send;
//! - `hpack`: header blocks that nobody encoded, and header lists there and back;
//! - `pair`: a client and a server of ours, and any operations on both;
//! - `protobuf`: a message that nobody encoded, and the field that is looked for, against prost.
//!
//! Run one from this folder, with a nightly compiler:
//!
//! ```text
//! mkdir -p target/found/frames
//! cargo +nightly fuzz run --fuzz-dir . frames target/found/frames corpus/frames -- -max_total_time=240
//! ```
//!
//! What a run finds goes to the first folder; `corpus` holds a few seeds for each target, which
//! `cargo run --bin seeds` writes.
//!
//! The engine is included by its path: as a part of the gateway it would bring a Wasm compiler with it. So is the
//! walker, which would bring the SDK's dependencies.

#[path = "../../../gateway/src/http2"]
#[allow(dead_code, missing_docs, reason = "it is documented, and used, where it lives")]
pub mod http2 {
    pub mod code;
    pub mod connection;
    pub mod event;
    pub mod fields;
    pub mod floods;
    pub mod frame;
    pub mod hpack;
    pub mod message;
    pub mod out;
    pub mod settings;
    pub mod stream;
    pub mod streams;
    pub mod window;

    pub use self::{
        code::{Code, Fault},
        connection::{Connection, Limits},
        event::{Event, Reset},
        fields::{Field, Fields},
        floods::Rates,
        message::Request,
        stream::Token,
    };
}

/// The two ends that the engine's own tests drive at random.
#[path = "../../../gateway/src/http2/connection/tests"]
#[allow(dead_code, reason = "it is used by other targets")]
mod simulation {
    pub mod book;
    pub mod ledger;
    pub mod pair;
}

#[path = "../../../sdk/src"]
#[allow(dead_code, reason = "it is used where it lives")]
mod sdk {
    pub mod protobuf;
}

pub mod codec;
pub mod fields;
pub mod peer;
pub mod wire;

use simulation::pair::{Op, Pair, Side};

/// Any operations on a client and a server of ours, four bytes each; five bytes before them say how large windows are.
pub fn pair(input: &[u8]) {
    let Some((&[streams, stream_low, stream_high, connection, portion], ops)) = input.split_first_chunk::<5>() else {
        return;
    };
    let stream_window = (u32::from(stream_high) << (stream_high % 11)) + u32::from(stream_low) + 1;
    let connection_window = u32::from(connection) << 10;
    let mut pair = Pair::new(1 + u32::from(streams % 16), stream_window, connection_window);
    for side in [Side::Server, Side::Client, Side::Server] {
        pair.apply(Op::Carry { from: side, bytes: 200 + usize::from(portion) });
    }
    let (ops, _) = ops.as_chunks::<4>();
    ops.iter().take(400).for_each(|op| pair.apply(Op::from(*op)));
    pair.finish();
}
