//! An instance of the k-line service that can be made to misbehave in every way that a process and its machine can. Tells
//! the book of each call that reaches it; knows nothing of the registry.

mod answer;

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use h2::{Reason, server};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, watch},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::book::Book;

/// A running process; killed when dropped.
pub(crate) struct Instance {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// How it treats calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Serves,
    /// Takes calls and does not answer them.
    Stalls,
    /// Reads and writes nothing, as a process that is stopped.
    Frozen,
}

/// What every connection of an instance is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// To end after its calls.
    GoAway,
    /// To end at once, with a GOAWAY.
    Abort,
    /// To end at once, without a word.
    Drop,
}

/// What the tasks of an instance share.
struct Shared {
    port: u16,
    streams: u32,
    book: Arc<Book>,
    mood: watch::Sender<Mood>,
    frozen: Mutex<Option<Instant>>,
    orders: broadcast::Sender<Order>,
    /// Of a thousand calls, how many are reset, and how many refused before they are looked at.
    resets: AtomicU32,
    refusals: AtomicU32,
    connections: AtomicI64,
    calls: AtomicI64,
}

/// Counts while it lives.
struct Counted(Arc<Shared>, fn(&Shared) -> &AtomicI64);

impl Instance {
    /// Starts one on a port, or on one that the system picks, which takes so many streams on a connection.
    ///
    /// # Errors
    /// When the port is taken.
    pub(crate) async fn start(port: u16, streams: u32, book: &Arc<Book>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let shared = Arc::new(Shared {
            port: listener.local_addr()?.port(),
            streams,
            book: book.clone(),
            mood: watch::Sender::new(Mood::Serves),
            frozen: Mutex::new(None),
            orders: broadcast::Sender::new(16),
            resets: AtomicU32::new(0),
            refusals: AtomicU32::new(0),
            connections: AtomicI64::new(0),
            calls: AtomicI64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { shared, accepting })
    }

    pub(crate) fn port(&self) -> u16 {
        self.shared.port
    }

    /// Changes how it treats calls from now on.
    pub(crate) fn feel(&self, mood: Mood) {
        if mood == Mood::Frozen {
            *self.shared.frozen.lock() = Some(Instant::now());
        }
        self.shared.mood.send_replace(mood);
    }

    /// Says what every connection does now.
    pub(crate) fn order(&self, order: Order) {
        // Without a connection nobody hears it.
        let _ = self.shared.orders.send(order);
    }

    /// Of a thousand calls, how many are reset after they were taken, and how many refused before.
    pub(crate) fn break_calls(&self, resets: u32, refusals: u32) {
        self.shared.resets.store(resets, SeqCst);
        self.shared.refusals.store(refusals, SeqCst);
    }

    /// Open connections and calls under way.
    pub(crate) fn busy(&self) -> (i64, i64) {
        (self.shared.connections.load(SeqCst), self.shared.calls.load(SeqCst))
    }

    /// Ends it as a crash does, and waits until its port is free.
    pub(crate) async fn kill(mut self) {
        self.accepting.abort();
        // It was aborted, which is what its end says.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Counted {
    fn new(shared: &Arc<Shared>, counter: fn(&Shared) -> &AtomicI64) -> Self {
        counter(shared).fetch_add(1, SeqCst);
        Self(shared.clone(), counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, SeqCst);
    }
}

/// Its connections end with it: they are in its set.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Why a connection ended is the gateway's to tell.
                Ok((socket, _)) => drop(connections.spawn(connection(socket, shared.clone()))),
                Err(error) => {
                    shared.book.note(&format!("instance {} cannot accept: {error}", shared.port));
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) -> Result<()> {
    let _counted = Counted::new(&shared, |shared| &shared.connections);
    let (mut mood, mut orders) = (shared.mood.subscribe(), shared.orders.subscribe());
    socket.set_nodelay(true)?;
    mood.wait_for(|mood| *mood != Mood::Frozen).await?;
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(shared.streams)
        .initial_window_size(256 << 10)
        .initial_connection_window_size(1 << 20);
    builder.max_pending_accept_reset_streams(10_000).max_concurrent_reset_streams(1000);
    let mut connection = builder.handshake::<_, bytes::Bytes>(socket).await?;
    // They end with the connection.
    let mut calls = JoinSet::new();
    loop {
        mood.wait_for(|mood| *mood != Mood::Frozen).await?;
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(accepted) => {
                    let (request, respond) = accepted?;
                    calls.spawn(answer::answer(request, respond, shared.clone()));
                }
                None => return Ok(()),
            },
            order = orders.recv() => match order? {
                Order::GoAway => connection.graceful_shutdown(),
                Order::Abort => connection.abrupt_shutdown(Reason::NO_ERROR),
                Order::Drop => return Ok(()),
            },
            changed = mood.changed() => changed?,
            Some(_) = calls.join_next() => {}
        }
    }
}
