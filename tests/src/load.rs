//! Calls without pause from several clients, each call's end told to the test.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use futures::future::BoxFuture;
use tokio::task::JoinSet;

use crate::{
    Gateway,
    client::{self, Client},
};

/// A load that runs until it is stopped.
pub struct Load {
    stopping: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    clients: JoinSet<()>,
}

impl Load {
    /// Runs `call` in a loop on each of `clients` connections; it gets a client and the number of the call, and fails
    /// the test by panicking.
    pub fn start<F>(gateway: &Gateway, clients: usize, call: F) -> Self
    where
        F: Fn(Client, u64) -> BoxFuture<'static, ()> + Clone + Send + Sync + 'static,
    {
        Self::at(gateway.address(), clients, call)
    }

    /// The same, on an address.
    pub fn at<F>(address: SocketAddr, clients: usize, call: F) -> Self
    where
        F: Fn(Client, u64) -> BoxFuture<'static, ()> + Clone + Send + Sync + 'static,
    {
        let stopping = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicU64::new(0));
        let mut set = JoinSet::new();
        for _ in 0..clients {
            let (client, call) = (client::client(address), call.clone());
            let (stopping, calls) = (stopping.clone(), calls.clone());
            set.spawn(async move {
                while !stopping.load(SeqCst) {
                    call(client.clone(), calls.fetch_add(1, SeqCst)).await;
                }
            });
        }
        Self { stopping, calls, clients: set }
    }

    /// Calls begun so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    /// Waits until this many calls were begun since now; fails as soon as a call failed the test.
    pub async fn calls_more(&mut self, count: u64) {
        let goal = self.calls() + count;
        while self.calls() < goal {
            if let Some(ended) = self.clients.try_join_next() {
                ended.unwrap();
                panic!("a client of the load ended by itself");
            }
            crate::eventually::pause().await;
        }
    }

    /// Ends the load after the calls under way; the number of calls.
    pub async fn stop(mut self) -> u64 {
        self.stopping.store(true, SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.calls()
    }
}
