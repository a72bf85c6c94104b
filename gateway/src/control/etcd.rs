//! The etcd source: one task per service that lists, watches and, whenever it cannot, says so and tries again. Knows
//! nothing of what keys and values mean.

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tracing::info;

use self::{machine::End, member::Cluster, session::Session, teller::Teller};
use super::{rereads::Reread, source::Update};
use crate::{
    config::Etcd,
    etcd::{Backoff, endpoints},
};

mod list;
mod machine;
mod member;
mod session;
mod teller;
mod told;
mod wire;

#[cfg(test)]
mod model;

/// Tells everything about the keys that start with `prefix`, as what the registry says of `service`, until nobody
/// listens any more. What is told waits while `updates` is full. `reread` makes it list anew.
pub async fn watch(config: Etcd, prefix: String, service: usize, updates: mpsc::Sender<Update>, reread: Reread) {
    let nobody = updates.clone();
    let teller = Teller::new(prefix.clone(), service, updates);
    tokio::select! {
        () = nobody.closed() => {}
        () = supervise(&config, &config, &prefix, teller, &reread) => {}
    }
}

/// One session after another, over all endpoints in turn.
async fn supervise(cluster: &impl Cluster, config: &Etcd, prefix: &str, mut teller: Teller, reread: &Reread) {
    let mut session = Session::new(cluster, config, prefix);
    let mut backoff = Backoff::default();
    let mut endpoints = endpoints(config);
    let Some(mut endpoint) = endpoints.next() else {
        return teller.lost("no etcd endpoint is configured; name one in [[registry]]".into()).await;
    };
    loop {
        let start = Instant::now();
        let Err(end) = Box::pin(session.run(endpoint, &mut teller, reread)).await;
        let pause = backoff.next(start.elapsed());
        match end {
            End::Relist(reason) => info!(prefix, endpoint, reason, ?pause, "reading the registry anew"),
            End::Lost(reason) => {
                teller.lost(format!("etcd {endpoint}: {reason}")).await;
                endpoint = endpoints.next().unwrap_or(endpoint);
            }
        }
        sleep(pause).await;
    }
}
