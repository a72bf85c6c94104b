//! Starts what listens to the registries.

use tokio::{sync::mpsc, task::spawn_local};

use super::{etcd, file, rereads::Reread, source::Update, symbols_file};
use crate::config::{Config, ExpectedSymbols, Source};

/// Starts a task per file and one per service of an etcd, on the runtime of the calling thread, and the same for lists of
/// expected symbols. They end when nobody hears them any more. `updates` says where those of the registry at a place tell
/// it. For each service what makes its source read everything again.
pub(super) fn spawn(config: &Config, updates: impl Fn(usize) -> mpsc::Sender<Update>) -> Vec<Reread> {
    let mut rereads: Vec<_> = config.services.iter().map(|_| Reread::default()).collect();
    for (at, registry) in config.registries.iter().enumerate() {
        let services = || config.services.iter().enumerate().filter(|(_, service)| service.registry == at);
        let updates = updates(at);
        let mut prefixes: Vec<_> =
            services().map(|(place, service)| (place, service.layout(registry).prefix().to_owned())).collect();
        for (place, expected) in services().filter_map(|(place, service)| Some((place, service.expected.as_ref()?))) {
            let place = config.services.len() + place;
            match expected {
                ExpectedSymbols::Prefix(_) => prefixes.push((place, expected.prefix(registry))),
                ExpectedSymbols::File(path) => {
                    spawn_local(symbols_file::watch(path.clone(), place, updates.clone()));
                }
            }
        }
        match &registry.source {
            Source::File(path) => {
                let reread = Reread::default();
                for (place, _) in services() {
                    rereads.splice(place..=place, [reread.clone()]);
                }
                spawn_local(file::watch(path.clone(), prefixes, updates, reread));
            }
            Source::Etcd(etcd) => {
                for (place, prefix) in prefixes {
                    let reread = rereads.get(place).cloned().unwrap_or_default();
                    spawn_local(etcd::watch(etcd.clone(), prefix, place, updates.clone(), reread));
                }
            }
        }
    }
    rereads
}
