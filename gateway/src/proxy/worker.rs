//! One data-plane thread: its connections, its calls, its connections to instances and its sandboxes. Workers share
//! nothing but the snapshot and the live figures of instances.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time,
};

use super::{
    acceptor::Accepted,
    attempt::{Attempt, Decision},
    connection,
    decide::Decider,
    limits::Ending,
    status::{Ended, Reject},
    upstream::{Settings, Upstreams, Windows},
};
use crate::{
    config::{Listen, Upstream},
    metrics::{Metrics, RouteMetrics},
    routing::Head,
    shutdown::Shutdown,
    snapshot::{Changes, Readers},
};

/// How long clients may take to hear that the gateway ended their calls.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the tasks of one worker share.
pub(super) struct Worker {
    /// How clients are listened to.
    pub(super) listen: Listen,
    /// Tells when to drain.
    pub(super) shutdown: Shutdown,
    /// Tells calls that they must end now.
    pub(super) ending: Ending,
    /// Connections to instances.
    pub(super) upstreams: Upstreams,
    /// Counters of the process.
    pub(super) metrics: Metrics,
    decider: RefCell<Decider>,
    connections: Cell<usize>,
    connection_closed: Notify,
}

/// What workers are made of; each gets a clone.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) listen: Listen,
    pub(super) upstream: Upstream,
    pub(super) readers: Readers,
    pub(super) metrics: Metrics,
    pub(super) shutdown: Shutdown,
}

/// Runs a worker until it is drained.
pub(super) async fn run(setup: Setup, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
    let changes = setup.readers.changes();
    let worker = Rc::new(Worker::new(setup));
    let follow = tokio::task::spawn_local(follow(worker.clone(), changes));
    while let Some(Accepted { tcp, held }) = accepted.recv().await {
        let worker = worker.clone();
        worker.connections.set(worker.connections.get() + 1);
        tokio::task::spawn_local(async move {
            if let Err(error) = connection::serve(worker.clone(), tcp).await {
                tracing::debug!(%error, "client connection lost");
            }
            drop(held);
            worker.connections.set(worker.connections.get() - 1);
            worker.connection_closed.notify_waiters();
        });
    }
    // The acceptor stops when the drain begins.
    worker.drain().await;
    follow.abort();
    worker.upstreams.close();
}

/// Follows the snapshots while no call comes: old plugins go, connections are opened and closed.
async fn follow(worker: Rc<Worker>, mut changes: Changes) {
    let mut before = Arc::default();
    loop {
        let services = {
            let mut decider = worker.decider.borrow_mut();
            let snapshot = decider.refresh();
            worker.upstreams.follow(&before, snapshot);
            snapshot.services.clone()
        };
        before = services;
        if !changes.next().await {
            return;
        }
    }
}

impl Worker {
    fn new(setup: Setup) -> Self {
        let Setup { listen, upstream, readers, metrics, shutdown } = setup;
        let upstreams = Upstreams::new(Settings {
            connect_timeout: upstream.connect_timeout,
            warm_connections: upstream.warm_connections,
            windows: Windows { stream: listen.stream_window, connection: listen.connection_window },
            metrics: metrics.clone(),
        });
        Self {
            listen,
            shutdown,
            ending: Ending::default(),
            upstreams,
            decider: RefCell::new(Decider::new(readers.reader(), metrics.clone())),
            metrics,
            connections: Cell::new(0),
            connection_closed: Notify::new(),
        }
    }

    /// Says where a call goes, as the newest snapshot has it.
    pub(super) fn decide(&self, head: &impl Head, attempt: &mut Attempt) -> Result<Decision, Reject> {
        self.decider.borrow_mut().decide(head, attempt, |live| self.upstreams.is_ready(live))
    }

    /// Counts a call that has ended.
    pub(super) fn count(&self, route: Option<&RouteMetrics>, ended: Ended, seconds: f64) {
        match route {
            Some(route) => route.ended(ended.status, ended.reason, seconds),
            None => self.decider.borrow().no_route().ended(ended.status, ended.reason, seconds),
        }
    }

    /// Lets calls finish, then ends them, and waits until clients heard of it.
    async fn drain(&self) {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            () = self.idle() => {}
            () = time::sleep(self.listen.drain_timeout) => {}
            () = shutdown.ended() => {}
        }
        self.ending.come();
        let _ = time::timeout(LAST_WORDS, self.idle()).await;
    }

    async fn idle(&self) {
        while self.connections.get() > 0 {
            self.connection_closed.notified().await;
        }
    }
}
