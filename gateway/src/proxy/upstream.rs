//! One worker's connections to instances: opened when an instance appears or is first used, kept while it is
//! registered, given to calls. Knows no routes and does not look into what is sent.

mod connection;
mod peer;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use self::peer::Peer;
pub(super) use self::{connection::Windows, peer::Lease};
use crate::{
    metrics::Metrics,
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
    pub(super) connect_timeout: Duration,
    /// How many instances are connected before a call needs them.
    pub(super) warm_connections: usize,
    /// Receive windows.
    pub(super) windows: Windows,
    /// Where connections are counted.
    pub(super) metrics: Metrics,
}

/// By the address of what is known live of them, which lives as long as the entry.
#[derive(Default)]
struct Peers {
    all: FxHashMap<usize, Rc<Peer>>,
    warm: usize,
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

    /// A connection to the instance for one call; waits for one to be opened where there is none.
    ///
    /// # Errors
    /// Says why none can be opened.
    pub(super) async fn lease(&self, live: &Arc<Live>) -> Result<Lease, String> {
        let peer = self.peer(live, false);
        match peer.lease_ready() {
            Some(lease) => Ok(lease),
            None => peer.lease_opened().await,
        }
    }

    /// Follows the tables: opens connections to what appeared, closes those to what left.
    pub(super) fn follow(&self, before: &[Service], snapshot: &Snapshot) {
        for (at, service) in snapshot.services.iter().enumerate() {
            let same =
                before.get(at).filter(|before| before.name == service.name && before.registry == service.registry);
            let none = Service::default();
            service.table.changed_since(
                &same.unwrap_or(&none).table,
                |gone| self.close_unregistered(&gone.live),
                |here| {
                    if here.live.registered() {
                        self.peer(&here.live, true);
                    }
                },
            );
        }
    }

    /// Closes every connection after its calls.
    pub(super) fn close(&self) {
        std::mem::take(&mut *self.peers.borrow_mut()).all.values().for_each(|peer| peer.close());
    }

    fn peer(&self, live: &Arc<Live>, ahead: bool) -> Rc<Peer> {
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
            peer.open_ahead();
        }
        peer
    }

    fn close_unregistered(&self, live: &Arc<Live>) {
        if live.registered() {
            return;
        }
        let mut peers = self.peers.borrow_mut();
        if let Some(peer) = peers.all.remove(&key(live)) {
            peers.warm -= usize::from(peer.is_warm());
            drop(peers);
            peer.close();
        }
    }
}

fn key(live: &Live) -> usize {
    std::ptr::from_ref(live).addr()
}
