//! What is to be said of a service: each thing that is wrong or odd once, with every key, symbol or address it is said of.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Subject,
    examined::Seen,
    report::{Case, Entry, Finding, Format, Level, Route, Service, Standing},
};
use crate::routing::Symbol;

/// Symbols and keys that are not read alike although they look so are told of, up to this many in one case.
const NAMED: usize = 5;

/// Everything that is to be said of one service. `configured`: there is a configuration.
pub(super) fn of(
    subject: &Subject,
    seen: &Seen,
    routes: &[Route],
    expected: Option<Result<BTreeSet<Symbol>, String>>,
    configured: bool,
) -> Vec<Finding> {
    let mut all: Vec<_> = entries(seen).chain(symbols(seen)).chain(leases(seen)).collect();
    all.extend(expected.into_iter().flat_map(|list| against(seen, list)));
    all.extend(routed(subject, seen, routes, configured));
    all.extend(subject.deeper.as_ref().map(|root| {
        let text = format!("a gateway finds these keys with `prefix = {root:?}` in its [[registry]]");
        Finding::alone(Level::Note, "root", text)
    }));
    if seen.entries.is_empty() && routes.is_empty() {
        let text = format!("there is no key {}*", subject.layout.prefix());
        all.push(Finding::alone(Level::Problem, "no-keys", text));
    }
    all
}

/// What is to be said of no service alone.
pub(super) fn of_all(keys_no_text: &[String], services: &[Service], root: &str) -> Vec<Finding> {
    let nothing = services.is_empty().then(|| {
        let text = format!(
            "no key {root}* is read as a registration; is there another root (--prefix), or a service to name (--service)?"
        );
        Finding::alone(Level::Problem, "no-service", text)
    });
    no_text(keys_no_text).into_iter().chain(nothing).chain(in_parts(services)).collect()
}

/// Services without symbols whose names begin alike: the symbol may be in the name.
fn in_parts(services: &[Service]) -> Option<Finding> {
    let unsplit = |service: &&Service| service.routes.is_empty() && service.symbols.keys().all(String::is_empty);
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for service in services.iter().filter(unsplit) {
        if let Some((head, _)) = service.name.split_once('_') {
            parts.entry(head).or_default().push(&service.name);
        }
    }
    let cases = parts.into_iter().filter(|(_, names)| names.len() > 1).map(|(head, names)| {
        let key = format!("{head}_{{symbol}}/{{id}}");
        Case::new(head, format!("{}: then write [[service]] name = {head:?}, key = {key:?}", some(&names)))
    });
    let text = ("service", "shown in parts, if the first part of its keys holds the symbol");
    Finding::of(Level::Note, "in-parts", text, cases.collect())
}

fn no_text(keys: &[String]) -> Option<Finding> {
    let cases = keys.iter().map(|key| Case::new(key, "rename it")).collect();
    Finding::of(Level::Problem, "no-text", ("key", "not in UTF-8 text, and left out"), cases)
}

/// What is said of keys and values.
fn entries(seen: &Seen) -> impl Iterator<Item = Finding> {
    let cases = |of: &BTreeMap<String, String>| of.iter().map(|(key, reason)| Case::new(key, reason)).collect();
    let examined = &seen.examined;
    let odd = examined.odd.iter().map(|(key, warning)| Case::new(key, warning)).collect();
    [
        Finding::of(Level::Problem, "rejected", ("key", "that a gateway would reject"), cases(&examined.rejected)),
        Finding::of(
            Level::Problem,
            "two-symbols",
            ("key", "not believed: a newer one announces the same address for another symbol"),
            cases(&examined.suspended),
        ),
        no_text(&seen.no_text),
        Finding::of(Level::Warning, "odd", ("key", "used, though odd"), odd),
        twice(seen),
    ]
    .into_iter()
    .flatten()
}

/// One address under two keys of a symbol is one instance.
fn twice(seen: &Seen) -> Option<Finding> {
    let mut keys: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for entry in seen.entries.iter().filter(|entry| entry.standing == Standing::Used) {
        if let (Some(symbol), Some(address)) = (&entry.symbol, &entry.address) {
            keys.entry((address, symbol)).or_default().push(&entry.key);
        }
    }
    let twice = keys.iter().filter(|(_, keys)| keys.len() > 1);
    let cases = twice.map(|((address, _), keys)| Case::new(*address, some(keys))).collect();
    Finding::of(Level::Note, "registered-twice", ("instance", "announced by several keys, and counted once"), cases)
}

/// What is said of symbols.
fn symbols(seen: &Seen) -> impl Iterator<Item = Finding> {
    let mut alike: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for symbol in seen.examined.read.values().map(|registration| registration.symbol.as_str()) {
        let letters: String = symbol.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        alike.entry(letters).or_default().insert(symbol);
    }
    let alike = alike.into_iter().filter(|(letters, symbols)| !letters.is_empty() && symbols.len() > 1);
    let cases = alike.map(|(_, symbols)| {
        let mut symbols = symbols.into_iter();
        let first = symbols.next().unwrap_or_default();
        Case::new(first, format!("looks like {}", some(&symbols.collect::<Vec<_>>())))
    });
    let text = ("symbol", "that could be meant as another one: symbols are compared exactly");
    let alike = Finding::of(Level::Warning, "look-alike", text, cases.collect());
    let lost = seen.entries.iter().filter(|entry| seen.is_split() && entry.symbol.as_deref() == Some(""));
    let cases = lost.map(|entry| Case::new(&entry.key, without_symbol(entry))).collect();
    let text = ("key", "without a symbol, while others of the service have one: calls about a symbol never get there");
    [Finding::of(Level::Warning, "no-symbol", text, cases), alike].into_iter().flatten()
}

