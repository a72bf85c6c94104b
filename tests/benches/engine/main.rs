//! What the HTTP/2 engine costs, in memory and without sockets: header blocks, DATA, and a unary call through the
//! gateway's two connections. Measures one thread that does nothing else; run it on a quiet machine. `--quick` measures
//! less.
//!
//! A relayed call is timed without its peers. Real ones, a client and an instance on engines of their own, first make
//! calls through the gateway until all header tables are warm; what they then send for one batch of calls is kept.
//! That tape is played to the gateway again and again with rising stream numbers, so the clock runs over the gateway's
//! receiving, passing on and writing, and over nothing else but the new numbers in the tape, which are told apart. The
//! relay does with each event what the proxy does, and decides nothing. No call allocates, so that the allocator does
//! not matter.
//!
//! Instructions instead of time: `calls N STREAMS` plays N calls, that many at a time, and measures nothing. The setup
//! is the same for every N, so what a call costs is the difference of the totals of these two, divided by 100000:
//!
//! ```text
//! cargo bench -p symgate-tests --bench engine --config 'target."cfg(unix)".runner="valgrind --tool=callgrind"' -- calls 100000 1
//! cargo bench -p symgate-tests --bench engine --config 'target."cfg(unix)".runner="valgrind --tool=callgrind"' -- calls 200000 1
//! ```

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "its result is what it prints, and a peer that breaks the rules is a fault of the bench"
)]

mod relay;
mod wire;

use std::env;

use symgate::http2::{
    Connection, Event, Fields, Limits, Rates,
    hpack::{Decoder, Encoder},
};
use symgate_tests::rounds::{Nanos, Rounds};

use self::{
    relay::{Relay, WARM},
    wire::{greet, hear, take, throw_away, window_update},
};

/// What the gateway allows by default.
const LIMITS: Limits = Limits {
    max_streams: 1_000,
    max_header_list: 64 << 10,
    stream_window: 256 << 10,
    connection_window: 1 << 20,
    rates: Rates { resets: 1_000, frames: 1_000 },
};
/// What its peers here allow: so much that they never have to give room back.
const ENDLESS: Limits = Limits { stream_window: 0x7fff_ffff, connection_window: 0x7fff_ffff, ..LIMITS };

const REQUEST: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/pb.KlineService/GetKline"),
    (":authority", "gateway.internal:9000"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.64.0"),
    ("te", "trailers"),
    ("grpc-accept-encoding", "gzip"),
    ("x-symbol", "BTC_USDT"),
];
const RESPONSE: &[(&str, &str)] =
    &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity,deflate,gzip")];
const TRAILERS: &[(&str, &str)] = &[("grpc-status", "0"), ("grpc-message", "")];

/// Header blocks, calls or sends of one round.
const TIMES: u32 = 20_000;
/// Bytes of one read, about.
const READ: usize = 64 << 10;

fn main() {
    let arguments: Vec<_> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "calls") {
        let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok());
        let (calls, streams) = number(at + 1).zip(number(at + 2)).expect("calls N STREAMS");
        let mut relay = Relay::new(streams);
        (0..calls / streams).for_each(|_| relay.play());
        return println!("{} calls, {streams} at a time", relay.gateway.done - WARM.next_multiple_of(streams));
    }
    let rounds = Rounds::from_args();
    println!("the HTTP/2 engine in memory, ns, {rounds}");
    header_blocks(&rounds);
    bodies(&rounds);
    calls(&rounds);
}

fn fields(list: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    list.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
    fields
}

/// Header blocks of which the tables know every field, and some with a value that never repeats.
fn header_blocks(rounds: &Rounds) {
    println!("\n{:<46} {:>17} {:>17}", "header block, tables warm", "decode", "encode");
    for (what, list) in [("request", REQUEST), ("response", RESPONSE), ("trailers", TRAILERS)] {
        block(rounds, what, &[fields(list)]);
    }
    let timeout = |n: usize| fields(&[REQUEST, &[("grpc-timeout", format!("{}u", 4_900_000 + n).as_str())]].concat());
    block(rounds, "request, new grpc-timeout", &(0..4_096).map(timeout).collect::<Vec<_>>());
}

