//! What instances say of their own health (grpc.health.v1): a `Watch` for each name that routes give, on one connection
//! of each worker. Where nobody answers them, instances are taken as they are. A watch is no call: nothing waits for it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use symgate_sdk::protobuf::{self, Value};
use tokio::time;

use super::peer::Peer;
use crate::{
    config::Health,
    http2::{Code, Event, Fields, Reset, Token},
    proxy::{head::is_grpc, link::Link, status::GRPC_STATUS, worker::Worker},
    routing::Live,
};

/// The token of a watch is its name's place and this; those of calls are places in a list, far below.
const WATCH: Token = 1 << (Token::BITS - 1);
/// An instance that allows fewer streams on a connection needs them all for calls.
const FEW_STREAMS: usize = 16;
/// Bytes of a reply that is not whole; it has 7 when it is.
const LONGEST_REPLY: usize = 64;
/// Between a watch that ended and the next, which doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it doubles.
const DOUBLINGS: u32 = 6;

/// grpc-status of a server that has no health service, or none of that name.
const UNIMPLEMENTED: &[u8] = b"12";
const NOT_FOUND: &[u8] = b"5";

/// The watches on one instance.
#[derive(Default)]
pub(super) struct Watches {
    /// The names that routes give.
    names: RefCell<Option<Rc<[Health]>>>,
    /// Bits of those under which the instance says that it does not serve.
    refused: Cell<u32>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The connection that carries them.
    carrier: Option<Rc<Link>>,
    open: Vec<Watch>,
    /// Bits of the names that are not known there.
    off: u32,
    /// Bits of the names under which it serves.
    serving: u32,
    /// Watches that ended since one told something.
    failures: u32,
}

/// One stream.
struct Watch {
    place: usize,
    stream: u32,
    /// Of a reply that is not whole.
    came: Vec<u8>,
}

/// What comes of a piece of a watch.
enum News {
    None,
    /// A status of `ServingStatus`.
    Status(u64),
    /// The watch is over.
    Over,
    /// And it is of no use to ask again.
    Off,
}

/// The place of the name whose watch a stream is; `None`: it is a call's.
pub(super) fn place_of(token: Token) -> Option<usize> {
    token.checked_sub(WATCH)
}

impl Watches {
    /// Whether the instance says that it does not serve what is asked for under this name.
    pub(super) fn refuse(&self, health: Option<&Health>) -> bool {
        let refused = self.refused.get();
        refused != 0 && health.is_some_and(|health| refused & health.bit() != 0)
    }

    /// Adds names to those that are watched. Whether there is a new one.
    fn want(&self, wanted: &Rc<[Health]>) -> bool {
        let mut names = self.names.borrow_mut();
        let Some(known) = &*names else {
            *names = Some(wanted.clone());
            return !wanted.is_empty();
        };
        if Rc::ptr_eq(known, wanted) || wanted.iter().all(|name| known.contains(name)) {
            return false;
        }
        // An address in two services.
        let more = wanted.iter().filter(|name| !known.contains(name));
        *names = Some(known.iter().chain(more).cloned().collect());
        true
    }
}

impl Peer {
    /// Calls are led to the instance by routes that give these names.
    pub(super) fn want_health(&self, names: &Rc<[Health]>) {
        if self.watches().want(names) {
            self.watch_health();
        }
    }

    /// Opens the watches that are wanted and not open, if there is a connection.
    pub(super) fn watch_health(&self) {
        let names = self.watches().names.borrow().clone();
        let Some(names) = names else { return };
        let mut state = self.watches().state.borrow_mut();
        if state.carrier.is_none() {
            state.carrier = self.first_link().filter(|link| link.look(|http2| http2.max_streams() >= FEW_STREAMS));
        }
        let Some(carrier) = state.carrier.clone() else { return };
        for health in &*names {
            let (place, bit) = (health.place, health.bit());
            if state.off & bit != 0 || state.open.iter().any(|watch| watch.place == place) {
                continue;
            }
            let stream = carrier.with(|http2| {
                let stream = http2.open_aside(WATCH | place, head(self.live()).iter())?;
                http2.send_data(stream, &request(&health.name), true);
                Some(stream)
            });
            state.open.extend(stream.map(|stream| Watch { place, stream, came: Vec::new() }));
        }
    }

