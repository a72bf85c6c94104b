//! One data-plane thread: its connections, its calls, its connections to instances and its sandboxes. Workers share
//! nothing but the snapshot and the live figures of instances.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use slab::Slab;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    time,
};

use super::{
    acceptor::Accepted,
    attempt::{Attempt, Decision, Place},
    call::Call,
    client,
    counters::RouteCounters,
    deadlines::Deadlines,
    decide::Decider,
    held::Held,
    link::{Link, Scratch},
    moved::has_moved,
    questions,
    status::{Ended, Reject},
    upstream::{Found, Settings, Upstreams},
};
use crate::{
    config::{Decisions, Listen, Route, Upstream},
    http2::{Fields, Token},
    metrics::Metrics,
    plugin::Ring,
    routing::{Head, Live},
    shutdown::Shutdown,
    snapshot::{Changes, Doubts, Questioned, Readers},
    tls::Material,
};

/// How long clients may take to hear that the gateway ended their calls.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Between two looks at which streams have lost their owner, however often the table changes.
const MOVED_PAUSE: Duration = Duration::from_millis(100);
/// Header lists whose memory is kept for the next calls.
const SPARE: usize = 256;
/// The largest such list in bytes.
const SPARE_BYTES: usize = 4096;

/// What the tasks of one worker share.
pub(super) struct Worker {
    /// How clients are listened to.
    pub(super) listen: Listen,
    /// How instances are connected.
    pub(super) upstream: Upstream,
    /// Tells when to drain.
    pub(super) shutdown: Shutdown,
    /// Connections to instances.
    pub(super) upstreams: Upstreams,
    /// Where it is told which instances cannot be reached.
    pub(super) doubts: Doubts,
    /// Counters of the process.
    pub(super) metrics: Metrics,
    /// When calls must end.
    pub(super) deadlines: Deadlines,
    /// Calls that wait for an instance.
    pub(super) held: Held,
    /// All connections.
    pub(super) links: RefCell<Slab<Rc<Link>>>,
    /// Memory to read into.
    pub(super) scratch: RefCell<Scratch>,
    calls: RefCell<Slab<Call>>,
    /// Instances that a stream left while its call goes on.
    left: RefCell<Vec<Arc<Live>>>,
    spare: RefCell<Vec<Fields>>,
    pub(super) decider: RefCell<Decider>,
    /// What it decided lately.
    pub(super) ring: RefCell<Ring>,
    draining: Cell<bool>,
    clients: Cell<usize>,
    client_left: Notify,
    queued: Cell<i64>,
}

/// What workers are made of; each gets a clone.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) listen: Listen,
    pub(super) upstream: Upstream,
    pub(super) decisions: Decisions,
    pub(super) readers: Readers,
    pub(super) metrics: Metrics,
    pub(super) shutdown: Shutdown,
}

/// Runs a worker until it is drained.
pub(super) async fn run(setup: Setup, mut accepted: mpsc::UnboundedReceiver<Accepted>, asked: Questioned) {
    let (changes, later_changes) = (setup.readers.changes(), setup.readers.changes());
    let worker = Rc::new(Worker::new(setup));
    let background = [
        tokio::task::spawn_local(follow(worker.clone(), changes)),
        tokio::task::spawn_local(seconds(worker.clone())),
        tokio::task::spawn_local(deadlines(worker.clone())),
        tokio::task::spawn_local(held(worker.clone())),
        tokio::task::spawn_local(moved(worker.clone(), later_changes)),
        tokio::task::spawn_local(questions::answer(worker.clone(), asked)),
    ];
    while let Some(Accepted { tcp, held }) = accepted.recv().await {
        let worker = worker.clone();
        worker.clients.set(worker.clients.get() + 1);
        tokio::task::spawn_local(async move {
            if let Err(error) = client::serve(worker.clone(), tcp).await {
                tracing::debug!(%error, "client connection lost");
            }
            drop(held);
            worker.clients.set(worker.clients.get() - 1);
            worker.client_left.notify_waiters();
        });
    }
    // The acceptor stops when the drain begins.
    worker.drain().await;
    background.iter().for_each(tokio::task::JoinHandle::abort);
    worker.upstreams.close(&worker);
}

