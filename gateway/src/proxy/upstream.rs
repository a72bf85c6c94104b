//! One worker's connections to instances: opened when an instance appears or is first used, kept while it is
//! registered, given to calls. Knows no routes and does not look into what is sent.

mod connection;
mod ejecting;
mod health;
mod peer;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustc_hash::FxHashMap;

pub(super) use self::peer::Peer;
use super::{candidates::Standing, link::Link, worker::Worker};
use crate::{
    config::{Health, Listen, Route, Upstream},
    http2::{Limits, Rates},
    routing::{Live, Routes},
    snapshot::{Service, Snapshot},
};

/// The instances that a worker knows, each with its connections.
pub(super) struct Upstreams {
    settings: Rc<Settings>,
    peers: RefCell<Peers>,
    asked: RefCell<Asked>,
    /// See [`Snapshot::partings`].
    partings: Cell<u64>,
}

/// Under which names the instances of each service are asked for their health, as the routes say.
#[derive(Default)]
struct Asked {
    routes: Arc<Routes<Arc<Route>>>,
    services: Vec<Rc<[Health]>>,
}

/// How connections are opened.
pub(super) struct Settings {
    /// How long opening one may take, the peer's first frame included.
    connect_timeout: Duration,
    /// How many instances are connected before a call needs them.
    warm_connections: usize,
    /// Seconds without a call after which a connection is of no more use.
    idle_limit: u32,
    /// How long a connection with calls may be silent before it is pinged.
    keepalive_interval: Duration,
    /// How long an answer may take.
    keepalive_timeout: Duration,
    /// Failures in a row after which calls keep away.
    eject_after: u32,
    /// For how long, the first time.
    eject_time: Duration,
    /// What one may cost.
    limits: Limits,
}

/// A connection for a call.
pub(super) enum Found {
    /// With room for one more stream, as far as is known.
    Link(Rc<Link>),
    /// One is being opened, or a stream must end first.
    Wait(Rc<Peer>),
    /// None can be opened; says why.
    Failed(String),
}

/// By the address of what is known live of them, which lives as long as the entry.
#[derive(Default)]
struct Peers {
    all: FxHashMap<usize, Rc<Peer>>,
    warm: usize,
}

impl Settings {
    /// As the configuration has them.
    pub(super) fn new(upstream: &Upstream, listen: &Listen) -> Self {
        let limits = Limits {
            max_streams: 0,
            max_header_list: listen.max_header_bytes,
            stream_window: listen.stream_window,
            // Room in it is given back at once: see `http2::Connection::client`.
            connection_window: listen.connection_window.max(listen.stream_window.saturating_mul(2)).min(1 << 30),
            rates: Rates { resets: u32::MAX, frames: listen.max_control_frames_per_second },
        };
        let Upstream { connect_timeout, warm_connections, idle_timeout, .. } = *upstream;
        let Upstream { keepalive_interval, keepalive_timeout, eject_after, eject_time, .. } = *upstream;
        let idle_limit = u32::try_from(idle_timeout.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Self {
            connect_timeout,
            warm_connections,
            idle_limit,
            keepalive_interval,
            keepalive_timeout,
            eject_after,
            eject_time,
            limits,
        }
    }
}

impl Upstreams {
    /// Without any connection.
    pub(super) fn new(settings: Settings) -> Self {
        let (peers, asked, partings) = Default::default();
        Self { settings: Rc::new(settings), peers, asked, partings }
    }

    /// How the instance stands with calls of a route.
    pub(super) fn standing(&self, live: &Live, route: &Route) -> Standing {
        let peers = self.peers.borrow();
        let ejected = live.ejection().is_out();
        match peers.all.get(&key(live)).filter(|peer| peer.is_ready()) {
            Some(peer) if ejected || peer.watches().refuse(route.health.as_ref()) => Standing::Shunned,
            Some(_) => Standing::Ready,
            None if ejected => Standing::Last,
            None => Standing::Untried,
        }
    }

