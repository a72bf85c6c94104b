//! One instance as one worker sees it: its connections, the attempts to open one, and the calls that wait.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time};

use super::{Settings, connection, health::Watches};
use crate::{
    http2::{Connection, Token},
    proxy::{keepalive::Keepalive, link::Link, worker::Worker},
    routing::{Failure, Live},
};

/// Connections to one instance.
const MAX_CONNECTIONS: usize = 8;
/// Streams of one connection above which another is of use, whatever the instance allows.
const MANY_STREAMS: usize = 1024;
/// Between two attempts to connect, however many calls want one.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause of an instance that does not answer and that no call wants.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A connection that ended sooner counts as one that could not be opened.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// How often the interval between pings may double.
const CALMEST: u32 = 10;

/// An instance and its connections.
pub(in crate::proxy) struct Peer {
    live: Arc<Live>,
    settings: Rc<Settings>,
    /// Keeps a connection open while no call needs one.
    warm: Cell<bool>,
    closed: Cell<bool>,
    links: RefCell<Vec<Rc<Link>>>,
    attempt: RefCell<Attempt>,
    waiting: RefCell<VecDeque<Token>>,
    /// A call wants the next attempt now.
    wanted: Notify,
    watches: Watches,
    /// How often the instance asked for fewer pings.
    calm: Cell<u32>,
    /// How often its address had been registered when that was last looked at.
    announced: Cell<u32>,
}

/// The attempt to open one more connection. There is one at a time.
enum Attempt {
    None,
    UnderWay,
    /// Waits before it begins, unless a call wants it: the last connection did not live long.
    Pausing,
    Failed {
        at: Instant,
        why: String,
    },
}

impl Peer {
    /// Without a connection.
    pub(super) fn new(live: Arc<Live>, settings: Rc<Settings>, warm: bool) -> Rc<Self> {
        Rc::new(Self {
            announced: Cell::new(live.announced()),
            live,
            settings,
            warm: Cell::new(warm),
            closed: Cell::new(false),
            links: RefCell::default(),
            attempt: RefCell::new(Attempt::None),
            waiting: RefCell::default(),
            wanted: Notify::new(),
            watches: Watches::default(),
            calm: Cell::new(0),
        })
    }

    /// The instance.
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// How connections are opened.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the instance says of its health.
    pub(super) fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Whether the instance is registered no longer.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The connection that was opened first.
    pub(super) fn first_link(&self) -> Option<Rc<Link>> {
        self.links.borrow().first().cloned()
    }

    /// When a new connection is pinged.
    pub(super) fn keepalive(&self) -> Keepalive {
        let interval = self.settings.keepalive_interval.saturating_mul(1 << self.calm.get().min(CALMEST));
        Keepalive::new(interval, self.settings.keepalive_timeout)
    }

    /// Whether a connection is open.
    pub(in crate::proxy) fn is_ready(&self) -> bool {
        !self.links.borrow().is_empty()
    }

    /// Whether connections are kept open while no call needs one.
    pub(super) fn is_warm(&self) -> bool {
        self.warm.get()
    }

    /// Keeps connections open from here on, for an instance that a call found before the tables were followed.
    pub(super) fn keep_warm(self: &Rc<Self>, worker: &Rc<Worker>) {
        self.warm.set(true);
        if self.is_ready() {
            return;
        }
        // Nobody repeats an attempt that a call made.
        let failed = matches!(*self.attempt.borrow(), Attempt::Failed { .. });
        if failed {
            self.attempt.replace(Attempt::None);
        }
        self.open_ahead(worker);
    }

    /// The open connection that the fewest streams use, if it has room. One whose window a stream keeps shut is as good
    /// as none while another may be opened.
    pub(in crate::proxy) fn link(&self) -> Option<Rc<Link>> {
        let links = self.links.borrow();
        let with_room = links.iter().filter(|link| link.room() > 0);
        let link = with_room.min_by_key(|link| link.look(|http2| (http2.is_stuck(), http2.streams())))?;
        let serves = links.len() >= MAX_CONNECTIONS || !link.look(Connection::is_stuck);
        serves.then(|| {
            link.touch();
            link.clone()
        })
    }

