//! Calls between a connection of ours and one of another make, both ways: what arrives is what was sent.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use proptest::prelude::*;
use tokio::task::LocalSet;

use crate::http2::{Connection, Limits, Rates};

mod others;
mod ours;

/// A header list as both makes can tell it: `http` keeps the order of values, but not that of names.
type List = BTreeMap<String, Vec<Vec<u8>>>;

/// One call as it is meant to go.
#[derive(Clone, Debug)]
struct Plan {
    request: Message,
    response: Message,
    /// The response is whole before the request is.
    early: bool,
    /// The client gives up when this much of the response's body has come.
    cancel: Option<usize>,
    /// The server gives up instead of ending its response.
    abort: bool,
}

/// One direction of a call.
#[derive(Clone, Debug)]
struct Message {
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<usize>,
    trailers: Option<Vec<(String, Vec<u8>)>>,
}

/// One direction of a call as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Came {
    fields: List,
    body: Vec<u8>,
    trailers: Option<List>,
    /// Its end came, too.
    whole: bool,
    /// A reset came instead, with this code.
    reset: Option<u32>,
}

/// What arrived of each call, at both ends.
#[derive(Default)]
struct Journal {
    requests: BTreeMap<usize, Came>,
    responses: BTreeMap<usize, Came>,
    /// Calls of which the client has seen the end.
    done: usize,
}

type Shared = Rc<RefCell<Journal>>;

/// The windows of both ends.
#[derive(Clone, Copy, Debug)]
struct Windows {
    ours: u32,
    theirs: u32,
    connection: u32,
    streams: u32,
}

impl Windows {
    fn limits(self) -> Limits {
        Limits {
            max_streams: self.streams,
            max_header_list: 1 << 16,
            stream_window: self.ours,
            connection_window: self.connection,
            rates: Rates { resets: 200, frames: 1000 },
        }
    }
}

impl Message {
    fn bytes(&self, call: usize) -> Vec<u8> {
        (0..self.body.iter().sum()).map(|at: usize| byte(call, at)).collect()
    }

    /// The pieces of the body.
    fn pieces(&self, call: usize) -> Vec<Vec<u8>> {
        let mut start = 0;
        let piece = |length: &usize| {
            let bytes = (start..start + length).map(|at| byte(call, at)).collect();
            start += length;
            bytes
        };
        self.body.iter().map(piece).collect()
    }

    fn has_arrived(&self, call: usize, came: &Came) {
        let body = self.bytes(call);
        let lost = body.starts_with(&came.body);
        assert!(lost, "the body of call {call} is not what was sent: {} of {} bytes", came.body.len(), body.len());
        assert_eq!(came.fields, list(&self.fields), "the head of call {call}");
        if came.whole {
            assert_eq!(came.body.len(), body.len(), "the body of call {call} is not whole");
            assert_eq!(came.trailers, self.trailers.as_deref().map(list), "the trailers of call {call}");
        }
    }
}

fn byte(call: usize, at: usize) -> u8 {
    (call * 13 + at + at / 253) as u8
}

fn list(fields: &[(String, Vec<u8>)]) -> List {
    let mut list = List::new();
    for (name, value) in fields {
        list.entry(name.clone()).or_default().push(value.clone());
    }
    list
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    // What `http` takes as a value: any visible byte, those above 0x7f, and blanks inside.
    let short = prop::collection::vec(prop_oneof![0x21..=0x7e_u8, 0x80..=0xff_u8], 0..20);
    let long = (0x21..0x7e_u8, 1000..6000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let inside = Just(b"a  b\tc".to_vec());
    let value = prop_oneof![8 => short, 1 => long, 1 => inside];
    let name = prop_oneof![
        Just("x".to_owned()),
        Just("user-agent".to_owned()),
        Just("grpc-timeout".to_owned()),
        Just("!#$%&'*+-.^_`|~0a".to_owned()),
        "[a-z][a-z0-9-]{0,30}".prop_filter("it has a meaning", |name| !KNOWN.contains(&&name[..])),
    ];
    prop::collection::vec((name, value), 0..8)
}

/// Names that are not for every message.
const KNOWN: [&str; 5] = ["connection", "te", "upgrade", "content-length", "transfer-encoding"];

fn message(largest: usize) -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        3 => prop::collection::vec(0..200_usize, 0..10),
        1 => prop::collection::vec(0..largest, 0..5),
    ];
    (fields(), body, prop::option::of(fields())).prop_map(|(fields, body, trailers)| Message { fields, body, trailers })
}