    /// A connection to the instance for one call.
    pub(super) fn find(&self, worker: &Rc<Worker>, live: &Arc<Live>, service: usize) -> Found {
        let peer = self.known(live).unwrap_or_else(|| self.add(live, service, false));
        peer.called();
        match peer.link() {
            Some(link) => {
                peer.open_if_crowded(worker, &link);
                Found::Link(link)
            }
            None => match peer.open(worker) {
                Err(why) if !peer.is_ready() => Found::Failed(why),
                // Where connections are open, a stream of theirs will end.
                Ok(()) | Err(_) => Found::Wait(peer),
            },
        }
    }

    /// A stream to the instance has ended: a call that waits for its place may have it.
    pub(super) fn stream_left(&self, worker: &Rc<Worker>, live: &Live) {
        let peer = self.peers.borrow().all.get(&key(live)).cloned();
        if let Some(peer) = peer {
            peer.stream_left(worker);
        }
    }

    /// Follows the tables: opens connections to what appeared, closes those to what left.
    pub(super) fn follow(&self, worker: &Rc<Worker>, before: &[Service], snapshot: &Snapshot) {
        self.asked.borrow_mut().follow(snapshot);
        for (at, service) in snapshot.services.iter().enumerate() {
            let same =
                before.get(at).filter(|before| before.name == service.name && before.registry == service.registry);
            let none = Service::default();
            service.table.changed_since(
                &same.unwrap_or(&none).table,
                |gone| self.close_unregistered(worker, &gone.live),
                |here| {
                    if here.live.registered() && !here.live.parted() {
                        self.keep_warm(worker, &here.live, at);
                    }
                },
            );
        }
        if self.partings.replace(snapshot.partings) != snapshot.partings {
            let all: Vec<_> = self.peers.borrow().all.values().map(|peer| peer.live().clone()).collect();
            all.iter().for_each(|live| self.close_unregistered(worker, live));
        }
    }

    /// Closes every connection after its calls.
    pub(super) fn close(&self, worker: &Rc<Worker>) {
        let peers = self.peers.take();
        peers.all.values().for_each(|peer| peer.close(worker));
    }

    fn known(&self, live: &Live) -> Option<Rc<Peer>> {
        self.peers.borrow().all.get(&key(live)).cloned()
    }

    /// Keeps the instance connected while there is room for that. One for which there is none costs nothing until a call
    /// needs it: a table may have hundreds of thousands of them.
    fn keep_warm(&self, worker: &Rc<Worker>, live: &Arc<Live>, service: usize) {
        let room = self.peers.borrow().warm < self.settings.warm_connections;
        match self.known(live) {
            Some(peer) => {
                if room && !peer.is_warm() {
                    self.peers.borrow_mut().warm += 1;
                    peer.keep_warm(worker);
                }
                self.asked.borrow().services.get(service).into_iter().for_each(|names| peer.want_health(names));
                peer.look_for_announcement(worker);
            }
            None if room => self.add(live, service, true).open_ahead(worker),
            None => {}
        }
    }

    fn add(&self, live: &Arc<Live>, service: usize, warm: bool) -> Rc<Peer> {
        let peer = Peer::new(live.clone(), self.settings.clone(), warm);
        self.asked.borrow().services.get(service).into_iter().for_each(|names| peer.want_health(names));
        let mut peers = self.peers.borrow_mut();
        peers.warm += usize::from(warm);
        peers.all.insert(key(live), peer.clone());
        peer
    }

    fn close_unregistered(&self, worker: &Rc<Worker>, live: &Arc<Live>) {
        if live.registered() {
            return;
        }
        let mut peers = self.peers.borrow_mut();
        if let Some(peer) = peers.all.remove(&key(live)) {
            peers.warm -= usize::from(peer.is_warm());
            drop(peers);
            peer.close(worker);
        }
    }
}

impl Asked {
    fn follow(&mut self, snapshot: &Snapshot) {
        if Arc::ptr_eq(&self.routes, &snapshot.routes) && self.services.len() == snapshot.services.len() {
            return;
        }
        self.routes = snapshot.routes.clone();
        let mut services = vec![Vec::<Health>::new(); snapshot.services.len()];
        for route in self.routes.targets() {
            if let (Some(names), Some(health)) = (services.get_mut(route.service), &route.health)
                && !names.contains(health)
            {
                names.push(health.clone());
            }
        }
        self.services = services.into_iter().map(Into::into).collect();
    }
}

fn key(live: &Live) -> usize {
    std::ptr::from_ref(live).addr()
}
