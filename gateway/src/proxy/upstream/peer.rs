//! One instance as one worker sees it: its connections, and the attempts to open one.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{SendStream, client::ResponseFuture};
use http::Request;
use tokio::{sync::Notify, time};

use super::{
    Settings,
    connection::{self, Connection},
};
use crate::routing::Live;

/// Connections to one instance.
const MAX_CONNECTIONS: usize = 8;
/// Between two attempts to connect, however many calls want one.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause of an instance that does not answer and that no call wants.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A connection that ended sooner counts as one that could not be opened.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// An instance and its connections.
pub(super) struct Peer {
    live: Arc<Live>,
    settings: Rc<Settings>,
    /// Keeps a connection open while no call needs one.
    warm: bool,
    closed: Cell<bool>,
    connections: RefCell<Vec<Rc<Connection>>>,
    attempt: RefCell<Attempt>,
    /// An attempt came to its end.
    concluded: Notify,
    /// A call wants the next attempt now.
    wanted: Notify,
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

/// A connection that one call may use. Counts the call until it is dropped.
pub(in crate::proxy) struct Lease {
    connection: Rc<Connection>,
    live: Arc<Live>,
}

impl Peer {
    /// Without a connection.
    pub(super) fn new(live: Arc<Live>, settings: Rc<Settings>, warm: bool) -> Rc<Self> {
        Rc::new(Self {
            live,
            settings,
            warm,
            closed: Cell::new(false),
            connections: RefCell::default(),
            attempt: RefCell::new(Attempt::None),
            concluded: Notify::new(),
            wanted: Notify::new(),
        })
    }

    /// Whether a connection is open.
    pub(super) fn is_ready(&self) -> bool {
        !self.connections.borrow().is_empty()
    }

    /// Whether connections are kept open while no call needs one.
    pub(super) fn is_warm(&self) -> bool {
        self.warm
    }

    /// The open connection that the fewest calls use.
    pub(super) fn lease_ready(self: &Rc<Self>) -> Option<Lease> {
        let connections = self.connections.borrow();
        let connection = connections.iter().min_by_key(|connection| connection.calls.get())?.clone();
        let more = connections.len() < MAX_CONNECTIONS && connection.is_crowded();
        drop(connections);
        if more {
            // The call does not wait for it, and when it fails there is still this one.
            let _ = self.open();
        }
        connection.calls.set(connection.calls.get() + 1);
        self.live.call_started();
        Some(Lease { connection, live: self.live.clone() })
    }

    /// Opens a connection, or waits for the attempt that is under way.
    pub(super) async fn lease_opened(self: &Rc<Self>) -> Result<Lease, String> {
        let concluded = self.concluded.notified();
        self.open()?;
        concluded.await;
        self.lease_ready().ok_or_else(|| match &*self.attempt.borrow() {
            Attempt::Failed { why, .. } => why.clone(),
            _ => format!("{} closed the connection at once", self.live.address()),
        })
    }

    /// Opens a connection before a call needs it.
    pub(super) fn open_ahead(self: &Rc<Self>) {
        // A failure is the attempt's own to repeat.
        let _ = self.open();
    }

    /// No new connections; those that are open close after their calls.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.connections.borrow_mut().clear();
        self.wanted.notify_one();
    }

    /// Starts an attempt unless one is under way, or one has failed just now.
    fn open(self: &Rc<Self>) -> Result<(), String> {
        let mut attempt = self.attempt.borrow_mut();
        match &*attempt {
            Attempt::UnderWay => return Ok(()),
            Attempt::Failed { at, why } if at.elapsed() < PAUSE => return Err(why.clone()),
            // Its task pauses until now.
            Attempt::Failed { .. } | Attempt::Pausing if self.warm => self.wanted.notify_one(),
            Attempt::Failed { .. } | Attempt::Pausing | Attempt::None => {
                drop(tokio::task::spawn_local(self.clone().attempt(0)))
            }
        }
        *attempt = Attempt::UnderWay;
        Ok(())
    }

    /// Tries to open a connection, again and again for a warm instance, and drives the one that opens.
    async fn attempt(self: Rc<Self>, mut failures: u32) {
        loop {
            if failures > 0 {
                if !self.warm {
                    return;
                }
                let _ = time::timeout(pause(failures), self.wanted.notified()).await;
            }
            if self.closed.get() || (failures > 0 && self.is_ready()) {
                return self.conclude(Attempt::None);
            }
            self.attempt.replace(Attempt::UnderWay);
            let opening = connection::open(self.live.address(), self.settings.windows);
            let why = match time::timeout(self.settings.connect_timeout, opening).await {
                Ok(Ok((connection, driver))) => return self.opened(connection, driver).await,
                Ok(Err(error)) => format!("cannot connect to {}: {error}", self.live.address()),
                Err(_) => format!(
                    "cannot connect to {}: no HTTP/2 settings within {:?}",
                    self.live.address(),
                    self.settings.connect_timeout
                ),
            };
            tracing::debug!(%why, failures);
            self.settings.metrics.connect_failures.inc();
            failures = failures.saturating_add(1);
            self.conclude(Attempt::Failed { at: Instant::now(), why });
        }
    }

    async fn opened(self: Rc<Self>, connection: Rc<Connection>, driver: connection::Driver) {
        let (weak, since) = (Rc::downgrade(&connection), Instant::now());
        if self.closed.get() {
            return self.conclude(Attempt::None);
        }
        self.connections.borrow_mut().push(connection);
        self.live.connection_opened();
        self.settings.metrics.upstream_connections.inc();
        self.conclude(Attempt::None);
        let ended = driver.run(weak.clone(), || self.retire(weak.as_ptr(), since)).await;
        tracing::debug!(address = %self.live.address(), ?ended, "connection closed");
        self.retire(weak.as_ptr(), since);
        self.live.connection_closed();
        self.settings.metrics.upstream_connections.dec();
    }

    /// Takes a connection that takes no more calls out of use, and opens another where one is kept open.
    fn retire(self: &Rc<Self>, connection: *const Connection, since: Instant) {
        let before = self.connections.borrow().len();
        self.connections.borrow_mut().retain(|open| Rc::as_ptr(open) != connection);
        let last = self.connections.borrow().is_empty() && before > 0;
        if !last || !self.warm || self.closed.get() || !matches!(*self.attempt.borrow(), Attempt::None) {
            return;
        }
        if since.elapsed() < SHORT_LIFE {
            self.attempt.replace(Attempt::Pausing);
            tokio::task::spawn_local(self.clone().attempt(1));
        } else {
            self.open_ahead();
        }
    }

    fn conclude(&self, attempt: Attempt) {
        self.attempt.replace(attempt);
        self.concluded.notify_waiters();
    }
}

impl Lease {
    /// Starts the call; `None`: the connection takes no more, and nothing was sent.
    pub(in crate::proxy) fn send(
        &self,
        request: Request<()>,
        ended: bool,
    ) -> Option<(ResponseFuture, SendStream<Bytes>)> {
        self.connection.send(request, ended)
    }

    /// The instance.
    pub(in crate::proxy) fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.calls.set(self.connection.calls.get() - 1);
        self.live.call_ended();
    }
}

/// Doubles with every failure; between a half and the whole of it, so that workers and gateways spread.
fn pause(failures: u32) -> Duration {
    let whole = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}
