//! Announces an instance in etcd and keeps it announced: from what is wanted (there, or not) to a leased key, whatever
//! happens to the lease, the key, the connection or etcd itself. Reads no table and routes no call.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::spawn_local,
    time::{Instant, sleep},
};
use tracing::{debug, info, warn};

use self::session::{Lease, Session};
use crate::{
    config::Etcd,
    etcd::{self, Backoff, endpoints},
};

mod announcement;
mod command;
mod health;
mod owner_file;
mod session;

pub use self::{announcement::Announcement, command::Command, health::Health, owner_file::OwnerFile};

/// Looks after one registration.
pub struct Registrar {
    wanted: watch::Sender<bool>,
    standing: watch::Receiver<Standing>,
}

/// Says whether a registration is wanted.
#[derive(Clone)]
pub struct Switch(watch::Sender<bool>);

/// What is known of the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Absent,
    /// Whether it is there cannot be told: on its way in or out, or lost.
    Unsure,
    /// It is there since this revision, which the gateway sends as `symgate-owner`.
    Announced(u64),
}

impl Registrar {
    /// One that announces nothing yet. Starts a task on the runtime of the calling thread.
    pub fn start(etcd: Etcd, announcement: Announcement, ttl: Duration) -> Self {
        let (wanted, hears) = watch::channel(false);
        let (says, standing) = watch::channel(Standing::Absent);
        // While the lease lives, another endpoint must still have its turn after one that does not answer.
        let etcd = Etcd { timeout: etcd.timeout.min(ttl / 3), ..etcd };
        spawn_local(look_after(etcd, announcement, ttl, hears, says));
        Self { wanted, standing }
    }

    /// What says whether the registration is wanted.
    pub fn switch(&self) -> Switch {
        Switch(self.wanted.clone())
    }

    /// What is known of it, now and later.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Takes the registration back and waits until it is gone: removed, or, where etcd cannot be reached, left to run out.
    pub async fn withdraw(&mut self) {
        self.wanted.send_replace(false);
        drop(self.standing.wait_for(|standing| *standing == Standing::Absent).await);
    }
}

impl Switch {
    /// Whether the registration is wanted from now on.
    pub fn set(&self, wanted: bool) {
        self.0.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
    }
}

async fn look_after(
    etcd: Etcd,
    announcement: Announcement,
    ttl: Duration,
    mut wanted: watch::Receiver<bool>,
    standing: watch::Sender<Standing>,
) {
    // An error says that nobody wants anything any more.
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        // Said before the first await: who withdraws from here on has to wait.
        standing.send_replace(Standing::Unsure);
        let mut session = Session::new(&etcd, &announcement, ttl, &standing);
        tokio::select! {
            _ = wanted.wait_for(|wanted| !wanted) => {}
            () = stay(&etcd, &mut session) => {}
        }
        if let Some(lease) = session.into_lease() {
            standing.send_replace(Standing::Unsure);
            revoke(&etcd, &announcement, &lease).await;
        }
        standing.send_replace(Standing::Absent);
    }
}

/// One session after another, over all endpoints in turn.
async fn stay(etcd: &Etcd, session: &mut Session<'_>) {
    let mut backoff = Backoff::default();
    for endpoint in endpoints(etcd) {
        let start = Instant::now();
        let Err(end) = session.run(endpoint).await;
        session.ended(endpoint, end);
        sleep(backoff.next(start.elapsed()).min(session.longest_pause())).await;
    }
    // Without endpoints, which no configuration is.
    std::future::pending().await
}

/// Gives a lease back, and its key with it. Where etcd cannot be reached, waits until the lease has run out.
async fn revoke(etcd: &Etcd, announcement: &Announcement, lease: &Lease) {
    let key = announcement.key(lease.id);
    let mut backoff = Backoff::default();
    for endpoint in endpoints(etcd) {
        let start = Instant::now();
        let reason = match try_to_revoke(etcd, endpoint, lease.id).await {
            Ok(()) => return info!(key, "deregistered"),
            Err(reason) => reason,
        };
        if Instant::now() >= lease.expires {
            return warn!(key, endpoint, reason, "cannot be deregistered; etcd removes it when its lease has run out");
        }
        debug!(key, endpoint, reason, "cannot be deregistered yet; trying again");
        sleep(backoff.next(start.elapsed())).await;
    }
}

async fn try_to_revoke(config: &Etcd, endpoint: &str, lease: i64) -> Result<(), String> {
    let mut client = etcd::connect(config, endpoint).await?;
    match etcd::within(config.timeout, client.lease_revoke(lease)).await? {
        Ok(_) => Ok(()),
        // It had run out already, or somebody else was quicker.
        Err(etcd_client::Error::GRpcStatus(status)) if status.code() == tonic::Code::NotFound => Ok(()),
        Err(error) => Err(etcd::reason(&error)),
    }
}