/// Follows the snapshots while no call comes: old plugins go, connections are opened and closed.
async fn follow(worker: Rc<Worker>, mut changes: Changes) {
    let mut before = Arc::default();
    loop {
        let (services, snapshot) = {
            let mut decider = worker.decider.borrow_mut();
            let snapshot = decider.refresh();
            (snapshot.services.clone(), snapshot.clone())
        };
        worker.upstreams.follow(&worker, &before, &snapshot);
        worker.look_again(worker.held.take_changed(&before, &services));
        drop(snapshot);
        before = services;
        if !changes.next().await {
            return;
        }
    }
}

/// Tells every connection when a second has passed.
async fn seconds(worker: Rc<Worker>) {
    let thread = std::thread::current();
    let tasks = worker.metrics.tasks(thread.name().unwrap_or_default().trim_start_matches("symgate-"));
    let runtime = Handle::current().metrics();
    let mut every = time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let mut queued = 0;
        let mut old = Vec::new();
        for (_, link) in worker.links.borrow().iter() {
            link.second_passed();
            queued += link.look(crate::http2::Connection::queued) as i64;
            if link.silent() > client::HANDSHAKE {
                link.drop_silent();
            }
            if link.has_lived() {
                old.push(link.clone());
            }
        }
        if !old.is_empty() {
            worker.stop_calls(&Reject::connection_age(), |call| old.iter().any(|link| call.comes_over(link)));
        }
        worker.end_moved();
        worker.metrics.queued_bytes.inc_by(queued - worker.queued.replace(queued));
        tasks.set(runtime.num_alive_tasks() as i64);
    }
}

/// Ends calls whose time is over.
async fn deadlines(worker: Rc<Worker>) {
    loop {
        let call = worker.deadlines.next().await;
        worker.on_call(call, |call| call.is_late(&worker).map(|reject| call.stop(&reject)));
    }
}

/// Ends streams whose symbol has moved, soon after it has.
async fn moved(worker: Rc<Worker>, mut changes: Changes) {
    while changes.next().await {
        worker.end_moved();
        time::sleep(MOVED_PAUSE).await;
    }
}

/// Looks from time to time whether calls that wait for an instance can be placed.
async fn held(worker: Rc<Worker>) {
    loop {
        let calls = worker.held.next_look().await;
        worker.look_again(calls);
    }
}

impl Worker {
    fn new(setup: Setup) -> Self {
        let Setup { listen, upstream, decisions, readers, metrics, shutdown } = setup;
        Self {
            upstreams: Upstreams::new(Settings::new(&upstream, &listen)),
            doubts: readers.doubts(),
            decider: RefCell::new(Decider::new(readers.reader(), metrics.clone())),
            ring: RefCell::new(Ring::new(decisions.ring, decisions.messages)),
            listen,
            upstream,
            shutdown,
            metrics,
            deadlines: Deadlines::default(),
            held: Held::default(),
            links: RefCell::default(),
            scratch: RefCell::default(),
            calls: RefCell::default(),
            left: RefCell::default(),
            spare: RefCell::default(),
            draining: Cell::new(false),
            clients: Cell::new(0),
            client_left: Notify::new(),
            queued: Cell::new(0),
        }
    }

    /// Says where a call goes, as the newest snapshot has it.
    pub(super) fn decide(&self, head: &impl Head, attempt: &mut Attempt) -> Result<Decision, Reject> {
        let standing = |live: &Live, route: &Route| self.upstreams.standing(live, route);
        self.decider.borrow_mut().decide(head, attempt, standing, &mut *self.ring.borrow_mut())
    }

    /// What a new connection of a client, or to an instance of the service at this place, uses for TLS.
    pub(super) fn tls(&self, service: Option<usize>) -> Option<Arc<Material>> {
        self.decider.borrow_mut().refresh().material(service).cloned()
    }

    /// A connection to an instance for one call.
    pub(super) fn connection(self: &Rc<Self>, place: &Place) -> Found {
        self.upstreams.find(self, &place.instance.live, place.route.service)
    }

    /// A client opened a stream with a call.
    pub(super) fn begin(self: &Rc<Self>, client: &Link, stream: u32, call: Call, end: bool) {
        self.metrics.calls_in_flight.inc();
        let key = self.calls.borrow_mut().insert(call);
        client.with(|http2| http2.bind(stream, key));
        self.on_call(key, |call| call.begin(self, key, end));
    }

