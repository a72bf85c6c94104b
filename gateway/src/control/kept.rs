//! Keeps what an etcd said in a file, for a start at which that etcd cannot be heard. Off unless the configuration asks
//! for it.
//!
//! It stands between the sources of one registry and control, on a thread of its own: neither a copy of a long list nor
//! a slow disk holds up control. What it hears it passes on as it is.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::{self, Runtime},
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};
use tracing::{debug, error, info, warn};

use self::{book::Book, table::Identity};
use super::{UPDATES, source::Update};
use crate::{
    config::{Config, Keep, Source},
    metrics::{Metrics, RegistryEvent},
};

mod book;
mod disk;
mod table;

/// Between two writings of a table that changes.
const PAUSE: Duration = Duration::from_secs(1);
/// A table that does not change is written so often within its `max_age`, to say that it is still right.
const RENEWALS: u32 = 10;

/// Where the sources of the registry at this place tell what it says, so that `updates` hears it: `updates` itself when
/// nothing of the registry is kept.
pub(super) fn before(
    config: &Config,
    at: usize,
    updates: &mpsc::Sender<Update>,
    metrics: &Metrics,
) -> mpsc::Sender<Update> {
    let Some((registry, keep)) = config.registries.get(at).and_then(|found| Some((found, found.keep.clone()?))) else {
        return updates.clone();
    };
    let Source::Etcd(etcd) = &registry.source else { return updates.clone() };
    let (sender, heard) = mpsc::channel(UPDATES);
    let keeper = Keeper {
        identity: Arc::new(Identity::new(config, at, etcd)),
        book: Book::new(config, at),
        keep,
        timeout: etcd.timeout,
        updates: updates.clone(),
        metrics: metrics.clone(),
        complaint: None,
    };
    if let Err(error) = keeper.start(heard) {
        warn!(registry = registry.name, %error, "the table is not kept on disk");
        return updates.clone();
    }
    sender
}

/// Keeps the table of one registry.
struct Keeper {
    identity: Arc<Identity>,
    book: Book,
    keep: Keep,
    timeout: Duration,
    updates: mpsc::Sender<Update>,
    metrics: Metrics,
    /// Why the table could not be written last time.
    complaint: Option<String>,
}

type Written = JoinHandle<Result<(), String>>;
type Read = JoinHandle<Result<table::Table, String>>;

impl Keeper {
    fn start(self, heard: mpsc::Receiver<Update>) -> io::Result<()> {
        let runtime: Runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("kept-table".into()).spawn(move || runtime.block_on(self.run(heard)))?;
        Ok(())
    }

    /// Until the sources or control are gone.
    async fn run(mut self, mut heard: mpsc::Receiver<Update>) {
        let (mut reading, mut writing): (Option<Read>, Option<Written>) = (None, None);
        let patience = Instant::now() + self.timeout;
        let mut out_of_patience = false;
        let mut last_written = Instant::now();
        loop {
            let due = self.due(last_written);
            tokio::select! {
                // What etcd says goes before what a file says.
                biased;
                () = self.updates.closed() => return,
                update = heard.recv() => match update {
                    Some(update) => self.hear(update).await,
                    None => return,
                },
                () = sleep_until(patience), if !out_of_patience => out_of_patience = true,
                read = ended(&mut reading) => self.take(read).await,
                written = ended(&mut writing) => self.report(written),
                () = sleep_until(due), if writing.is_none() && self.book.is_whole() => {
                    last_written = Instant::now();
                    writing = self.write();
                }
            }
            if out_of_patience && reading.is_none() {
                reading = self.read();
            }
        }
    }

    async fn hear(&mut self, update: Update) {
        self.book.hear(&update, SystemTime::now());
        // When control is gone, `run` ends.
        drop(self.updates.send(update).await);
    }

    /// When the table is written next.
    fn due(&self, last_written: Instant) -> Instant {
        last_written + if self.book.has_changed() { PAUSE } else { self.keep.max_age / RENEWALS }
    }

    /// Reads the file, if etcd was not heard and that was not done.
    fn read(&mut self) -> Option<Read> {
        if !self.book.asks_for_file() {
            return None;
        }
        self.book.file_is_asked();
        let (identity, keep) = (self.identity.clone(), self.keep.clone());
        Some(spawn_blocking(move || {
            let table = table::Table::decode(&disk::read(&keep.file)?)?;
            table.check(&identity, keep.max_age, SystemTime::now())?;
            Ok(table)
        }))
    }

    /// Gives control what the file holds of the services that etcd has not told yet.
    async fn take(&mut self, read: Result<table::Table, String>) {
        let (registry, file) = (&*self.identity.registry, self.keep.file.display());
        let table = match read {
            Ok(table) if !self.book.is_heard() => table,
            Ok(_) => return debug!(registry, %file, "etcd was heard meanwhile; the kept table is not used"),
            Err(reason) => {
                for service in self.identity.services.values() {
                    self.metrics.registry_event(registry, &service.name, RegistryEvent::KeptRefused, 1);
                }
                return error!(registry, %file, reason, "the kept table is refused; nothing is served until etcd is heard");
            }
        };
        warn!(
            registry, %file, age = ?table.age(SystemTime::now()),
            "etcd cannot be heard: the table kept on disk serves; an address in it may belong to another symbol by now"
        );
        for update in self.book.take(table, &self.identity) {
            drop(self.updates.send(update).await);
        }
    }

    /// Writes what is known now, unless the file says it already.
    fn write(&mut self) -> Option<Written> {
        let table = self.book.table_to_write(&self.identity)?;
        let file = self.keep.file.clone();
        Some(spawn_blocking(move || disk::write(&file, &table.encode()?)))
    }

    fn report(&mut self, written: Result<(), String>) {
        let (registry, file) = (&*self.identity.registry, self.keep.file.display());
        match written {
            Ok(()) => {
                if self.complaint.take().is_some() {
                    info!(registry, %file, "the table is kept on disk again");
                }
            }
            Err(reason) => {
                self.book.was_not_written();
                for service in self.identity.services.values() {
                    self.metrics.registry_event(registry, &service.name, RegistryEvent::KeepFailed, 1);
                }
                if self.complaint.as_ref() != Some(&reason) {
                    warn!(registry, %file, reason, "the table cannot be kept on disk; the gateway serves as before");
                    self.complaint = Some(reason);
                }
            }
        }
    }
}

/// Waits for what runs apart, if anything does.
async fn ended<T>(job: &mut Option<JoinHandle<Result<T, String>>>) -> Result<T, String> {
    let Some(running) = job else { return std::future::pending().await };
    let outcome = running.await.unwrap_or_else(|error| Err(error.to_string()));
    *job = None;
    outcome
}
