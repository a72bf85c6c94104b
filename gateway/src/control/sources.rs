//! Starts what listens to the registries.

use tokio::{sync::mpsc, task::spawn_local};

use super::{etcd, file, source::Update};
use crate::config::{Config, Source};

/// Starts a task per file and one per service of an etcd, on the runtime of the calling thread. They end when nobody
/// hears `updates` any more.
pub(super) fn spawn(config: &Config, updates: &mpsc::Sender<Update>) {
    for (at, registry) in config.registries.iter().enumerate() {
        let services = config.services.iter().enumerate().filter(|(_, service)| service.registry == at);
        let services = services.map(|(place, service)| (place, service.layout(registry).prefix().to_owned()));
        match &registry.source {
            Source::File(path) => {
                spawn_local(file::watch(path.clone(), services.collect(), updates.clone()));
            }
            Source::Etcd(etcd) => {
                for (place, prefix) in services {
                    spawn_local(etcd::watch(etcd.clone(), prefix, place, updates.clone()));
                }
            }
        }
    }
}
