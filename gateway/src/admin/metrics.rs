//! `/metrics`: the counters as they are, and the table's figures as of now.

use crate::{
    metrics::{Metrics, TableFigures},
    snapshot::Snapshot,
};

pub(super) fn render(metrics: &Metrics, snapshot: &Snapshot) -> String {
    for service in &*snapshot.services {
        let stale = service.state.stale_since.and_then(|since| since.elapsed().ok());
        let figures = TableFigures {
            revision: service.state.revision,
            stale_seconds: stale.unwrap_or_default().as_secs_f64(),
            symbols: service.table.symbols(),
            instances: service.table.instances(),
            spared: service.spared,
        };
        metrics.table(&service.registry, &service.name, figures);
        if let Some(expected) = service.expected.as_ref().filter(|expected| expected.loaded) {
            metrics.expected(&service.registry, &service.name, expected.listed.len(), expected.missing);
        }
    }
    for plugin in &*snapshot.plugins {
        metrics.plugin_cut_off(plugin.name(), plugin.cut_off());
    }
    for secured in &*snapshot.secured {
        if let Some(end) = secured.material.not_after() {
            metrics.certificate_not_after(&secured.name, super::unix_seconds(end));
        }
    }
    metrics.render()
}
