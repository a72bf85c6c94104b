//! Hears every registry once, for somebody who wants to know what a gateway would see. Publishes nothing.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    UPDATES,
    lives::Lives,
    own::Own,
    source::{Change, Update},
    sources,
    tracked::Tracked,
};
use crate::{
    config::{Config, Source},
    metrics::Metrics,
    snapshot::Service,
};

/// Beyond the time that one request to etcd may take.
const GRACE: Duration = Duration::from_secs(1);

/// What the registries hold for each service, in the order of the configuration, or why that cannot be told.
pub async fn survey(config: &Config) -> Vec<Result<Service, String>> {
    let (sender, mut updates) = mpsc::channel(UPDATES);
    sources::spawn(config, move |_registry| sender.clone());
    let (own, metrics) = (Own::of(config), Metrics::new());
    let mut heard: Vec<_> = Tracked::all(config, &own).map(|tracked| (tracked, Some(silence()))).collect();
    let mut lives = Lives::new(own);
    let until = Instant::now() + patience(config);
    while heard.iter().any(|(_, missing)| missing.is_some())
        && let Ok(Some(Update { service, change })) = timeout_at(until, updates.recv()).await
    {
        let Some((tracked, missing)) = heard.get_mut(service) else { continue };
        match &change {
            Change::Listed { .. } => *missing = None,
            Change::Lost { reason } if missing.is_some() => *missing = Some(reason.clone()),
            _ => {}
        }
        tracked.hear(change, &mut lives, &metrics);
    }
    let now = Instant::now().into_std();
    let mut show = |mut tracked: Tracked| tracked.show(&mut lives, now, &metrics);
    heard.into_iter().map(|(tracked, missing)| missing.map_or_else(|| Ok(show(tracked)), Err)).collect()
}

fn silence() -> String {
    "nothing was heard in time".into()
}

/// A file answers at once; of several etcd members the first may be down.
fn patience(config: &Config) -> Duration {
    let timeouts = config.registries.iter().filter_map(|registry| match &registry.source {
        Source::Etcd(etcd) => Some(etcd.timeout),
        Source::File(_) => None,
    });
    timeouts.max().unwrap_or_default() + GRACE
}