fn without_symbol(entry: &Entry) -> String {
    let fix = if entry.format == Some(Format::GoZero) {
        "SERVICE/SYMBOL/ID"
    } else {
        "SERVICE/SYMBOL/ID, or Metadata.symbol"
    };
    format!("{} has no symbol; write {fix}", entry.address.as_deref().unwrap_or_default())
}

/// What is said of how long keys live.
fn leases(seen: &Seen) -> impl Iterator<Item = Finding> {
    let used = || seen.entries.iter().filter(|entry| entry.standing != Standing::Rejected);
    let for_ever = used().filter(|entry| entry.lease.is_none());
    let for_ever = for_ever.map(|entry| Case::new(&entry.key, entry.address.clone().unwrap_or_default())).collect();
    let expiring = used().filter_map(|entry| {
        let (left, granted) = (entry.lease_left?, entry.lease_granted?);
        // Who renews does so when a third of the time is gone.
        let late = left.saturating_mul(3) < granted;
        late.then(|| Case::new(&entry.key, format!("{left} s of {granted} s left")))
    });
    let text = ("key", "about to go: nobody renewed the lease in time");
    let without = ("key", "without a lease: the entry stays when its process dies");
    [
        Finding::of(Level::Warning, "expiring", text, expiring.collect()),
        Finding::of(Level::Warning, "no-lease", without, for_ever),
    ]
    .into_iter()
    .flatten()
}

/// A list of expected symbols against those that have instances.
fn against(seen: &Seen, list: Result<BTreeSet<Symbol>, String>) -> Vec<Finding> {
    let owners = &seen.examined.owners;
    let list = match list {
        Ok(list) => list,
        Err(reason) => {
            let text = format!("the list of expected symbols cannot be read: {reason}");
            return vec![Finding::alone(Level::Problem, "list-unread", text)];
        }
    };
    let missing = list.iter().filter(|symbol| !owners.contains_key(*symbol));
    let missing = missing.map(|symbol| Case::new(symbol.as_str(), why_missing(seen, symbol))).collect();
    let others = owners.iter().filter(|(symbol, _)| !symbol.as_str().is_empty() && !list.contains(*symbol));
    let others = others.map(|(symbol, instances)| Case::new(symbol.as_str(), instances_of(instances.len()))).collect();
    let missing = Finding::of(Level::Problem, "missing", ("symbol", "expected, and without an instance"), missing);
    let others = Finding::of(Level::Note, "unexpected", ("symbol", "with an instance, though not expected"), others);
    missing.into_iter().chain(others).collect()
}

fn why_missing(seen: &Seen, symbol: &Symbol) -> &'static str {
    let named = seen.entries.iter().any(|entry| entry.symbol.as_deref() == Some(symbol.as_str()));
    if named { "its keys are not believed" } else { "no key announces it" }
}

/// The routes of the configuration against what the registry holds.
fn routed(subject: &Subject, seen: &Seen, routes: &[Route], configured: bool) -> Vec<Finding> {
    let (level, kind, text, wrong): (_, _, _, Vec<_>) = match (routes.is_empty(), seen.examined.owners.is_empty()) {
        (true, _) if configured => {
            let text = format!("no route of the configuration leads to {}", subject.name);
            return vec![Finding::alone(Level::Note, "no-route", text)];
        }
        (true, _) => return Vec::new(),
        (false, true) => {
            let text = ("route", "to a service without an instance");
            (Level::Problem, "route-to-nothing", text, routes.iter().collect())
        }
        (false, false) if seen.is_split() => {
            let text = ("route", "without `extract`, while instances own symbols: calls would find no owner");
            (
                Level::Problem,
                "route-without-extract",
                text,
                routes.iter().filter(|route| route.extract.is_none()).collect(),
            )
        }
        (false, false) => {
            let text = ("route", "with `extract`, while no instance owns a symbol: calls would find no owner");
            (
                Level::Problem,
                "route-with-extract",
                text,
                routes.iter().filter(|route| route.extract.is_some()).collect(),
            )
        }
    };
    let cases = wrong.iter().map(|route| {
        let extract = route.extract.as_ref().filter(|_| kind == "route-with-extract");
        Case::new(&route.path, extract.map(|name| format!("extract {name}")).unwrap_or_default())
    });
    Finding::of(level, kind, text, cases.collect()).into_iter().collect()
}

fn instances_of(count: usize) -> String {
    if count == 1 { "1 instance".into() } else { format!("{count} instances") }
}

/// The first of many.
fn some(texts: &[&str]) -> String {
    let more = texts.len().saturating_sub(NAMED);
    let shown = texts.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
