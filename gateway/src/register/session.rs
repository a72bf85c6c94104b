//! One session: connect to one endpoint, renew or grant the lease, see to it that the key is there, and stay until
//! something is not as it should be. Decides nothing about trying again.

use std::{convert::Infallible, time::Duration};

use etcd_client::{
    Client, Compare, CompareOp, GetResponse, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp, TxnOpResponse,
    WatchOptions, WatchResponse,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tracing::{debug, info, warn};

use super::{Announcement, Standing};
use crate::{
    config::Etcd,
    etcd::{self, reason, within},
};

/// What sessions have in common, and what one leaves to the next.
pub(super) struct Session<'a> {
    config: &'a Etcd,
    announcement: &'a Announcement,
    ttl: Duration,
    standing: &'a watch::Sender<Standing>,
    lease: Option<Lease>,
    /// The revision that was logged last.
    known: Option<u64>,
    /// The trouble that was logged last.
    trouble: Option<String>,
}

/// A lease that etcd granted.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: i64,
    /// When it runs out unless it is renewed; by etcd's clock not before that.
    pub(super) expires: Instant,
    ttl: Duration,
}

/// Why a session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The registration is not there.
    Gone(String),
    /// etcd cannot be heard; the registration stands as long as its lease does.
    Unheard(String),
}

