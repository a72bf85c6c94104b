//! Two connections joined by pipes, driven at random, and a book of what each may expect of the other. It knows only
//! what every user of the engine knows, and reads the frames that pass. Whatever it asserts holds for any operations in
//! any order.

use crate::http2::{Connection, Event, Fields, Limits, Rates};

use super::{
    book::{Call, Half, request},
    ledger::Pipe,
};

/// One end of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What happens next. A call is one of the latest; what makes no sense for it is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Open { list: u8, end: bool },
    Respond { call: u8, list: u8, end: bool },
    Send { side: Side, call: u8, bytes: usize, end: bool },
    Trailers { side: Side, call: u8, list: u8 },
    BreakOff { call: u8 },
    Reset { side: Side, call: u8 },
    Unbind { side: Side, call: u8 },
    Release { side: Side, call: u8, bytes: usize },
    Carry { from: Side, bytes: usize },
    Second { side: Side },
    Drain { side: Side },
}

/// The pair.
pub(crate) struct Pair {
    ends: [Connection; 2],
    /// What is on its way from each end.
    pipes: [Pipe; 2],
    calls: Vec<Call>,
    draining: bool,
    /// Bytes that are sent at once, at most: a large body takes long through a small window.
    most: usize,
}

const SIDES: [Side; 2] = [Side::Client, Side::Server];
/// No flood is to be found here.
const RATES: Rates = Rates { resets: 1 << 20, frames: 1 << 20 };

impl Side {
    pub(super) fn other(self) -> Self {
        if self == Self::Client { Self::Server } else { Self::Client }
    }
}

impl From<[u8; 4]> for Op {
    fn from([kind, call, list, shift]: [u8; 4]) -> Self {
        let side = if call & 0x80 == 0 { Side::Client } else { Side::Server };
        let (bytes, end) = (usize::from(list) << (shift % 10), shift >= 0xc0);
        match kind % 40 {
            0..5 => Self::Open { list, end },
            5..9 => Self::Respond { call, list, end },
            9..18 => Self::Send { side, call, bytes, end },
            18..20 => Self::Trailers { side, call, list },
            20 => Self::BreakOff { call },
            21 => Self::Reset { side, call },
            22 => Self::Unbind { side, call },
            23..27 => Self::Release { side, call, bytes },
            27 => Self::Second { side },
            28 if list < 32 => Self::Drain { side },
            _ => Self::Carry { from: side, bytes },
        }
    }
}

impl Pair {
    /// With windows and limits of these sizes, on both ends.
    pub(crate) fn new(max_streams: u32, stream_window: u32, connection_window: u32) -> Self {
        let limits = Limits { max_streams, max_header_list: 1 << 14, stream_window, connection_window, rates: RATES };
        let ends = [Connection::client(limits), Connection::server(limits)];
        let pipe = |side| Pipe::new(side, stream_window, connection_window);
        Self { ends, pipes: SIDES.map(pipe), calls: Vec::new(), draining: false, most: stream_window as usize * 20 }
    }

    /// Lets something happen and looks whether all is well.
    pub(crate) fn apply(&mut self, op: Op) {
        match op {
            Op::Open { list, end } => self.open(list, end),
            Op::Respond { call, list, end } => {
                self.with(Side::Server, call, |end_of, call| call.respond(end_of, list, end))
            }
            Op::Send { side, call, bytes, end } => {
                let bytes = bytes.min(self.most);
                self.with(side, call, |end_of, call| call.send(end_of, side, bytes, end))
            }
            Op::Trailers { side, call, list } => {
                self.with(side, call, |end_of, call| call.trailers(end_of, side, list))
            }
            Op::BreakOff { call } => self.with(Side::Server, call, |end_of, call| call.break_off(end_of)),
            Op::Reset { side, call } => self.with(side, call, |end_of, call| call.reset(end_of, side)),
            Op::Unbind { side, call } => self.with(side, call, |end_of, call| call.unbind(end_of, side)),
            Op::Release { side, call, bytes } => {
                self.with(side, call, |end_of, call| call.release(end_of, side, bytes))
            }
            Op::Carry { from, bytes } => self.carry(from, bytes),
            Op::Second { side } => self.ends[side as usize].second_passed(),
            Op::Drain { side } => {
                self.draining = true;
                self.ends[side as usize].drain();
            }
        }
        SIDES.into_iter().for_each(|side| self.look(side));
    }

