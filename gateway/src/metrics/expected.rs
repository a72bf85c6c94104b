//! How many symbols a service should have instances of, and how many have none.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, labels::ServiceLabels};

/// By service; a service without a list has no figure.
#[derive(Clone, Default)]
pub(super) struct Expected {
    listed: Family<ServiceLabels, Gauge>,
    missing: Family<ServiceLabels, Gauge>,
}

impl Expected {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("expected_symbols", "Symbols that should have an instance", self.listed.clone());
        registry.register("missing_symbols", "Expected symbols without an instance", self.missing.clone());
    }
}

impl Metrics {
    /// The symbols that a service should have instances of, and how many of them have none, as far as that is known.
    pub fn expected(&self, registry: &str, service: &str, listed: usize, missing: Option<usize>) {
        let labels = ServiceLabels { registry: registry.into(), service: service.into() };
        self.expected.listed.get_or_create(&labels).set(listed as i64);
        if let Some(missing) = missing {
            self.expected.missing.get_or_create(&labels).set(missing as i64);
        }
    }
}
