//! What is missing, as the list and the table change.

use super::*;
use crate::routing::{Instance, Labels, Live};

fn expected() -> Expected {
    Expected {
        prefix: "Symbol/".into(),
        listed: Arc::default(),
        loaded: false,
        stale_since: None,
        missing: None,
        anew: true,
        told: BTreeSet::new(),
        news: false,
    }
}

fn entry(symbol: &str) -> Entry {
    Entry { key: format!("Symbol/{symbol}").into(), value: Vec::new(), create_revision: 1, mod_revision: 1 }
}

fn list(symbols: &[&str]) -> Change {
    Change::Listed { revision: 1, entries: symbols.iter().map(|symbol| entry(symbol)).collect() }
}

fn table(owners: &[(&str, usize)]) -> (ServiceTable, Vec<Symbol>) {
    let live = Arc::new(Live::new("10.0.0.1:1".parse().expect("an address")));
    let instance =
        Arc::new(Instance { labels: Labels::default(), weight: 1, order: 1, owner: 1, draining: false, live });
    let owners = owners.iter().map(|(symbol, count)| (Symbol::from(*symbol), vec![instance.clone(); *count].into()));
    let owners: Vec<_> = owners.collect();
    let changed = owners.iter().map(|(symbol, _)| symbol.clone()).collect();
    (ServiceTable::default().with(owners), changed)
}

#[track_caller]
fn check(expected: &Expected, missing: &[&str]) {
    let found: Vec<_> = expected.missing.iter().flatten().map(Symbol::as_str).collect();
    assert_eq!(found, missing);
    assert_eq!(expected.show().missing, expected.missing.as_ref().map(|_| missing.len()));
}

#[test]
fn nothing_is_missing_before_the_list_is_read() {
    let mut expected = expected();
    expected.follow(&table(&[]).0, &[]);
    assert_eq!(expected.show().missing, None);
    expected.hear("kline", list(&["BTC", "ETH", ""]));
    expected.follow(&table(&[]).0, &[]);
    check(&expected, &["BTC", "ETH"]);
}

#[test]
fn it_follows_the_table_and_the_list() {
    let mut expected = expected();
    expected.hear("kline", list(&["BTC", "ETH", "SOL"]));
    let (owners, changed) = table(&[("BTC", 1), ("ETH", 0), ("XRP", 0)]);
    expected.follow(&owners, &changed);
    check(&expected, &["ETH", "SOL"]);
    let (owners, changed) = table(&[("BTC", 0), ("SOL", 2), ("XRP", 0)]);
    expected.follow(&owners, &changed);
    check(&expected, &["BTC", "ETH"]);
    let events = vec![Event::Put(entry("XRP")), Event::Delete { key: "Symbol/ETH".into() }];
    expected.hear("kline", Change::Events { revision: 2, events });
    expected.follow(&owners, &[]);
    check(&expected, &["BTC", "XRP"]);
    expected.hear("kline", Change::Lost { reason: "away".into() });
    expected.follow(&owners, &[]);
    check(&expected, &["BTC", "XRP"]);
    assert!(expected.show().stale_since.is_some(), "the list stays and is marked");
}

#[test]
fn the_log_is_told_once() {
    let mut expected = expected();
    expected.hear("kline", list(&["BTC", "ETH"]));
    assert!(!expected.has_news(), "the table is not read yet");
    expected.follow(&table(&[("BTC", 1)]).0, &[]);
    assert!(expected.has_news());
    expected.tell("kline");
    expected.follow(&table(&[("BTC", 2), ("ETH", 0)]).0, &["BTC".into(), "ETH".into()]);
    assert!(!expected.has_news(), "the same one is missing");
    expected.follow(&table(&[]).0, &["BTC".into()]);
    assert!(expected.has_news());
    let many: Vec<_> = (0..30).map(|n| Symbol::from(&*format!("S{n}"))).collect();
    let text = named(&many.iter().collect::<Vec<_>>());
    assert!(text.starts_with("S0, S1, ") && text.ends_with("S19, ..."), "{text}");
}
