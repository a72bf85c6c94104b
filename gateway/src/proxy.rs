//! The data plane: accepts connections, finds the place of each call and relays it there. Reads snapshots and writes
//! none; knows no registry, no configuration file and no admin.
//!
//! What touches sockets: `link`, and who opens one: `client` and `upstream`, both with `secure` where TLS is spoken.

mod acceptor;
mod attempt;
mod body;
mod budget;
mod call;
mod candidates;
mod client;
mod counters;
mod deadlines;
mod decide;
mod explain;
mod first_bytes;
mod first_message;
mod head;
mod held;
mod inputs;
mod keepalive;
mod leave;
mod link;
mod moved;
mod observer;
mod questions;
mod request;
mod secure;
mod status;
mod timeout;
mod upstream;
mod worker;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::TcpListener,
    thread::{Builder, JoinHandle},
};

use tokio::runtime::{self, LocalOptions};

pub use self::explain::explain_alone;
use self::{acceptor::Desk, worker::Setup};
use crate::{
    config::{Decisions, Listen, Upstream},
    metrics::Metrics,
    shutdown::Shutdown,
    snapshot::Readers,
};

/// Connections that the kernel holds ready for `accept`.
pub const BACKLOG: i32 = 1024;

/// What the data plane is made of.
pub struct Proxy {
    /// Bound and non-blocking; it listens, unless others share its port.
    pub listener: TcpListener,
    /// How clients are listened to.
    pub listen: Listen,
    /// How instances are connected.
    pub upstream: Upstream,
    /// What is recorded of decisions.
    pub decisions: Decisions,
    /// Where snapshots come from.
    pub readers: Readers,
    /// What is counted.
    pub metrics: Metrics,
    /// Tells when to drain and when to end.
    pub shutdown: Shutdown,
}

/// A data plane that runs.
pub struct Running {
    threads: Vec<JoinHandle<()>>,
}

/// Starts the acceptor and the workers, each a thread.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(proxy: Proxy) -> io::Result<Running> {
    let Proxy { listener, listen, upstream, decisions, readers, metrics, shutdown } = proxy;
    let mut threads = Vec::new();
    let mut desks = Vec::new();
    let setup = Setup { listen, upstream, decisions, readers, metrics, shutdown };
    for number in 0..setup.listen.workers.max(1) {
        let (desk, accepted) = Desk::new();
        // Here, so that workers have the same numbers everywhere.
        let (setup, asked) = (setup.clone(), setup.readers.questions().answered());
        desks.push(desk);
        threads.push(thread(&format!("symgate-worker-{number}"), move || worker::run(setup, accepted, asked))?);
    }
    threads.push(thread("symgate-acceptor", move || async move {
        if let Err(error) = acceptor::run(listener, desks, setup).await {
            tracing::error!(%error, "the listener cannot be used; no connection is accepted");
        }
    })?);
    Ok(Running { threads })
}

impl Running {
    /// Waits until every worker has drained and ended.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a data-plane thread panicked");
            }
        }
    }
}

/// A thread with a runtime of its own.
fn thread<F: Future<Output = ()>>(
    name: &str,
    future: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(move || {
        match runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(future()),
            Err(error) => tracing::error!(%error, "a data-plane thread has no runtime"),
        }
    })
}
