//! One worker's connections to instances: opened when an instance appears or is first used, kept while it is
//! registered, given to calls. Knows no routes and does not look into what is sent.

mod connection;
mod peer;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

pub(super) use self::peer::Peer;
use super::{link::Link, worker::Worker};
use crate::{
    config::{Listen, Upstream},
    http2::{Limits, Rates},
    routing::Live,
    snapshot::{Service, Snapshot},
};

/// The instances that a worker knows, each with its connections.
pub(super) struct Upstreams {
    settings: Rc<Settings>,
    peers: RefCell<Peers>,
}

/// How connections are opened.
pub(super) struct Settings {
    /// How long opening one may take, the peer's first frame included.
    connect_timeout: Duration,
    /// How many instances are connected before a call needs them.
    warm_connections: usize,
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
        Self { connect_timeout: upstream.connect_timeout, warm_connections: upstream.warm_connections, limits }
    }
}

impl Upstreams {
    /// Without any connection.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Rc::new(settings), peers: RefCell::default() }
    }

    /// Whether a call can be sent to the instance at once.
    pub(super) fn is_ready(&self, live: &Live) -> bool {
        self.peers.borrow().all.get(&key(live)).is_some_and(|peer| peer.is_ready())
    }

    /// A connection to the instance for one call.
    pub(super) fn find(&self, worker: &Rc<Worker>, live: &Arc<Live>) -> Found {
        let peer = self.peer(worker, live, false);
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
        for (at, service) in snapshot.services.iter().enumerate() {
            let same =
                before.get(at).filter(|before| before.name == service.name && before.registry == service.registry);
            let none = Service::default();
            service.table.changed_since(
                &same.unwrap_or(&none).table,
                |gone| self.close_unregistered(worker, &gone.live),
                |here| {
                    if here.live.registered() {
                        self.peer(worker, &here.live, true);
                    }
                },
            );
        }
    }

    /// Closes every connection after its calls.
    pub(super) fn close(&self, worker: &Rc<Worker>) {
        let peers = self.peers.take();
        peers.all.values().for_each(|peer| peer.close(worker));
    }

    fn peer(&self, worker: &Rc<Worker>, live: &Arc<Live>, ahead: bool) -> Rc<Peer> {
        let mut peers = self.peers.borrow_mut();
        if let Some(peer) = peers.all.get(&key(live)) {
            return peer.clone();
        }
        let warm = ahead && peers.warm < self.settings.warm_connections;
        peers.warm += usize::from(warm);
        let peer = Peer::new(live.clone(), self.settings.clone(), warm);
        peers.all.insert(key(live), peer.clone());
        drop(peers);
        if warm {
            peer.open_ahead(worker);
        }
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

fn key(live: &Live) -> usize {
    std::ptr::from_ref(live).addr()
}
