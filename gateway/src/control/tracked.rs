//! One service and what its registry said so far. Publishes nothing.

use std::{sync::Arc, time::SystemTime};

use tracing::{debug, info, warn};

use super::{
    index::{Index, Remark},
    lives::Lives,
    source::{Change, Event},
};
use crate::{
    config::{self, Config},
    metrics::{Metrics, RegistryEvent},
    routing::{Address, ServiceTable},
    snapshot::{Service, TableState},
};

/// A service's entries, its table, and what is known of the table's truth.
pub(super) struct Tracked {
    registry: Arc<str>,
    name: Arc<str>,
    index: Index,
    /// Its own book of live state; `None`: that of all services without TLS.
    lives: Option<Lives>,
    table: Arc<ServiceTable>,
    end_streams: bool,
    state: TableState,
}

impl Tracked {
    /// All services of a configuration, in its order.
    pub(super) fn all(config: &Config) -> impl Iterator<Item = Self> {
        config.services.iter().enumerate().filter_map(|(place, service)| {
            let lives = service.tls.as_ref().map(|_| Lives::over_tls(config.listen.address, place));
            Some(Self::new(config.registries.get(service.registry)?, service, lives))
        })
    }

    fn new(registry: &config::Registry, service: &config::Service, lives: Option<Lives>) -> Self {
        Self {
            registry: (*registry.name).into(),
            name: (*service.name).into(),
            index: Index::new(service.layout(registry), service.exclusive),
            lives,
            table: Arc::default(),
            end_streams: service.end_streams,
            state: TableState::default(),
        }
    }

    /// The service's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether an entry announces the address.
    pub(super) fn announces(&self, address: &Address) -> bool {
        self.index.announces(address)
    }

    /// Takes in what the registry says.
    pub(super) fn hear(&mut self, change: Change, shared: &mut Lives, metrics: &Metrics) {
        let mut own = self.lives.take();
        self.take_in(change, own.as_mut().unwrap_or(shared), metrics);
        self.lives = own;
    }

    fn take_in(&mut self, change: Change, lives: &mut Lives, metrics: &Metrics) {
        let count = |event, count| metrics.registry_event(&self.registry, &self.name, event, count);
        match change {
            Change::Listed { revision, entries } => {
                count(RegistryEvent::List, 1);
                let (service, entries, before) = (&*self.name, entries, self.index.registrations());
                let listed = entries.len();
                let remarks = self.index.list(entries, lives);
                self.state = TableState { loaded: true, revision, stale_since: None };
                info!(service, revision, entries = listed, before, "registry listed");
                self.log(remarks, metrics);
            }
            Change::Events { revision, events } => {
                self.state.revision = revision;
                let puts = events.iter().filter(|event| matches!(event, Event::Put(_))).count();
                count(RegistryEvent::Put, puts as u64);
                count(RegistryEvent::Delete, (events.len() - puts) as u64);
                for event in events {
                    debug!(service = &*self.name, revision, ?event, "registry changed");
                    let remarks = self.index.apply(event, lives);
                    self.log(remarks, metrics);
                }
            }
            Change::Alive { revision } => self.state.revision = revision.unwrap_or(self.state.revision),
            Change::Kept { since, revision, entries } => {
                count(RegistryEvent::Kept, 1);
                let (service, listed) = (&*self.name, entries.len());
                let remarks = self.index.list(entries, lives);
                self.state = TableState { loaded: true, revision, stale_since: Some(since) };
                warn!(service, revision, entries = listed, "registry not heard; the table kept on disk serves");
                self.log(remarks, metrics);
            }
            Change::Lost { reason } => {
                count(RegistryEvent::Lost, 1);
                warn!(service = &*self.name, reason, "registry lost; the last table keeps serving");
                self.state.stale_since.get_or_insert_with(SystemTime::now);
            }
        }
    }

    /// What everybody may see of it now.
    pub(super) fn show(&mut self, shared: &Lives) -> Service {
        let lives = self.lives.as_ref().unwrap_or(shared);
        let changes = self.index.changes(lives);
        if !changes.is_empty() {
            self.table = Arc::new(self.table.with(changes));
        }
        Service {
            name: self.name.clone(),
            registry: self.registry.clone(),
            table: self.table.clone(),
            state: self.state,
            end_streams: self.end_streams,
            rejected: self.index.rejected().clone(),
            suspended: self.index.suspended().clone(),
        }
    }

    fn log(&self, remarks: Vec<Remark>, metrics: &Metrics) {
        let service = &*self.name;
        for remark in remarks {
            match remark {
                Remark::Rejected { key, reason } => {
                    metrics.registry_event(&self.registry, service, RegistryEvent::Rejected, 1);
                    warn!(service, key, reason, "registry entry rejected");
                }
                Remark::Odd { key, warning } => warn!(service, key, warning, "registry entry is odd"),
                Remark::Suspended { key, address, owns } => warn!(
                    service,
                    key, %address, %owns,
                    "registry entry suspended: a newer one announces its address for another symbol"
                ),
            }
        }
    }
}