fn plans(largest: usize) -> impl Strategy<Value = Vec<Plan>> {
    let cancel = prop::option::weighted(0.1, 0..largest);
    let plan = (message(largest), message(largest), prop::bool::weighted(0.2), cancel, prop::bool::weighted(0.1));
    let plan =
        plan.prop_map(|(request, response, early, cancel, abort)| Plan { request, response, early, cancel, abort });
    prop::collection::vec(plan, 1..12)
}

fn traffic() -> impl Strategy<Value = (Vec<Plan>, Windows)> {
    let window = || prop_oneof![50..1000_u32, 1000..70_000_u32, 70_000..400_000_u32];
    let windows = (window(), window(), 65_535..400_000_u32, 1..8_u32)
        .prop_map(|(ours, theirs, connection, streams)| Windows { ours, theirs, connection, streams });
    windows.prop_flat_map(|windows| {
        let largest = windows.ours.min(windows.theirs) as usize * 100;
        (plans(largest.min(50_000)), Just(windows))
    })
}

/// Runs both ends until the client has seen the end of every call.
fn run(calls: usize, start: impl FnOnce(&Shared) -> Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>>) -> Journal {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shared = Shared::default();
    let set = LocalSet::new();
    runtime.block_on(set.run_until(async {
        let ends: Vec<_> = start(&shared).into_iter().map(tokio::task::spawn_local).collect();
        let all = async {
            while shared.borrow().done < calls {
                assert!(!ends.iter().any(tokio::task::JoinHandle::is_finished), "an end has failed");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("all calls end");
        ends.iter().for_each(tokio::task::JoinHandle::abort);
    }));
    drop(set);
    Rc::into_inner(shared).expect("all is dropped").into_inner()
}

fn compare(plans: &[Plan], journal: &Journal) {
    for (call, plan) in plans.iter().enumerate() {
        let Some(response) = journal.responses.get(&call) else { panic!("call {call} has no outcome") };
        let request = journal.requests.get(&call);
        if let Some(request) = request {
            plan.request.has_arrived(call, request);
        }
        let disturbed = plan.cancel.is_some() || plan.abort;
        if disturbed && response.reset.is_some() && response.fields.is_empty() {
            // A reset may overtake the head.
            continue;
        }
        plan.response.has_arrived(call, response);
        assert!(disturbed || response.whole, "the response of call {call}: {:?}", response.reset);
        assert!(disturbed || plan.early || request.is_some_and(|request| request.whole), "the request of call {call}");
        assert_eq!(response.whole, response.reset.is_none(), "call {call} ends in one way");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 500, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn our_client_calls_a_server_of_another_make((plans, windows) in traffic()) {
        let journal = run(plans.len(), |shared| {
            let (ours, theirs) = tokio::io::duplex(10_000);
            let client = ours::client(Connection::client(windows.limits()), ours, plans.clone(), Rc::clone(shared));
            vec![Box::pin(client), Box::pin(others::server(theirs, windows, plans.clone(), Rc::clone(shared)))]
        });
        compare(&plans, &journal);
    }

    #[test]
    fn a_client_of_another_make_calls_our_server((plans, windows) in traffic()) {
        let journal = run(plans.len(), |shared| {
            let (theirs, ours) = tokio::io::duplex(10_000);
            let server = ours::server(Connection::server(windows.limits()), ours, plans.clone(), Rc::clone(shared));
            vec![Box::pin(others::client(theirs, windows, plans.clone(), Rc::clone(shared))), Box::pin(server)]
        });
        compare(&plans, &journal);
    }
}
