//! What the gateway would make of a service's entries, with what it does not look at itself: formats and leases.

use std::collections::BTreeMap;

use super::{
    Subject,
    reader::{Found, Range, TimeLeft},
    report::{self, Entry, Finding, Format, Route, Standing},
};
use crate::{
    config::Config,
    control::{Examined, Terms, examine},
    routing::{Layout, Registration},
};

/// The entries of a service, understood.
pub(super) struct Seen {
    pub(super) examined: Examined,
    pub(super) entries: Vec<Entry>,
    pub(super) no_text: Vec<String>,
}

impl Seen {
    pub(super) fn new(terms: Terms, range: Range, leases: &BTreeMap<i64, TimeLeft>) -> Self {
        let layout = terms.layout.clone();
        let examined = examine(terms, range.found.iter().map(|found| found.entry.clone()).collect());
        let entries = range.found.iter().map(|found| entry(found, &layout, &examined, leases)).collect();
        Self { examined, entries, no_text: range.no_text }
    }

    /// Whether any of its instances owns a symbol.
    pub(super) fn is_split(&self) -> bool {
        self.examined.read.values().any(|registration| !registration.symbol.as_str().is_empty())
    }

    pub(super) fn report(self, subject: Subject, routes: Vec<Route>, findings: Vec<Finding>) -> report::Service {
        let mut formats = BTreeMap::new();
        for format in self.entries.iter().filter_map(|entry| entry.format) {
            *formats.entry(format).or_default() += 1;
        }
        let symbols = self
            .examined
            .owners
            .iter()
            .map(|(symbol, addresses)| (symbol.to_string(), addresses.iter().map(ToString::to_string).collect()));
        report::Service {
            name: subject.name,
            prefix: subject.layout.prefix().to_owned(),
            keys: self.entries.len(),
            routes,
            formats,
            symbols: symbols.collect(),
            findings,
            entries: self.entries,
        }
    }
}

fn entry(found: &Found, layout: &Layout, examined: &Examined, leases: &BTreeMap<i64, TimeLeft>) -> Entry {
    let key = &*found.entry.key;
    let read = examined.read.get(key);
    let time = leases.get(&found.lease);
    Entry {
        key: key.into(),
        standing: match read {
            None => Standing::Rejected,
            Some(_) if examined.suspended.contains_key(key) => Standing::Suspended,
            Some(_) => Standing::Used,
        },
        format: read.map(|registration| format(found, layout, registration)),
        symbol: read.map(|registration| registration.symbol.to_string()),
        address: read.map(|registration| registration.address.to_string()),
        lease: (found.lease != 0).then(|| format!("{:x}", found.lease)),
        lease_left: time.map(|time| time.left),
        lease_granted: time.map(|time| time.granted),
    }
}

/// Which of the formats an entry that is read is in.
fn format(found: &Found, layout: &Layout, registration: &Registration) -> Format {
    let json = found.entry.value.trim_ascii_start().starts_with(b"{");
    let in_key = layout.symbol(&found.entry.key).is_some_and(|symbol| !symbol.is_empty());
    match (json, in_key) {
        (true, true) => Format::Endpoints,
        (true, false) if registration.symbol.as_str().is_empty() => Format::EndpointsWithoutSymbol,
        (true, false) => Format::Flat,
        (false, true) if layout.is_template() => Format::Template,
        (false, true) => Format::ThreeLevel,
        (false, false) => Format::GoZero,
    }
}

/// The routes of a configuration that lead to the service at this place.
pub(super) fn routes(config: &Config, place: Option<usize>) -> impl Iterator<Item = Route> {
    let name = |at: usize| config.plugins.get(at).map(|plugin| plugin.name.clone());
    let routes = config.routes.iter().filter(move |route| Some(route.service) == place);
    routes.map(move |route| Route {
        path: route.name.clone(),
        extract: route.extract.and_then(name),
        select: name(route.select),
    })
}