    /// Ends all calls, carries all bytes, and looks whether everything has arrived.
    pub(crate) fn finish(mut self) {
        for _ in 0..100_000 {
            let mut calls = std::mem::take(&mut self.calls);
            for call in &mut calls {
                call.finish(&mut self.ends);
            }
            self.calls = calls;
            if SIDES.into_iter().all(|side| self.ends[side as usize].output().is_empty()) {
                return self.is_finished();
            }
            for side in SIDES {
                self.carry(side, usize::MAX);
                self.look(side);
            }
        }
        panic!("it never comes to rest");
    }

    fn is_finished(&self) {
        for side in SIDES {
            let end = &self.ends[side as usize];
            assert_eq!((end.streams(), end.queued()), (0, 0), "something is left at the {side:?}");
            self.pipes[side as usize].ledger.is_open_again();
        }
        self.calls.iter().for_each(Call::is_finished);
    }

    fn with(&mut self, side: Side, call: u8, act: impl FnOnce(&mut Connection, &mut Call)) {
        let recent = self.calls.len().min(8);
        if recent == 0 {
            return;
        }
        let at = self.calls.len() - 1 - usize::from(call & 0x7f) % recent;
        act(&mut self.ends[side as usize], &mut self.calls[at]);
    }

    fn open(&mut self, list: u8, end: bool) {
        let client = &mut self.ends[Side::Client as usize];
        let room = client.room();
        let opened = client.open(self.calls.len(), request(list).iter(), end);
        assert_eq!(opened.is_some(), room > 0);
        let token = self.calls.len();
        self.calls.extend(opened.map(|stream| Call::new(token, stream, list, end)));
    }

    /// Moves bytes from one end to the other, which reads them.
    fn carry(&mut self, from: Side, bytes: usize) {
        let output = self.ends[from as usize].output();
        let taken = bytes.min(output.len());
        let to = from.other();
        let [client, server] = &mut self.pipes;
        let (pipe, back) = if from == Side::Client { (client, server) } else { (server, client) };
        pipe.carry(&output[..taken], back);
        self.ends[from as usize].output_taken(taken);
        self.released(from);

        let carried = std::mem::take(&mut self.pipes[from as usize].bytes);
        let mut rest = &carried[..];
        let mut fields = Fields::new();
        loop {
            let before = rest.len();
            let event = self.ends[to as usize].receive(&mut rest, &mut fields).expect("neither end breaks rules");
            assert!(rest.len() <= before);
            let Some(event) = event else { break };
            self.released(to);
            self.hear(to, event, &fields);
        }
        self.released(to);
        self.pipes[from as usize].bytes = rest.to_vec();
    }

    fn hear(&mut self, side: Side, event: Event<'_>, fields: &Fields) {
        let token = match event {
            Event::Ready | Event::GoingAway => return,
            Event::Request { stream, end, .. } => {
                let found = self.calls.iter_mut().enumerate().find(|(_, call)| call.stream == stream);
                let (token, call) = found.expect("a call of the client's");
                call.hear_request(fields, end);
                return self.ends[side as usize].bind(stream, token);
            }
            Event::Response { token, .. } | Event::Data { token, .. } | Event::Trailers { token } => token,
            Event::Reset { token, .. } => token,
            Event::RequestTooLarge { .. } | Event::Refused { .. } => panic!("{event:?} of nobody's"),
        };
        let call = self.calls.get_mut(token).expect("a token that was given");
        assert!(call.expects_events(side), "{event:?} behind the end at the {side:?}");
        match event {
            Event::Response { status, end, .. } => call.hear_response(status, fields, end),
            Event::Data { bytes, end, .. } => call.hear_data(side, bytes, end),
            Event::Trailers { .. } => call.hear_trailers(side, fields),
            Event::Reset { reset, .. } => call.hear_reset(side, reset, self.draining),
            _ => {}
        }
    }

    fn released(&mut self, side: Side) {
        while let Some((token, bytes)) = self.ends[side as usize].next_released() {
            let half = &mut self.calls[token].halves[side as usize];
            half.waits = half.waits.checked_sub(bytes).expect("no more leaves than waited");
        }
    }

    /// What waits is what was said to wait, and the output stays small.
    fn look(&mut self, side: Side) {
        self.released(side);
        let end = &self.ends[side as usize];
        let known = |half: &Half| if half.gone { 0 } else { half.waits };
        let known: usize = self.calls.iter().map(|call| known(&call.halves[side as usize])).sum();
        let loose = self.calls.iter().any(|call| call.halves[side as usize].loose);
        assert!(end.queued() == known || (loose && end.queued() < known), "{} wait, not {known}", end.queued());
        assert!(end.output().len() < 1 << 20, "{} bytes of output", end.output().len());
    }
}
