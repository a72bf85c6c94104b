//! What one worker counts per route and per plugin: looked up once per snapshot, never by label on the way of a call.

use std::{rc::Rc, sync::Arc};

use super::budget::Budget;
use crate::{
    config::Route,
    metrics::{Metrics, PluginMetrics, RouteMetrics},
    plugin::Plugin,
    routing::Routes,
    snapshot::Snapshot,
};

/// What one worker counts of one route.
pub(super) struct RouteCounters {
    /// What operators see of it.
    pub(super) metrics: RouteMetrics,
    /// How often its calls may be sent again.
    pub(super) budget: Budget,
}

/// The counters of the snapshot that was last looked at.
pub(super) struct Counters {
    metrics: Metrics,
    no_route: Rc<RouteCounters>,
    routes: Vec<Option<Rc<RouteCounters>>>,
    plugins: Vec<PluginMetrics>,
    seen_routes: Arc<Routes<Arc<Route>>>,
    seen_plugins: Arc<[Arc<Plugin>]>,
}

impl Counters {
    /// Of no snapshot yet.
    pub(super) fn new(metrics: Metrics) -> Self {
        let no_route = Rc::new(RouteCounters { metrics: metrics.route("", ""), budget: Budget::new(0.0) });
        Self {
            metrics,
            no_route,
            routes: Vec::new(),
            plugins: Vec::new(),
            seen_routes: Arc::default(),
            seen_plugins: Arc::default(),
        }
    }

    /// Follows a snapshot; two comparisons unless its routes or plugins changed.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        if !Arc::ptr_eq(&self.seen_routes, &snapshot.routes) {
            self.seen_routes = snapshot.routes.clone();
            self.routes.clear();
        }
        if !Arc::ptr_eq(&self.seen_plugins, &snapshot.plugins) {
            self.seen_plugins = snapshot.plugins.clone();
            self.plugins = snapshot.plugins.iter().map(|plugin| self.metrics.plugin(plugin.name())).collect();
        }
    }

    /// Of calls that no route takes.
    pub(super) fn no_route(&self) -> &Rc<RouteCounters> {
        &self.no_route
    }

    /// Of a route to a service.
    pub(super) fn route(&mut self, route: &Route, service: &str) -> Rc<RouteCounters> {
        let new = || RouteCounters {
            metrics: self.metrics.route(&route.name, service),
            budget: Budget::new(route.retry_budget),
        };
        if self.routes.len() <= route.index {
            self.routes.resize(route.index + 1, None);
        }
        match self.routes.get_mut(route.index) {
            Some(kept) => kept.get_or_insert_with(|| Rc::new(new())).clone(),
            None => self.no_route.clone(),
        }
    }

    /// Of the plugin at this place.
    pub(super) fn plugin(&self, at: usize) -> Option<&PluginMetrics> {
        self.plugins.get(at)
    }
}
