//! The control plane: one task, the only writer of snapshots. Hears the registry, the plugin files and those of TLS; never
//! touches a call.

pub mod certificate_files;
pub mod etcd;
pub mod file;
pub mod file_watch;
pub mod plugin_files;
pub mod source;
pub mod symbols_file;

mod examine;
mod expected;
mod gate;
mod guard;
mod index;
mod kept;
mod lives;
mod own;
mod rereads;
mod sources;
mod survey;
mod tracked;
mod versions;

pub use self::{
    examine::{Examined, Terms, examine},
    gate::Gate,
    own::Own,
    rereads::Reread,
    survey::survey,
};

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep_until},
};
use tracing::{info, warn};

use self::{
    certificate_files::CertificateUpdate,
    lives::Lives,
    rereads::Rereads,
    source::{Change, Update},
    tracked::Tracked,
    versions::Versions,
};
use crate::{
    config::{Config, Route},
    metrics::Metrics,
    plugin::Plugin,
    routing::{Address, Routes},
    shutdown::Shutdown,
    snapshot::{self, Ask, Readers, Refused, Secured, Snapshot, Writer},
};

/// Registry updates that may wait for control; a source that is ahead of it waits.
const UPDATES: usize = 256;
/// The first change publishes at once; those that follow within this time publish together.
const GATHER: Duration = Duration::from_millis(2);
/// Between two looks at the instances that left a moment ago.
const LOOK: Duration = Duration::from_millis(250);
/// Expected symbols that lose their last instance within this time are told of together; one that has another by then is
/// not told of.
const TELL: Duration = Duration::from_secs(1);

/// The routes of a configuration.
pub fn routes(config: &Config) -> Routes<Arc<Route>> {
    let rules = config.routes.iter().cloned();
    Routes::new(rules.map(|route| (route.path.clone(), route.condition.clone(), Arc::new(route))))
}

/// Turns what registries and plugin files say into snapshots.
pub struct Control {
    writer: Writer,
    services: Vec<Tracked>,
    plugins: Vec<Versions>,
    lives: Lives,
    next: Snapshot,
    changed: BTreeSet<usize>,
    dirty: bool,
    /// Since when there is something to tell of expected symbols.
    news: Option<Instant>,
    metrics: Metrics,
}

impl Control {
    /// Of a gateway whose registries were not heard yet; `plugins` are those of the configuration, in its order, and
    /// `secured` what its files of TLS make.
    pub fn new(config: &Config, plugins: Vec<Arc<Plugin>>, secured: &[Secured], metrics: Metrics) -> (Self, Readers) {
        let (own, now) = (Own::of(config), Instant::now().into_std());
        let mut services: Vec<_> = Tracked::all(config, &own).collect();
        let mut lives = Lives::new(own);
        let versions: Vec<_> =
            config.plugins.iter().zip(&plugins).map(|(config, plugin)| Versions::new(config, plugin)).collect();
        let next = Snapshot {
            routes: Arc::new(routes(config)),
            services: services.iter_mut().map(|service| service.show(&mut lives, now, &metrics)).collect(),
            partings: 0,
            versions: versions.iter().map(Versions::show).collect(),
            plugins: plugins.into(),
            secured: secured.into(),
        };
        let (writer, readers) = snapshot::channel(next.clone());
        let changed = BTreeSet::new();
        let control =
            Self { writer, services, plugins: versions, lives, next, changed, dirty: false, news: None, metrics };
        (control, readers)
    }

