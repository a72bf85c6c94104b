//! One session: connect to one endpoint, list, watch, until something ends it. Decides nothing about trying again.

use std::{convert::Infallible, time::Duration};

use etcd_client::WatchStream;
use tokio::time::timeout;
use tracing::error;

use super::{
    super::source::Change,
    list,
    machine::{End, Known, Meaning, Response, Watch},
    teller::Teller,
    wire::{Connection, within},
};
use crate::{config::Etcd, etcd::reason};

/// What sessions have in common, and what one leaves to the next.
pub(super) struct Session<'a> {
    config: &'a Etcd,
    prefix: &'a str,
    known: Option<Known>,
}

impl<'a> Session<'a> {
    pub(super) fn new(config: &'a Etcd, prefix: &'a str) -> Self {
        Self { config, prefix, known: None }
    }

    /// Everything anew each time, the login too: a token may be the very reason why the last session ended.
    pub(super) async fn run(&mut self, endpoint: &str, teller: &mut Teller) -> Result<Infallible, End> {
        let mut etcd = Connection::open(self.config, endpoint).await?;
        let list = list::read(&mut etcd, self.prefix).await?;
        self.compare(endpoint, list.now)?;
        let mut stream = etcd.watch(self.prefix, list.now.revision.saturating_add(1)).await?;
        let mut watch = Watch::after(list.now.revision);
        confirmed(&mut stream, &mut watch, self.config.timeout).await?;
        teller.listed(Change::Listed { revision: list.now.revision, entries: list.entries }).await;
        loop {
            let response = hear(&mut stream, self.config.watchdog).await?;
            if let Meaning::Say(change) = watch.read(response)? {
                teller.say(change).await;
            }
            self.known = Some(Known { revision: watch.revision(), ..list.now });
        }
    }

    /// The list counts, whatever was known: a watch from a revision that the cluster has not reached stays silent.
    fn compare(&mut self, endpoint: &str, now: Known) -> Result<(), End> {
        if now.revision == 0 {
            return Err(End::Lost("it answers with revision 0, which no etcd has".into()));
        }
        if let Some(odd) = self.known.and_then(|known| known.oddity(now)) {
            error!(prefix = self.prefix, endpoint, "{odd}: was it restored from a backup? its list is taken as it is");
        }
        self.known = Some(now);
        Ok(())
    }
}

/// Waits until etcd says that the watch stands.
async fn confirmed(stream: &mut WatchStream, watch: &mut Watch, limit: Duration) -> Result<(), End> {
    within(limit, async {
        loop {
            let response = received(stream.message().await)?;
            // Nothing that comes earlier tells anything.
            if watch.read(response)? == Meaning::Confirmed {
                return Ok(());
            }
        }
    })
    .await?
}

/// Waits for the next response; a third of the watchdog time without one makes us ask, all of it is the end.
async fn hear(stream: &mut WatchStream, watchdog: Duration) -> Result<Response, End> {
    for _third in 0..3 {
        match timeout(watchdog / 3, stream.message()).await {
            Ok(message) => return received(message),
            Err(_elapsed) => stream.request_progress().await.map_err(|error| End::Lost(reason(&error)))?,
        }
    }
    Err(End::Lost(format!("nothing was heard for {watchdog:?}")))
}

fn received(message: Result<Option<etcd_client::WatchResponse>, etcd_client::Error>) -> Result<Response, End> {
    match message {
        Ok(Some(response)) => Ok(response.into()),
        Ok(None) => Err(End::Lost("it ended the watch".into())),
        Err(error) => Err(End::Lost(reason(&error))),
    }
}