    /// Opens one more connection when so many streams use this one that another is of use.
    pub(super) fn open_if_crowded(self: &Rc<Self>, worker: &Rc<Worker>, link: &Link) {
        let crowded = link.look(|http2| http2.streams() * 4 >= http2.max_streams().min(MANY_STREAMS) * 3);
        if crowded {
            // The call does not wait for it, and when it fails there is still this one.
            let _ = self.open(worker);
        }
    }

    /// Opens a connection before a call needs it.
    pub(super) fn open_ahead(self: &Rc<Self>, worker: &Rc<Worker>) {
        // A failure is the attempt's own to repeat.
        let _ = self.open(worker);
    }

    /// The address may have been registered once more: then nobody waits any longer before it is connected, and a
    /// connection that was given up is wanted again.
    pub(super) fn look_for_announcement(self: &Rc<Self>, worker: &Rc<Worker>) {
        let announced = self.live.announced();
        let news = self.announced.replace(announced) != announced;
        let given_up = matches!(*self.attempt.borrow(), Attempt::None);
        if (news || given_up) && self.warm.get() && !self.is_ready() {
            self.open_ahead(worker);
        }
    }

    /// A call waits for a connection, or for room on one.
    pub(in crate::proxy) fn wait(&self, call: Token) {
        self.waiting.borrow_mut().push_back(call);
    }

    /// How many do.
    pub(in crate::proxy) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// A call waits no longer.
    pub(in crate::proxy) fn give_up(&self, call: Token) {
        self.waiting.borrow_mut().retain(|waiting| *waiting != call);
    }

    /// A stream has ended: the calls that wait longest may have its place.
    pub(super) fn stream_left(&self, worker: &Rc<Worker>) {
        // More than one may go on: those before may have gone elsewhere.
        for _ in 0..self.waiting() {
            let next = if self.link().is_some() { self.waiting.borrow_mut().pop_front() } else { None };
            let Some(call) = next else { return };
            worker.on_call(call, |waiting| waiting.resume(worker, call, self, None));
        }
    }

    /// A connection allows more streams than it did.
    pub(super) fn has_room(&self, worker: &Rc<Worker>) {
        if self.is_ready() {
            self.wake_waiting(worker, None);
        }
    }

    /// No new connections; those that are open close after their calls.
    pub(super) fn close(&self, worker: &Rc<Worker>) {
        self.closed.set(true);
        for link in self.links.take() {
            self.leave_carrier(&link);
            link.drain();
        }
        self.wanted.notify_one();
        self.wake_waiting(worker, Some("it is registered no longer"));
    }

    /// Starts an attempt unless one is under way, one has failed just now, or there are enough connections.
    ///
    /// # Errors
    /// Why no call should wait for one.
    pub(super) fn open(self: &Rc<Self>, worker: &Rc<Worker>) -> Result<(), String> {
        if self.links.borrow().len() >= MAX_CONNECTIONS {
            return Ok(());
        }
        if self.live.parted() {
            return Err("the registry took it back, and nothing new is opened".into());
        }
        let mut attempt = self.attempt.borrow_mut();
        match &*attempt {
            Attempt::UnderWay => return Ok(()),
            Attempt::Failed { at, why } if at.elapsed() < PAUSE => return Err(why.clone()),
            // Its task pauses until now.
            Attempt::Failed { .. } | Attempt::Pausing if self.warm.get() => self.wanted.notify_one(),
            Attempt::Failed { .. } | Attempt::Pausing | Attempt::None => {
                drop(tokio::task::spawn_local(self.clone().attempt(worker.clone(), 0)));
            }
        }
        *attempt = Attempt::UnderWay;
        Ok(())
    }

