//! What is counted and shown of plugin versions.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Metrics,
    labels::{PluginLabel, RollbackLabels},
};

/// By plugin.
#[derive(Clone, Default)]
pub(super) struct Plugins {
    rollbacks: Family<RollbackLabels, Counter>,
    cut_off: Family<PluginLabel, Gauge>,
}

impl Plugins {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("plugin_rollbacks", "Times that an earlier version decides again", self.rollbacks.clone());
        let help = "Workers that do not ask a plugin now, because it failed too much";
        registry.register("plugin_cut_off", help, self.cut_off.clone());
    }
}

impl Metrics {
    /// An earlier version of a plugin decides again: said `admin`, or `automatic`.
    pub fn plugin_rollback(&self, plugin: &str, by: &'static str) {
        self.plugins.rollbacks.get_or_create(&RollbackLabels { plugin: plugin.into(), by }).inc();
    }

    /// How many workers do not ask a plugin now, because it failed too much.
    pub fn plugin_cut_off(&self, plugin: &str, workers: u32) {
        self.plugins.cut_off.get_or_create(&PluginLabel { plugin: plugin.into() }).set(i64::from(workers));
    }
}