    /// Does something with a call, which may end it. A call that has ended is not there any more.
    pub(super) fn on_call(self: &Rc<Self>, key: Token, act: impl FnOnce(&mut Call) -> Option<Ended>) {
        let mut calls = self.calls.borrow_mut();
        let Some(call) = calls.get_mut(key) else { return };
        let ended = act(call).map(|ended| (calls.remove(key), ended));
        drop(calls);
        if let Some((call, ended)) = ended {
            self.conclude(key, call, ended);
        }
        // Only now: another call may have the place.
        let left = self.left.borrow_mut().pop();
        if let Some(live) = left {
            self.upstreams.stream_left(self, &live);
        }
    }

    /// A call that goes on has left an instance.
    pub(super) fn stream_leaves(&self, live: &Arc<Live>) {
        self.left.borrow_mut().push(live.clone());
    }

    /// Ends the streams of services that want it so when their symbol has another owner.
    fn end_moved(self: &Rc<Self>) {
        let services = self.decider.borrow_mut().refresh().services.clone();
        for (at, service) in services.iter().enumerate().filter(|(_, service)| service.end_streams) {
            let lost = |(key, call): (Token, &Call)| {
                let (target, from) = call.streams_of(at)?;
                let moved = has_moved(service, target, from);
                moved.then(|| (key, Reject::moved(&target.of(&service.name), from.address())))
            };
            let lost: Vec<_> = self.calls.borrow().iter().filter_map(lost).collect();
            for (key, reject) in lost {
                self.on_call(key, |call| Some(call.stop(&reject)));
            }
        }
    }

    /// Tries to place calls that waited for an instance.
    fn look_again(self: &Rc<Self>, calls: Vec<Token>) {
        for key in calls {
            self.on_call(key, |call| call.look_again(self, key));
        }
    }

    /// A header list that can be used again.
    pub(super) fn spare_fields(&self) -> Fields {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the memory of a header list.
    pub(super) fn keep_fields(&self, mut fields: Fields) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && (1..=SPARE_BYTES).contains(&fields.capacity()) {
            fields.clear();
            spare.push(fields);
        }
    }

    /// Counts a call that has ended.
    pub(super) fn count(&self, route: Option<&RouteCounters>, ended: Ended, seconds: f64) {
        match route {
            Some(route) => {
                route.metrics.ended(ended.status, ended.reason, seconds);
                route.budget.earn();
            }
            None => self.decider.borrow().no_route().metrics.ended(ended.status, ended.reason, seconds),
        }
    }

    /// Whether no new calls are taken.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    fn conclude(self: &Rc<Self>, key: Token, call: Call, ended: Ended) {
        self.metrics.calls_in_flight.dec();
        let seconds = call.seconds();
        tracing::debug!(?ended, seconds, "call ended");
        self.count(call.counters(), ended, seconds);
        call.times().for_each(|time| self.deadlines.remove(time, key));
        let (fields, instance) = call.into_rest(key);
        self.keep_fields(fields);
        if let Some(live) = instance {
            self.upstreams.stream_left(self, &live);
        }
    }

    /// Lets calls finish, then ends them, and waits until clients heard of it.
    async fn drain(self: &Rc<Self>) {
        self.draining.set(true);
        self.links.borrow().iter().for_each(|(_, link)| link.drain());
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            () = self.idle() => {}
            () = time::sleep(self.listen.drain_timeout) => {}
            () = shutdown.ended() => {}
        }
        self.stop_calls(&Reject::draining(), |_| true);
        self.links.borrow().iter().for_each(|(_, link)| link.drain_at_once());
        let _ = time::timeout(LAST_WORDS, self.idle()).await;
    }

    fn stop_calls(self: &Rc<Self>, reject: &Reject, which: impl Fn(&Call) -> bool) {
        let calls: Vec<_> = self.calls.borrow().iter().filter(|(_, call)| which(call)).map(|(key, _)| key).collect();
        for key in calls {
            self.on_call(key, |call| Some(call.stop(reject)));
        }
    }

    async fn idle(&self) {
        while self.clients.get() > 0 {
            self.client_left.notified().await;
        }
    }
}