    /// A connection is open.
    pub(super) fn opened(&self, worker: &Rc<Worker>, link: &Rc<Link>) {
        self.live.connection_opened();
        worker.metrics.upstream_connections.inc();
        if self.closed.get() {
            link.drain();
        } else {
            self.links.borrow_mut().push(link.clone());
            self.connected();
            // Before calls take its room.
            self.watch_health();
        }
        self.conclude(worker, Attempt::None);
    }

    /// Takes a connection that takes no more calls out of use, and opens another where one is kept open.
    pub(super) fn retire(self: &Rc<Self>, worker: &Rc<Worker>, link: &Rc<Link>, since: Instant) {
        let before = self.links.borrow().len();
        self.links.borrow_mut().retain(|open| !Rc::ptr_eq(open, link));
        self.leave_carrier(link);
        let last = self.links.borrow().is_empty() && before > 0;
        if !last || self.closed.get() || !matches!(*self.attempt.borrow(), Attempt::None) {
            return;
        }
        let waited_for = !self.waiting.borrow().is_empty();
        if self.warm.get() && since.elapsed() < SHORT_LIFE && !waited_for {
            self.attempt.replace(Attempt::Pausing);
            tokio::task::spawn_local(self.clone().attempt(worker.clone(), 1));
        } else if self.warm.get() || waited_for {
            self.open_ahead(worker);
        }
    }

    /// The instance says that it was pinged too often.
    pub(super) fn calm_down(&self) {
        self.calm.set(self.calm.get().saturating_add(1).min(CALMEST));
        let (address, interval) = (self.live.address(), self.keepalive().interval());
        tracing::info!(%address, ?interval, "the instance wants fewer keepalive pings");
    }

    /// A connection had no call for long: it closes, unless it is the last one of an instance that is kept ready.
    pub(super) fn leave_idle(&self, link: &Rc<Link>) {
        let mut links = self.links.borrow_mut();
        if self.warm.get() && links.len() < 2 {
            return link.touch();
        }
        let before = links.len();
        links.retain(|open| !Rc::ptr_eq(open, link));
        let closes = links.len() < before;
        drop(links);
        link.touch();
        if closes {
            tracing::debug!(address = %self.live.address(), "an idle connection is closed");
            self.leave_carrier(link);
            link.drain();
        }
    }

    /// Tries to open a connection, again and again for a warm instance, and drives the one that opens.
    async fn attempt(self: Rc<Self>, worker: Rc<Worker>, mut failures: u32) {
        loop {
            if failures > 0 {
                if !self.warm.get() {
                    return;
                }
                let _ = time::timeout(pause(failures), self.wanted.notified()).await;
            }
            if self.closed.get() || self.live.parted() || (failures > 0 && self.is_ready()) {
                return self.conclude(&worker, Attempt::None);
            }
            self.attempt.replace(Attempt::UnderWay);
            let Err(why) = connection::run(&worker, &self, &self.settings).await else {
                self.live.connection_closed();
                worker.metrics.upstream_connections.dec();
                return;
            };
            tracing::debug!(%why, failures);
            worker.metrics.connect_failures.inc();
            failures = failures.saturating_add(1);
            self.failed(&worker, Failure::Connect);
            self.conclude(&worker, Attempt::Failed { at: Instant::now(), why });
        }
    }

    fn conclude(&self, worker: &Rc<Worker>, attempt: Attempt) {
        let why = match &attempt {
            Attempt::Failed { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.attempt.replace(attempt);
        // Calls that wait for room on a connection go on waiting when another cannot be opened.
        if why.is_none() || !self.is_ready() {
            self.wake_waiting(worker, why.as_deref());
        }
    }

    fn wake_waiting(&self, worker: &Rc<Worker>, why: Option<&str>) {
        let waiting = self.waiting.take();
        for call in waiting {
            worker.on_call(call, |waiting| waiting.resume(worker, call, self, why));
        }
    }
}

/// Doubles with every failure; between a half and the whole of it, so that workers and gateways spread.
fn pause(failures: u32) -> Duration {
    let whole = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}
