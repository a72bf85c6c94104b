//! The file source: a TOML file of keys and values, told as if it were a registry. Knows nothing of what keys and
//! values mean. It is never `Alive`: a file that does not change is up to date.
//!
//! ```toml
//! "klineRpc/BTC_USDT/1" = "192.168.2.159:9999"
//! "klineRpc/BTC_USDT/2" = { Addr = "192.168.2.160:9999", Metadata = { weight = 2 } }
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::{sync::mpsc, task::spawn_blocking};
use tracing::warn;

use self::{entries::parse, ledger::Ledger};
use super::{
    file_watch::FileWatch,
    rereads::Reread,
    source::{Change, Update},
};

mod entries;
mod ledger;

/// Tells what the file holds for each service, named by its place and the prefix of its keys, until nobody listens
/// any more. What is told waits while `updates` is full. `reread` makes it tell everything anew.
pub async fn watch(path: PathBuf, services: Vec<(usize, String)>, updates: mpsc::Sender<Update>, reread: Reread) {
    let nobody = updates.clone();
    let source = Source { path, services, updates, ledger: Ledger::default(), heard: false };
    tokio::select! {
        () = nobody.closed() => {}
        () = source.run(&reread) => {}
    }
}

/// One file.
struct Source {
    path: PathBuf,
    services: Vec<(usize, String)>,
    updates: mpsc::Sender<Update>,
    ledger: Ledger,
    /// Whether the file is as it was last told.
    heard: bool,
}

impl Source {
    async fn run(mut self, reread: &Reread) {
        let mut watch = match FileWatch::new(vec![self.path.clone()]) {
            Ok(watch) => watch,
            Err(error) => return self.lost(format!("{}: cannot be watched: {error}", self.path.display())).await,
        };
        while let Some(content) = self.next(&mut watch, reread).await {
            let table = match content {
                Ok(content) => parse(&content).map_err(|broken| format!("{}:{broken}", self.path.display())),
                Err(error) => Err(unreadable(&self.path, &error)),
            };
            match table {
                Ok(table) => self.listed(table).await,
                Err(reason) => self.lost(reason).await,
            }
        }
        self.lost(format!("{}: its watch broke down; restart the gateway", self.path.display())).await;
    }

    /// What the file holds when that changed, or when everything is to be told anew. `None`: the watch broke down.
    async fn next(&mut self, watch: &mut FileWatch, reread: &Reread) -> Option<io::Result<Vec<u8>>> {
        tokio::select! {
            change = watch.changed() => change.map(|change| change.content),
            () = reread.notified() => {
                self.heard = false;
                Some(read(self.path.clone()).await)
            }
        }
    }

    /// Tells the services that the change touches; all of them after a loss.
    async fn listed(&mut self, table: Vec<(String, Vec<u8>)>) {
        let touched = self.ledger.write(table);
        for key in &touched {
            if !self.services.iter().any(|(_, prefix)| key.starts_with(prefix)) {
                warn!(file = %self.path.display(), key, "no route leads to the service of this key; it is left out");
            }
        }
        for (service, prefix) in &self.services {
            if self.heard && !touched.iter().any(|key| key.starts_with(prefix)) {
                continue;
            }
            let entries = self.ledger.under(prefix);
            self.say(*service, Change::Listed { revision: self.ledger.revision(), entries }).await;
        }
        self.heard = true;
    }

    /// The last good table stands.
    async fn lost(&mut self, reason: String) {
        self.heard = false;
        for (service, _) in &self.services {
            self.say(*service, Change::Lost { reason: reason.clone() }).await;
        }
    }

    async fn say(&self, service: usize, change: Change) {
        // When nobody listens, `watch` ends.
        drop(self.updates.send(Update { service, change }).await);
    }
}

async fn read(path: PathBuf) -> io::Result<Vec<u8>> {
    spawn_blocking(|| fs::read(path)).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{}: cannot be read ({error}); it is taken up as soon as it can be", path.display())
}