/// The key as etcd has it.
#[derive(Debug)]
struct Seen {
    create_revision: u64,
    /// The revision of the answer.
    revision: i64,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        config: &'a Etcd,
        announcement: &'a Announcement,
        ttl: Duration,
        standing: &'a watch::Sender<Standing>,
    ) -> Self {
        Self { config, announcement, ttl, standing, lease: None, known: None, trouble: None }
    }

    /// What is left to be given back.
    pub(super) fn into_lease(self) -> Option<Lease> {
        self.lease
    }

    /// A lease must not run out while nothing is tried.
    pub(super) fn longest_pause(&self) -> Duration {
        self.ttl / 3
    }

    /// Everything anew each time but the lease: what is still registered is left in peace.
    pub(super) async fn run(&mut self, endpoint: &str) -> Result<Infallible, End> {
        let mut client = etcd::connect(self.config, endpoint).await.map_err(End::Unheard)?;
        let (id, mut keeper, mut answers) = self.renew_or_grant(&mut client).await?;
        let key = self.announcement.key(id);
        let seen = self.put(&mut client, &key, id).await?;
        self.announced(&key, seen.create_revision);
        let options = WatchOptions::new().with_start_revision(seen.revision.saturating_add(1));
        let mut changes = self.answer(client.watch(&*key, Some(options))).await?;
        let third = self.third();
        let mut rounds = interval_at(Instant::now() + third, third);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = rounds.tick() => {
                    self.renew(&mut keeper, &mut answers).await?;
                    // Watches have been seen to lose events; a lost registration that looks well is the worst kind.
                    self.read_back(&mut client, &key, id, seen.create_revision).await?;
                }
                message = changes.message() => changed(message)?,
            }
        }
    }

    /// Takes note of the end, for those who follow the standing and for the log.
    pub(super) fn ended(&mut self, endpoint: &str, end: End) {
        let key = self.lease.as_ref().map(|lease| self.announcement.key(lease.id));
        let ran_out = self.lease.as_ref().is_none_or(|lease| Instant::now() >= lease.expires);
        if ran_out || matches!(end, End::Gone(_)) {
            self.standing.send_replace(Standing::Unsure);
        }
        let stands = matches!(*self.standing.borrow(), Standing::Announced(_));
        match end {
            End::Gone(reason) => warn!(key, endpoint, reason, "the registration is lost; registering again"),
            End::Unheard(reason) if self.trouble.as_ref() == Some(&reason) => {
                debug!(key, endpoint, reason, stands, "still not registered, or not kept alive");
            }
            End::Unheard(reason) => {
                if stands {
                    warn!(
                        key,
                        endpoint, reason, "the registration is not kept alive; it stands until its lease runs out"
                    );
                } else {
                    warn!(endpoint, reason, "not registered; trying again");
                }
                self.trouble = Some(reason);
            }
        }
    }

    fn announced(&mut self, key: &str, revision: u64) {
        match self.known.replace(revision) {
            None => info!(key, revision, "registered"),
            Some(before) if before == revision => info!(key, revision, "the registration stands"),
            Some(before) => info!(key, revision, before, "registered again"),
        }
        self.trouble = None;
        self.standing.send_replace(Standing::Announced(revision));
    }

    /// Renews the lease that is there, else asks for one.
    async fn renew_or_grant(&mut self, client: &mut Client) -> Result<(i64, LeaseKeeper, LeaseKeepAliveStream), End> {
        if let Some(lease) = &mut self.lease {
            let (id, sent) = (lease.id, Instant::now());
            match within(self.config.timeout, client.lease_keep_alive(id)).await.map_err(End::Unheard)? {
                Ok((keeper, answers)) => {
                    lease.expires = sent + lease.ttl;
                    return Ok((id, keeper, answers));
                }
                Err(etcd_client::Error::LeaseKeepAliveError(_)) => self.lease = None,
                Err(error) => return Err(End::Unheard(reason(&error))),
            }
        }
        let sent = Instant::now();
        let seconds = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let granted = self.answer(client.lease_grant(seconds, None)).await?;
        // etcd may choose a longer time than was asked for.
        let ttl = Duration::from_secs(granted.ttl().unsigned_abs());
        let id = granted.id();
        self.lease = Some(Lease { id, ttl, expires: sent + ttl });
        let (keeper, answers) = self.answer(client.lease_keep_alive(id)).await?;
        Ok((id, keeper, answers))
    }

    async fn renew(&mut self, keeper: &mut LeaseKeeper, answers: &mut LeaseKeepAliveStream) -> Result<(), End> {
        let sent = Instant::now();
        let answer = async {
            keeper.keep_alive().await?;
            answers.message().await
        };
        let answer = self.answer(answer).await?.ok_or_else(|| End::Unheard("it ended the lease's stream".into()))?;
        if answer.ttl() <= 0 {
            self.lease = None;
            return Err(End::Gone("etcd does not know the lease any more".into()));
        }
        if let Some(lease) = &mut self.lease {
            lease.expires = sent + lease.ttl;
        }
        Ok(())
    }

    /// Writes the key unless it is there as it should be.
    async fn put(&self, client: &mut Client, key: &str, lease: i64) -> Result<Seen, End> {
        let value = self.announcement.value();
        let there = [Compare::value(key, CompareOp::Equal, &*value), Compare::lease(key, CompareOp::Equal, lease)];
        let get = TxnOp::get(key, None);
        let put = TxnOp::put(key, &*value, Some(PutOptions::new().with_lease(lease)));
        let txn = Txn::new().when(there).and_then([get.clone()]).or_else([put, get]);
        let answer = self.answer(client.txn(txn)).await?;
        let read = answer.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(read) => Some(read),
            _ => None,
        });
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let create_revision = read.as_ref().and_then(|read| self.create_revision(read, lease));
        let create_revision =
            create_revision.ok_or_else(|| End::Gone("the key was written and is not there".into()))?;
        Ok(Seen { create_revision, revision })
    }

    async fn read_back(&self, client: &mut Client, key: &str, lease: i64, expected: u64) -> Result<(), End> {
        let read = self.answer(client.get(key, None)).await?;
        match self.create_revision(&read, lease) {
            Some(revision) if revision == expected => Ok(()),
            _ => Err(End::Gone("the key is not there as it was written".into())),
        }
    }

    /// When the key was created; `None` unless it is there with our value and our lease.
    fn create_revision(&self, read: &GetResponse, lease: i64) -> Option<u64> {
        let pair = read.kvs().first()?;
        let ours = pair.value() == self.announcement.value().as_bytes() && pair.lease() == lease;
        ours.then(|| u64::try_from(pair.create_revision()).ok())?
    }

    async fn answer<T>(&self, answer: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, End> {
        let answer = within(self.config.timeout, answer).await.map_err(End::Unheard)?;
        answer.map_err(|error| End::Unheard(reason(&error)))
    }

    fn third(&self) -> Duration {
        self.lease.as_ref().map_or(self.ttl, |lease| lease.ttl) / 3
    }
}

/// What the watch says, if it goes on.
fn changed(message: Result<Option<WatchResponse>, etcd_client::Error>) -> Result<(), End> {
    match message {
        Ok(Some(response)) if response.canceled() => {
            Err(End::Unheard(format!("etcd canceled the watch: {}", response.cancel_reason())))
        }
        // The key is ours alone: whatever happens to it was done by somebody else.
        Ok(Some(response)) if !response.events().is_empty() => Err(End::Gone("the key was removed or changed".into())),
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(End::Unheard("it ended the watch".into())),
        Err(error) => Err(End::Unheard(reason(&error))),
    }
}
