//! `/table`: who owns what. At most so many symbols per service are shown, so that one look at a table of 100,000 does not
//! hold up the control plane.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Serialize;

use super::unix_seconds;
use crate::{
    routing::{Instance, Lookup, ServiceTable, Symbol},
    snapshot::{Expectation, Service, Snapshot},
};

/// Symbols, and refused entries, shown per service unless `limit` says otherwise.
const LIMIT: usize = 1_000;

/// What is asked for.
pub(super) struct Filter {
    service: Option<String>,
    symbol: Option<String>,
    limit: usize,
}

#[derive(Serialize)]
pub(super) struct View<'a> {
    services: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    service: &'a str,
    registry: &'a str,
    loaded: bool,
    revision: u64,
    stale_since_unix: Option<u64>,
    /// Why the registry cannot be heard.
    lost: Option<&'a str>,
    symbols_known: usize,
    instances_known: usize,
    rejected_known: usize,
    rejected: BTreeMap<&'a str, &'a str>,
    suspended_known: usize,
    suspended: BTreeMap<&'a str, &'a str>,
    spared_known: usize,
    expected: Option<Expected<'a>>,
    symbols: BTreeMap<&'a str, Vec<Shown<'a>>>,
}

/// Symbols that should have instances, held against those that do. Whole, whatever the limit: what is missing must not
/// be overlooked.
#[derive(Serialize)]
struct Expected<'a> {
    loaded: bool,
    stale_since_unix: Option<u64>,
    symbols_known: usize,
    missing_known: Option<usize>,
    missing: Vec<&'a str>,
    unexpected: Vec<&'a str>,
}

/// An instance.
#[derive(Serialize)]
struct Shown<'a> {
    address: &'a str,
    weight: u32,
    draining: bool,
    /// It left the registry, and serves on.
    spared: bool,
    labels: BTreeMap<&'a str, &'a str>,
    connections: u32,
    in_flight: u32,
    latency_us: u32,
    /// Until when calls keep away from it, in milliseconds of Unix time.
    ejected_until_unix_ms: Option<u64>,
    /// What it says of its health, if it says anything.
    serving: Option<bool>,
}

impl Filter {
    /// From `service`, `symbol` and `limit`; a key that is none of these is refused, as it would show too much.
    pub(super) fn from_query(query: &HashMap<String, String>) -> Result<Self, String> {
        if let Some(unknown) = query.keys().find(|key| !["service", "symbol", "limit"].contains(&key.as_str())) {
            return Err(format!("there is no filter {unknown:?}; use service, symbol or limit"));
        }
        let limit = query.get("limit").map_or(Ok(LIMIT), |limit| limit.parse());
        Ok(Self {
            service: query.get("service").cloned(),
            symbol: query.get("symbol").cloned(),
            limit: limit.map_err(|error| format!("limit is no number: {error}"))?,
        })
    }
}

pub(super) fn view<'a>(snapshot: &'a Snapshot, filter: &'a Filter) -> View<'a> {
    let wanted = |service: &&Service| filter.service.as_deref().is_none_or(|name| name == &*service.name);
    View { services: snapshot.services.iter().filter(wanted).map(|service| one(service, filter)).collect() }
}

fn one<'a>(service: &'a Service, filter: &'a Filter) -> One<'a> {
    let some = |entries: &'a BTreeMap<String, String>| {
        entries.iter().take(filter.limit).map(|(key, reason)| (&**key, &**reason)).collect()
    };
    One {
        service: &service.name,
        registry: &service.registry,
        loaded: service.state.loaded,
        revision: service.state.revision,
        stale_since_unix: service.state.stale_since.map(unix_seconds),
        lost: service.lost.as_deref(),
        symbols_known: service.table.symbols(),
        instances_known: service.table.instances(),
        rejected_known: service.rejected.len(),
        rejected: some(&service.rejected),
        suspended_known: service.suspended.len(),
        suspended: some(&service.suspended),
        spared_known: service.spared,
        expected: service.expected.as_ref().map(|expected| held_against(expected, &service.table)),
        symbols: symbols(&service.table, filter),
    }
}

fn held_against<'a>(expected: &'a Expectation, table: &'a ServiceTable) -> Expected<'a> {
    let Expectation { listed, loaded, stale_since, missing: missing_known } = expected;
    // Before both were read, everything would be missing or unexpected.
    let known = missing_known.is_some();
    let is_missing = |symbol: &&Symbol| known && !matches!(table.lookup(symbol.as_str()), Lookup::Known([_, ..]));
    let is_unexpected = |symbol: &Symbol| known && !symbol.as_str().is_empty() && !listed.contains(symbol);
    let here = table.iter().filter(|(symbol, instances)| !instances.is_empty() && is_unexpected(symbol));
    let mut unexpected: Vec<_> = here.map(|(symbol, _)| symbol.as_str()).collect();
    unexpected.sort_unstable();
    Expected {
        loaded: *loaded,
        stale_since_unix: stale_since.map(unix_seconds),
        symbols_known: listed.len(),
        missing_known: *missing_known,
        missing: listed.iter().filter(is_missing).map(Symbol::as_str).collect(),
        unexpected,
    }
}

fn symbols<'a>(table: &'a ServiceTable, filter: &'a Filter) -> BTreeMap<&'a str, Vec<Shown<'a>>> {
    let shown = |instances: &'a [Arc<Instance>]| instances.iter().map(|instance| shown(instance)).collect();
    if let Some(symbol) = &filter.symbol {
        return match table.lookup(symbol) {
            Lookup::Unknown => BTreeMap::new(),
            Lookup::Known(instances) => BTreeMap::from([(&**symbol, shown(instances))]),
        };
    }
    let mut symbols: Vec<_> = table.iter().map(|(symbol, instances)| (symbol.as_str(), instances)).collect();
    symbols.sort_unstable_by_key(|(symbol, _)| *symbol);
    symbols.into_iter().take(filter.limit).map(|(symbol, instances)| (symbol, shown(instances))).collect()
}

fn shown(instance: &Instance) -> Shown<'_> {
    Shown {
        address: instance.live.address().as_str(),
        weight: instance.weight,
        draining: instance.draining,
        spared: instance.live.parted(),
        labels: instance.labels.iter().collect(),
        connections: instance.live.connections(),
        in_flight: instance.live.in_flight(),
        latency_us: instance.live.latency_us(),
        ejected_until_unix_ms: instance.live.ejection().until(),
        serving: instance.live.health(),
    }
}