/// Times a block for each list in turn.
fn block(rounds: &Rounds, what: &str, lists: &[Fields]) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let (mut out, mut read) = (Vec::new(), Fields::new());
    let mut encode = |list: &Fields, out: &mut Vec<u8>| {
        out.clear();
        encoder.begin(out);
        list.iter().for_each(|field| encoder.field(field, out));
    };
    let mut decode = |block: &[u8]| {
        read.clear();
        decoder.decode(block, &mut read, LIMITS.max_header_list as usize).expect("a block");
        assert_eq!(read.len(), lists[0].len(), "no field is lost");
    };
    let mut blocks = Vec::new();
    // A field is written plain at first, then into the table; from the third time on it is a number.
    for list in lists.iter().cycle().take(lists.len() + 2) {
        encode(list, &mut out);
        decode(&out);
        blocks.push(out.clone());
    }
    let mut next = blocks[2..].iter().cycle();
    let decoded = rounds.time(TIMES, || decode(next.next().expect("endless")));
    let mut next = lists.iter().cycle();
    let encoded = rounds.time(TIMES, || encode(next.next().expect("endless"), &mut out));
    let what = format!("{what}: {} fields, {} bytes", lists[0].len(), out.len());
    println!("{what:<46} {decoded:>17} {encoded:>17}");
}

/// DATA of one stream that never ends.
fn bodies(rounds: &Rounds) {
    println!("\n{:<46} {:>17} {:>17}", "DATA", "a piece", "best, MB/s");
    let show = |what: &str, size: usize, took: Nanos| {
        println!("{:<46} {took:>17} {:>17.0}", format!("{what} {size} bytes"), took.megabytes(size));
    };
    for size in [60, 1 << 10, 16 << 10] {
        show("received, room given back:", size, received(rounds, size));
    }
    for size in [60, 1 << 10, 16 << 10] {
        show("sent, a frame each:", size, sent(rounds, size, 1));
    }
    show("sent, 100 of them merged:", 60, sent(rounds, 60, 100));
}

/// One read's frames after the other, at the server.
fn received(rounds: &Rounds, size: usize) -> Nanos {
    let (mut client, mut server, stream) = open_stream(ENDLESS, LIMITS);
    let frames = READ / size;
    let body = vec![7; size];
    let tape: Vec<u8> = (0..frames)
        .flat_map(|_| {
            client.send_data(stream, &body, false);
            // Taken at once: two that meet in the buffer become one frame.
            take(&mut client)
        })
        .collect();
    let mut fields = Fields::new();
    let took = rounds.time(TIMES / 10, || {
        hear(&mut server, &tape, &mut fields, |server, _, event| match event {
            Event::Data { bytes, .. } => server.release(stream, bytes.len()),
            other => panic!("{other:?}"),
        });
        throw_away(&mut server);
    });
    took.each(frames)
}

/// So many pieces at a time before the socket takes them, at the client.
fn sent(rounds: &Rounds, size: usize, together: usize) -> Nanos {
    let (mut client, _, stream) = open_stream(LIMITS, ENDLESS);
    let body = vec![7; size];
    let (mut fields, mut used) = (Fields::new(), 0);
    let took = rounds.time(TIMES, || {
        for _ in 0..together {
            let now = client.send_data(stream, &body, false);
            assert_eq!(now, size, "there is room");
        }
        throw_away(&mut client);
        used += size * together;
        if used > 1 << 30 {
            let room = [window_update(0, used), window_update(stream, used)].concat();
            hear(&mut client, &room, &mut fields, |_, _, _| {});
            used = 0;
        }
    });
    took.each(together)
}

fn calls(rounds: &Rounds) {
    println!("\n{:<46} {:>17} {:>17}", "unary call, 60 bytes each way, relayed", "1 at a time", "100 at a time");
    let of = |play: fn(&mut Relay)| {
        [1, 100].map(|streams| {
            let mut relay = Relay::new(streams);
            rounds.time(TIMES / streams as u32, || play(&mut relay)).each(streams)
        })
    };
    let show = |what: &str, [one, many]: [Nanos; 2]| println!("{what:<46} {one:>17} {many:>17}");
    show("the gateway's two connections", of(Relay::play));
    show("new stream numbers in the tape, part of that", of(|relay| relay.tape.renumber()));
    show("with client and instance, not the tape", of(|relay| drop(relay.call())));
}

/// A client and a server that have greeted each other, and a stream from one to the other.
fn open_stream(ours: Limits, theirs: Limits) -> (Connection, Connection, u32) {
    let (mut client, mut server) = (Connection::client(ours), Connection::server(theirs));
    greet(&mut client, &mut server);
    let stream = client.open(0, fields(REQUEST).iter(), false).expect("room");
    let head = take(&mut client);
    hear(&mut server, &head, &mut Fields::new(), |server, _, _| server.bind(stream, 0));
    (client, server, stream)
}