    /// Something came on a watch.
    pub(super) fn health_came(self: &Rc<Self>, worker: &Worker, place: usize, event: Event<'_>, fields: &Fields) {
        let mut state = self.watches().state.borrow_mut();
        let state = &mut *state;
        let (Some(carrier), Some(at)) = (&state.carrier, state.open.iter().position(|watch| watch.place == place))
        else {
            return;
        };
        let Some(watch) = state.open.get_mut(at) else { return };
        let bit = 1 << (place % Health::NAMES);
        match watch.read(carrier, event, fields) {
            News::None => return,
            News::Status(status) => {
                state.failures = 0;
                let refused = self.watches().refused.get();
                self.watches().refused.set(if status == 2 { refused | bit } else { refused & !bit });
                state.serving = if status == 1 { state.serving | bit } else { state.serving & !bit };
            }
            News::Over => {
                state.open.swap_remove(at);
                state.failures = state.failures.saturating_add(1);
                // What it said last holds until it says something else.
                tokio::task::spawn_local(self.clone().ask_again(pause(state.failures)));
            }
            News::Off => {
                state.open.swap_remove(at);
                state.off |= bit;
                state.serving &= !bit;
                self.watches().refused.set(self.watches().refused.get() & !bit);
            }
        }
        let serves = if self.watches().refused.get() != 0 { Some(false) } else { (state.serving != 0).then_some(true) };
        self.tell_health(worker, serves);
    }

    /// The connection takes no more calls; another one may carry the watches.
    pub(super) fn leave_carrier(&self, link: &Rc<Link>) {
        let mut state = self.watches().state.borrow_mut();
        if !state.carrier.as_ref().is_some_and(|carrier| Rc::ptr_eq(carrier, link)) {
            return;
        }
        let watches = std::mem::take(&mut *state).open;
        drop(state);
        link.with(|http2| watches.iter().for_each(|watch| http2.reset(watch.stream, Code::CANCEL)));
        self.watches().refused.set(0);
        self.live().set_health(None);
        self.watch_health();
    }

    async fn ask_again(self: Rc<Self>, pause: Duration) {
        time::sleep(pause).await;
        self.watch_health();
    }

    fn tell_health(&self, worker: &Worker, serves: Option<bool>) {
        // Every worker hears it; one tells.
        if self.live().health() == serves {
            return;
        }
        self.live().set_health(serves);
        let address = self.live().address();
        match serves {
            Some(false) => tracing::warn!(%address, "the instance says that it does not serve"),
            Some(true) => tracing::info!(%address, "the instance says that it serves"),
            None => return,
        }
        worker.metrics.health_changes.inc();
    }
}

impl Watch {
    fn read(&mut self, carrier: &Link, event: Event<'_>, fields: &Fields) -> News {
        match event {
            Event::Response { status, end: true, .. } => over(status, fields),
            Event::Response { status, .. } if status != 200 || !is_grpc(fields) => self.give_up(carrier),
            Event::Data { bytes, end, .. } => {
                carrier.with(|http2| http2.release(self.stream, bytes.len()));
                self.came.extend_from_slice(bytes);
                match self.last_reply() {
                    _ if end => News::Over,
                    Ok(status) => status.map_or(News::None, News::Status),
                    Err(Unreadable) => self.give_up(carrier),
                }
            }
            Event::Trailers { .. } => over(200, fields),
            Event::Reset { reset: Reset::Broken(_), .. } => News::Off,
            Event::Reset { .. } => News::Over,
            _ => News::None,
        }
    }

    /// Takes the whole replies out of what came; the status that the last one says.
    fn last_reply(&mut self) -> Result<Option<u64>, Unreadable> {
        let mut status = None;
        while let Some((&[flag, a, b, c, d], rest)) = self.came.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if flag != 0 || length > LONGEST_REPLY {
                return Err(Unreadable);
            }
            let Some((message, rest)) = rest.split_at_checked(length) else { break };
            status = match protobuf::field(message, &[1]) {
                Ok(Some(Value::Varint(status))) => Some(status),
                Ok(None) => Some(0),
                _ => return Err(Unreadable),
            };
            self.came = rest.to_vec();
        }
        Ok(status)
    }

    /// It says nothing that can be understood.
    fn give_up(&self, carrier: &Link) -> News {
        carrier.with(|http2| http2.reset(self.stream, Code::CANCEL));
        News::Off
    }
}

