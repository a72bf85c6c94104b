//! The only meeting point of control plane, data plane and admin: one writer publishes immutable snapshots whole,
//! readers look at the newest. Knows neither side.

mod doubts;
pub mod explanation;
mod questions;
mod versions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use tokio::sync::{mpsc, watch};

use crate::{
    config::Route,
    plugin::Plugin,
    routing::{Routes, ServiceTable, Symbol},
    tls::Material,
};

pub use self::{
    doubts::{Ask, Doubts, Reply},
    questions::{NoAnswer, Question, Questioned, Questions},
    versions::{By, Rejection, Versions},
};

/// One immutable whole of routes, table and plugins.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// All routes; a route names services and plugins by their places below.
    pub routes: Arc<Routes<Arc<Route>>>,
    /// All services.
    pub services: Arc<[Service]>,
    /// All plugins, each in the version that decides now.
    pub plugins: Arc<[Arc<Plugin>]>,
    /// For each plugin what is known of its versions beside the one that decides.
    pub versions: Arc<[Arc<Versions>]>,
    /// Grows whenever instances that left the tables earlier are let go of.
    pub partings: u64,
    /// Who is spoken to with TLS, and by which material now.
    pub secured: Arc<[Secured]>,
}

/// Who is spoken to with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Clients.
    Clients,
    /// The instances of the service at this place.
    Instances(usize),
    /// The etcd of the registry at this place. What is said to it reads the files by itself.
    Etcd(usize),
}

/// Those that are spoken to with TLS, and how.
#[derive(Clone, Debug)]
pub struct Secured {
    /// Who they are.
    pub peers: Peers,
    /// What logs and metrics call it.
    pub name: Arc<str>,
    /// What new connections use.
    pub material: Arc<Material>,
    /// Since when.
    pub loaded: SystemTime,
    /// The newest files that were refused after it.
    pub refused: Option<Refused>,
}

/// Files of TLS that were refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When.
    pub at: SystemTime,
    /// Why.
    pub reason: String,
}

/// A service as its registry shows it.
#[derive(Clone, Default)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// The name of its registry.
    pub registry: Arc<str>,
    /// Who owns which symbol.
    pub table: Arc<ServiceTable>,
    /// What is known of the table's truth.
    pub state: TableState,
    /// Why its registry cannot be heard; `None`: it can, or nothing was tried yet.
    pub lost: Option<Arc<str>>,
    /// Whether streams end when their symbol has another owner.
    pub end_streams: bool,
    /// Instances that left the registry and serve on, because most of the service left with them.
    pub spared: usize,
    /// The entries that announce nothing, by key, each with its reason.
    pub rejected: Arc<BTreeMap<String, String>>,
    /// The entries that are not believed, because a newer one announces their address for another symbol.
    pub suspended: Arc<BTreeMap<String, String>>,
    /// The symbols that it should have instances of, if somebody lists them.
    pub expected: Option<Expectation>,
}

/// The symbols that a service should have instances of. Nothing is routed by it.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// All of them.
    pub listed: Arc<BTreeSet<Symbol>>,
    /// Whether the list was read once.
    pub loaded: bool,
    /// Since when the list cannot be heard; `None`: it can.
    pub stale_since: Option<SystemTime>,
    /// How many have no instance; `None` until the list and the table were both read.
    pub missing: Option<usize>,
}

/// What is known of a table's truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    /// Whether the registry was read whole once.
    pub loaded: bool,
    /// The registry's revision that the table shows.
    pub revision: u64,
    /// Since when the registry cannot be heard; `None`: it can.
    pub stale_since: Option<SystemTime>,
}

/// Publishes snapshots. There is one.
pub struct Writer {
    newest: watch::Sender<Arc<Snapshot>>,
    retired: mpsc::UnboundedReceiver<Arc<Snapshot>>,
    asks: mpsc::Receiver<Ask>,
}

/// Sees the newest snapshot; each thread keeps its own.
pub struct Reader {
    newest: watch::Receiver<Arc<Snapshot>>,
    current: Arc<Snapshot>,
    retire: mpsc::UnboundedSender<Arc<Snapshot>>,
}

/// Tells that a snapshot was published. Apart from [`Reader`], so that waiting never holds one.
pub struct Changes(watch::Receiver<Arc<Snapshot>>);

/// Makes readers.
#[derive(Clone)]
pub struct Readers {
    newest: watch::Receiver<Arc<Snapshot>>,
    retire: mpsc::UnboundedSender<Arc<Snapshot>>,
    doubts: Doubts,
    questions: Questions,
}

/// A writer of snapshots that start with `first`, and what makes its readers.
pub fn channel(first: Snapshot) -> (Writer, Readers) {
    let (sender, receiver) = watch::channel(Arc::new(first));
    let (retire, retired) = mpsc::unbounded_channel();
    let (tell, asks) = Doubts::channel();
    (
        Writer { newest: sender, retired, asks },
        Readers { newest: receiver, retire, doubts: tell, questions: Questions::default() },
    )
}

impl Snapshot {
    /// Whether calls can be placed: every registry was read whole once.
    pub fn is_loaded(&self) -> bool {
        !self.services.is_empty() && self.services.iter().all(|service| service.state.loaded)
    }
}

impl Writer {
    /// Replaces the snapshot for all readers at once.
    pub fn publish(&self, snapshot: Snapshot) {
        self.newest.send_replace(Arc::new(snapshot));
    }

    /// Waits until something is asked for. Meanwhile frees the old snapshots that readers let go of, off
    /// their threads.
    pub async fn asked(&mut self) -> Ask {
        loop {
            tokio::select! {
                Some(snapshot) = self.retired.recv() => drop(snapshot),
                Some(ask) = self.asks.recv() => return ask,
                else => return std::future::pending().await,
            }
        }
    }
}

impl Readers {
    /// One more reader.
    pub fn reader(&self) -> Reader {
        let newest = self.newest.clone();
        let current = newest.borrow().clone();
        Reader { newest, current, retire: self.retire.clone() }
    }

    /// Where to tell which instances cannot be reached.
    pub fn doubts(&self) -> Doubts {
        self.doubts.clone()
    }

    /// Where workers are asked, and say that they answer.
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Tells of every later publication.
    pub fn changes(&self) -> Changes {
        Changes(self.newest.clone())
    }
}

impl Snapshot {
    /// What new connections of clients, or to the instances of the service at this place, use for TLS.
    pub fn material(&self, service: Option<usize>) -> Option<&Arc<Material>> {
        let peers = service.map_or(Peers::Clients, Peers::Instances);
        self.secured.iter().find(|secured| secured.peers == peers).map(|secured| &secured.material)
    }
}

impl Reader {
    /// The newest snapshot: one atomic load unless it changed.
    pub fn snapshot(&mut self) -> &Arc<Snapshot> {
        if self.newest.has_changed().unwrap_or(false) {
            let newest = self.newest.borrow_and_update().clone();
            let old = std::mem::replace(&mut self.current, newest);
            // The writer is gone only when the process ends.
            drop(self.retire.send(old));
        }
        &self.current
    }
}

impl Changes {
    /// Waits until a snapshot was published since the last time; `false`: there will be none.
    pub async fn next(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}