    /// Listens to the registries of the configuration, hears of plugin and certificate files, and publishes, until the
    /// process ends.
    /// Starts tasks on the runtime of the calling thread.
    pub async fn run(
        mut self,
        config: &Config,
        mut plugins: plugin_files::Line,
        mut certificates: mpsc::UnboundedReceiver<CertificateUpdate>,
        mut shutdown: Shutdown,
    ) {
        let (sender, mut updates) = mpsc::channel(UPDATES);
        let mut rereads =
            Rereads::new(sources::spawn(config, |registry| kept::before(config, registry, &sender, &self.metrics)));
        let mut looks = interval(LOOK);
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.ended() => return,
                () = sleep_until(not_before), if self.dirty => {}
                Some(update) = updates.recv() => self.registry_says(update),
                Some(update) = plugins.updates.recv() => self.plugin_changed(update),
                ask = self.writer.asked() => self.asked(ask, &mut rereads, &plugins),
                _ = looks.tick() => self.look(),
                Some(update) = certificates.recv() => self.certificate_changed(update),
            }
            let now = Instant::now();
            if self.dirty && not_before <= now {
                self.publish();
                not_before = now + GATHER;
            }
        }
    }

    fn publish(&mut self) {
        let mut services = self.next.services.to_vec();
        let now = Instant::now().into_std();
        for at in std::mem::take(&mut self.changed) {
            if let (Some(tracked), Some(shown)) = (self.services.get_mut(at), services.get_mut(at)) {
                *shown = tracked.show(&mut self.lives, now, &self.metrics);
                self.next.partings += u64::from(tracked.settle());
            }
        }
        self.next.partings += u64::from(self.lives.settle());
        self.next.services = services.into();
        self.dirty = false;
        self.writer.publish(self.next.clone());
    }

    fn registry_says(&mut self, update: Update) {
        let of_list = update.service.checked_sub(self.services.len());
        let place = of_list.unwrap_or(update.service);
        let Some(service) = self.services.get_mut(place) else { return };
        let is_seen = !matches!(update.change, Change::Audited | Change::Repaired { .. });
        match of_list {
            Some(_) => service.hear_expected(update.change),
            None => service.hear(update.change, &mut self.lives, &self.metrics),
        }
        if is_seen {
            self.changed.insert(place);
            self.dirty = true;
        }
    }

    fn asked(&mut self, ask: Ask, rereads: &mut Rereads, plugins: &plugin_files::Line) {
        match ask {
            Ask::ReadAgain(address) => self.read_again(&address, rereads),
            Ask::Release(service) => self.release(service),
            Ask::RollBack(at, reply) => drop(reply.send(self.roll_back(at))),
            // Where the files are not looked after any more, the reply goes with this, and the operator is told so.
            Ask::Reload(at, reply) => drop(plugins.told.send(plugin_files::Told { at, reply })),
        }
    }

    /// Tells of expected symbols whose instances left, or came, a moment ago.
    fn tell_news(&mut self, now: Instant) {
        if !self.services.iter().any(Tracked::has_news) {
            self.news = None;
        } else if now >= *self.news.get_or_insert(now) + TELL {
            self.services.iter_mut().for_each(Tracked::tell);
            self.news = None;
        }
    }

    /// Instances that left a moment ago may be gone for good by now, and new versions of plugins may have failed.
    fn look(&mut self) {
        self.tell_news(Instant::now());
        self.look_at_plugins(Instant::now().into_std());
        let now = Instant::now().into_std();
        for (at, service) in self.services.iter_mut().enumerate() {
            if service.tick(&mut self.lives, now) {
                self.changed.insert(at);
                self.dirty = true;
            }
        }
    }

    /// An operator says that those who are spared are gone.
    fn release(&mut self, at: usize) {
        let Some(service) = self.services.get_mut(at) else { return };
        let spared = service.release(&mut self.lives);
        warn!(service = service.name(), spared, "told to believe the registry: nobody is spared any more");
        self.changed.insert(at);
        self.dirty = true;
    }

    /// What the registry says of an instance that cannot be reached may be wrong: a delete may have been lost.
    fn read_again(&self, address: &Address, rereads: &mut Rereads) {
        for (at, service) in self.services.iter().enumerate() {
            if service.announces(address) && rereads.ask(at, Instant::now().into_std()) {
                info!(service = service.name(), %address, "the instance cannot be connected: reading the registry again");
            }
        }
    }

    /// Connections that are open keep what they have.
    fn certificate_changed(&mut self, update: CertificateUpdate) {
        let mut all = self.next.secured.to_vec();
        let Some(secured) = all.get_mut(update.at) else { return };
        let of = &*secured.name;
        self.metrics.certificate_load(of, update.outcome.is_ok());
        match update.outcome {
            Ok(material) => {
                info!(of, names = ?material.names(), "certificates activated");
                *secured = Secured { material, loaded: SystemTime::now(), refused: None, ..secured.clone() };
            }
            Err(reason) => {
                warn!(of, reason, "certificates rejected; new connections use the old ones");
                secured.refused = Some(Refused { at: SystemTime::now(), reason });
            }
        }
        self.next.secured = all.into();
        self.dirty = true;
    }
}
