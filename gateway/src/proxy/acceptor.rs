//! Accepts connections, a permit first, and gives each to the worker that has the fewest.

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

use crate::{metrics::Metrics, shutdown::Shutdown};

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

/// Accepts until the drain begins, then closes the listener.
///
/// # Errors
/// When the listener cannot be used at all.
pub(super) async fn accept(
    listener: TcpListener,
    max_connections: usize,
    desks: Vec<Desk>,
    metrics: Metrics,
    mut shutdown: Shutdown,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let accepting = async {
        loop {
            // Closed by nobody.
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            match listener.accept().await.and_then(|(tcp, _)| tcp.set_nodelay(true).and_then(|()| tcp.into_std())) {
                Ok(tcp) => hand_over(tcp, permit, &desks, &metrics),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.draining() => {}
    }
    Ok(())
}

fn hand_over(tcp: std::net::TcpStream, permit: OwnedSemaphorePermit, desks: &[Desk], metrics: &Metrics) {
    let Some(desk) = desks.iter().min_by_key(|desk| desk.connections.load(Relaxed)) else { return };
    let held = Held::new(desk, metrics, permit);
    // A worker that has ended drops the connection, which is all that can be done for it.
    let _ = desk.queue.send(Accepted { tcp, held });
}