/// A reply that is none of the health service.
struct Unreadable;

/// What the end of a watch means.
fn over(status: u16, fields: &Fields) -> News {
    match fields.find(GRPC_STATUS).map(|field| field.value) {
        Some(UNIMPLEMENTED | NOT_FOUND) => News::Off,
        None if status != 200 => News::Off,
        _ => News::Over,
    }
}

fn head(live: &Live) -> Fields {
    let mut head = Fields::new();
    head.push(b":method", b"POST");
    head.push(b":scheme", if live.tls().is_some() { b"https" } else { b"http" });
    head.push(b":path", b"/grpc.health.v1.Health/Watch");
    head.push(b":authority", live.address().as_str().as_bytes());
    head.push(b"content-type", b"application/grpc");
    head.push(b"te", b"trailers");
    head.push(b"user-agent", concat!("symgate/", env!("CARGO_PKG_VERSION")).as_bytes());
    head
}

/// `HealthCheckRequest { service = 1 }`, with its prefix.
fn request(name: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !name.is_empty() {
        message.push(1 << 3 | 2);
        let mut length = name.len();
        while length > 0x7f {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(name.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

fn pause(failures: u32) -> Duration {
    let whole = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS));
    whole.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(came: &[&[u8]]) -> Watch {
        Watch { place: 0, stream: 1, came: came.concat() }
    }

    #[test]
    fn the_last_whole_reply_counts() {
        const SERVES: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
        const SERVES_NOT: &[u8] = &[0, 0, 0, 0, 2, 8, 2];
        const UNKNOWN: &[u8] = &[0, 0, 0, 0, 0];
        let check = |came: &[&[u8]], expected, rest: &[u8]| {
            let mut watch = watch(came);
            assert_eq!((watch.last_reply().ok().flatten(), &*watch.came), (expected, rest), "{came:?}");
        };
        check(&[], None, &[]);
        check(&[SERVES], Some(1), &[]);
        check(&[SERVES, SERVES_NOT], Some(2), &[]);
        check(&[SERVES_NOT, UNKNOWN], Some(0), &[]);
        check(&[SERVES_NOT, &SERVES[..6]], Some(2), &SERVES[..6]);
        check(&[&SERVES[..3]], None, &SERVES[..3]);
    }

    #[test]
    fn what_is_no_reply_is_told_from_one() {
        for came in [&[1, 0, 0, 0, 2, 8, 1][..], &[0, 1, 0, 0, 0], &[0, 0, 0, 0, 2, 10, 200], &[0, 0, 0, 0, 1, 8]] {
            assert!(watch(&[came]).last_reply().is_err(), "{came:?}");
        }
    }

    #[test]
    fn a_request_names_the_service() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B"), [0, 0, 0, 0, 5, 10, 3, b'a', b'.', b'B']);
        let long = "x".repeat(300);
        let request = request(&long);
        assert_eq!(protobuf::field(&request[5..], &[1]), Ok(Some(Value::Bytes(long.as_bytes()))));
        assert_eq!(request[..5], [0, 0, 0, 1, 47]);
    }

    #[test]
    fn names_are_gathered_over_the_services_of_an_address() {
        let name = |place: usize| Health { place, name: format!("s{place}").into() };
        let (watches, one): (_, Rc<[_]>) = (Watches::default(), [name(0), name(1)].into());
        assert!(watches.want(&one) && !watches.want(&one) && !watches.want(&[name(1)].into()));
        assert!(watches.want(&[name(1), name(31)].into()));
        let names = watches.names.borrow().clone().expect("names");
        assert_eq!(names.iter().map(|name| name.place).collect::<Vec<_>>(), [0, 1, 31]);
        watches.refused.set(name(31).bit());
        assert!(watches.refuse(Some(&name(31))) && !watches.refuse(Some(&name(1))) && !watches.refuse(None));
    }
}
