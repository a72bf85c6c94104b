//! The frames between two connections, and what each may send by what it was told: reckoned by reading along, apart from
//! the engine.

use std::collections::HashMap;

use super::pair::Side;

/// What is on its way from one end to the other.
pub(super) struct Pipe {
    /// What the other end has not used yet.
    pub(super) bytes: Vec<u8>,
    /// What the end that sends into this pipe may send.
    pub(super) ledger: Ledger,
    /// The beginning of a frame.
    seen: Vec<u8>,
    preface: usize,
}

/// The windows of one end.
pub(super) struct Ledger {
    connection: i64,
    initial: i64,
    streams: HashMap<u32, i64>,
    /// No window may grow above what its owner wants it to be.
    largest: i64,
    largest_of_stream: i64,
}

const DEFAULT: i64 = 65_535;

impl Pipe {
    /// From this end, to one that opens windows of these sizes.
    pub(super) fn new(side: Side, stream_window: u32, connection_window: u32) -> Self {
        let ledger = Ledger {
            connection: DEFAULT,
            initial: DEFAULT,
            streams: HashMap::new(),
            largest: i64::from(connection_window).max(DEFAULT),
            largest_of_stream: stream_window.into(),
        };
        Self { bytes: Vec::new(), ledger, seen: Vec::new(), preface: if side == Side::Client { 24 } else { 0 } }
    }

    /// More bytes are on their way; `back` is the pipe in the other direction.
    pub(super) fn carry(&mut self, bytes: &[u8], back: &mut Self) {
        self.bytes.extend_from_slice(bytes);
        self.seen.extend_from_slice(bytes);
        if self.preface > 0 && self.seen.len() >= self.preface {
            self.seen.drain(..std::mem::take(&mut self.preface));
        }
        while self.preface == 0
            && let Some((&[l2, l1, l0, kind, flags, s3, s2, s1, s0], rest)) = self.seen.split_first_chunk::<9>()
            && let Some(payload) = rest.get(..u32::from_be_bytes([0, l2, l1, l0]) as usize)
        {
            let stream = u32::from_be_bytes([s3, s2, s1, s0]);
            match kind {
                0 => self.ledger.take(stream, payload.len()),
                4 if flags == 0 => back.ledger.settings(payload),
                8 => back.ledger.open(stream, u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]])),
                _ => {}
            }
            assert!(payload.len() <= 16_384, "a frame that a peer need not take");
            let whole = 9 + payload.len();
            self.seen.drain(..whole);
        }
    }
}

impl Ledger {
    fn take(&mut self, stream: u32, bytes: usize) {
        let window = self.streams.entry(stream).or_insert(self.initial);
        self.connection -= bytes as i64;
        *window -= bytes as i64;
        assert!(*window >= 0 && self.connection >= 0, "more than the windows allow: {window}, {}", self.connection);
    }

    fn open(&mut self, stream: u32, by: u32) {
        let largest = if stream == 0 { self.largest } else { self.largest_of_stream };
        let initial = self.initial;
        let window = if stream == 0 { &mut self.connection } else { self.streams.entry(stream).or_insert(initial) };
        *window += i64::from(by);
        assert!(by > 0 && *window <= largest, "the window of stream {stream} is {window}");
    }

    fn settings(&mut self, payload: &[u8]) {
        for setting in payload.chunks(6) {
            if setting[..2] == [0, 4] {
                let initial = i64::from(u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]));
                self.streams.values_mut().for_each(|window| *window += initial - self.initial);
                self.initial = initial;
            }
        }
    }

    /// All that was sent was given back, up to the half that is never told.
    pub(super) fn is_open_again(&self) {
        assert!(self.connection > self.largest / 2, "only {} of {} are open", self.connection, self.largest);
    }
}
