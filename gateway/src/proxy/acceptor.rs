//! Accepts connections, a permit first, and gives each to the worker that has the fewest.

mod handover;

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{BACKLOG, worker::Setup};
use crate::{metrics::Metrics, shutdown::Shutdown, snapshot::Readers};

/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to a worker.
pub(super) struct Desk {
    connections: Arc<AtomicUsize>,
    queue: mpsc::UnboundedSender<Accepted>,
}

/// A connection and what it holds while it is open.
pub(super) struct Accepted {
    /// The connection.
    pub(super) tcp: std::net::TcpStream,
    /// Counts it until it is dropped.
    pub(super) held: Held,
}

/// Counts one connection until it is dropped.
pub(super) struct Held {
    connections: Arc<AtomicUsize>,
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
}

/// Where connections go.
struct Desks {
    all: Vec<Desk>,
    permits: Arc<Semaphore>,
    metrics: Metrics,
}

impl Desk {
    /// The way to a worker, and its end there.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Accepted>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { connections: Arc::default(), queue }, receiver)
    }
}

impl Held {
    fn new(desk: &Desk, metrics: &Metrics, permit: OwnedSemaphorePermit) -> Self {
        desk.connections.fetch_add(1, Relaxed);
        metrics.downstream_connections.inc();
        Self { connections: desk.connections.clone(), metrics: metrics.clone(), _permit: permit }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Relaxed);
        self.metrics.downstream_connections.dec();
    }
}

/// Accepts until the drain begins, then closes the listener; what the kernel holds ready is accepted first. With a port
/// that others share, it begins when calls can be placed.
///
/// # Errors
/// When the listener cannot be used at all.
pub(super) async fn run(listener: TcpListener, desks: Vec<Desk>, setup: Setup) -> io::Result<()> {
    let Setup { listen, readers, metrics, mut shutdown, .. } = setup;
    if listen.reuse_port && !begins(&listener, &readers, &mut shutdown).await? {
        return Ok(());
    }
    drop(readers);
    tracing::info!(listener = "data", address = %listener.local_addr()?, workers = listen.workers, "listening");
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(listen.max_connections.min(Semaphore::MAX_PERMITS)));
    let desks = Desks { all: desks, permits, metrics };
    tokio::select! {
        () = desks.accept(&listener) => {}
        () = shutdown.draining() => {}
    }
    if listen.reuse_port {
        tokio::select! {
            () = handover::send_away(&listener, |tcp| desks.take_one_more(tcp)) => {}
            () = shutdown.ended() => {}
        }
    }
    desks.take_rest(&listener.into_std()?);
    Ok(())
}

/// Listens on a shared port as soon as calls can be placed; `false`: the gateway ended before.
async fn begins(listener: &TcpListener, readers: &Readers, shutdown: &mut Shutdown) -> io::Result<bool> {
    tokio::select! {
        () = loaded(readers) => {}
        () = shutdown.draining() => return Ok(false),
    }
    socket2::SockRef::from(listener).listen(BACKLOG)?;
    handover::begin(listener);
    Ok(true)
}

/// Waits until calls can be placed.
async fn loaded(readers: &Readers) {
    let mut changes = readers.changes();
    while !readers.reader().snapshot().is_loaded() && changes.next().await {}
}

impl Desks {
    async fn accept(&self, listener: &tokio::net::TcpListener) {
        loop {
            // Closed by nobody.
            let Ok(permit) = self.permits.clone().acquire_owned().await else { return };
            match listener.accept().await.and_then(|(tcp, _)| tcp.into_std()) {
                Ok(tcp) => self.take(tcp, permit),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The kernel resets what it holds ready when the listener is closed.
    fn take_rest(&self, listener: &TcpListener) {
        while let Ok((tcp, _)) = listener.accept() {
            // It is only accepted on some systems as the listener is.
            if tcp.set_nonblocking(true).is_ok() {
                self.take_one_more(tcp);
            }
        }
    }

    /// Unless there are too many.
    fn take_one_more(&self, tcp: std::net::TcpStream) {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            self.take(tcp, permit);
        }
    }

    fn take(&self, tcp: std::net::TcpStream, permit: OwnedSemaphorePermit) {
        let Some(desk) = self.all.iter().min_by_key(|desk| desk.connections.load(Relaxed)) else { return };
        let held = Held::new(desk, &self.metrics, permit);
        // A client that is gone already is no error of the listener.
        let _ = tcp.set_nodelay(true);
        // A worker that has ended drops the connection, which is all that can be done for it.
        let _ = desk.queue.send(Accepted { tcp, held });
    }
}
