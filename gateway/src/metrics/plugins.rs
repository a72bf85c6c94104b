//! What is counted and shown of plugin versions.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Metrics, labels::RollbackLabels};

/// By plugin.
#[derive(Clone, Default)]
pub(super) struct Plugins {
    rollbacks: Family<RollbackLabels, Counter>,
}

impl Plugins {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("plugin_rollbacks", "Times that an earlier version decides again", self.rollbacks.clone());
    }
}

impl Metrics {
    /// An earlier version of a plugin decides again: said `admin`, or `automatic`.
    pub fn plugin_rollback(&self, plugin: &str, by: &'static str) {
        self.plugins.rollbacks.get_or_create(&RollbackLabels { plugin: plugin.into(), by }).inc();
    }
}
