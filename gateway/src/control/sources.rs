//! Starts what listens to the registries.

use tokio::{sync::mpsc, task::spawn_local};

use super::{etcd, file, rereads::Reread, source::Update};
use crate::config::{Config, Source};

/// Starts a task per file and one per service of an etcd, on the runtime of the calling thread. They end when nobody
/// hears them any more. `updates` says where those of the registry at a place tell it. For each service what makes its
/// source read everything again.
pub(super) fn spawn(config: &Config, updates: impl Fn(usize) -> mpsc::Sender<Update>) -> Vec<Reread> {
    let mut rereads: Vec<_> = config.services.iter().map(|_| Reread::default()).collect();
    for (at, registry) in config.registries.iter().enumerate() {
        let services = config.services.iter().enumerate().filter(|(_, service)| service.registry == at);
        let services = services.map(|(place, service)| (place, service.layout(registry).prefix().to_owned()));
        let updates = updates(at);
        match &registry.source {
            Source::File(path) => {
                let (reread, services) = (Reread::default(), services.collect::<Vec<_>>());
                for (place, _) in &services {
                    rereads.splice(place..=place, [reread.clone()]);
                }
                spawn_local(file::watch(path.clone(), services, updates, reread));
            }
            Source::Etcd(etcd) => {
                for (place, prefix) in services {
                    let reread = rereads.get(place).cloned().unwrap_or_default();
                    spawn_local(etcd::watch(etcd.clone(), prefix, place, updates.clone(), reread));
                }
            }
        }
    }
    rereads
}
