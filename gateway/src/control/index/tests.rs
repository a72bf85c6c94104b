//! What entries mean together, checked as tables of symbol -> addresses.

use std::collections::BTreeSet;

use super::*;

struct Table {
    index: Index,
    lives: Lives,
    owners: BTreeMap<String, Vec<String>>,
    remarks: Vec<Remark>,
}

impl Table {
    fn new(exclusive: bool) -> Self {
        let index = Index::new(Layout::new("", "kline", None), exclusive);
        let own: std::net::SocketAddr = "127.0.0.1:9000".parse().expect("an address");
        let lives = Lives::new(own.into());
        Self { index, lives, owners: BTreeMap::new(), remarks: Vec::new() }
    }

    fn put(&mut self, key: &str, value: &str, revision: u64) -> &mut Self {
        self.remarks = self.index.apply(Event::Put(entry(key, value, revision)), &mut self.lives);
        self
    }

    fn delete(&mut self, key: &str) -> &mut Self {
        self.remarks = self.index.apply(Event::Delete { key: format!("kline/{key}").into() }, &mut self.lives);
        self
    }

    fn list(&mut self, entries: &[(&str, &str, u64)]) -> &mut Self {
        let entries = entries.iter().map(|(key, value, revision)| entry(key, value, *revision)).collect();
        self.remarks = self.index.list(entries, &mut self.lives);
        self
    }

    fn changes(&mut self) -> BTreeSet<String> {
        self.lives.settle();
        let changes = self.index.changes(&self.lives);
        let names = changes.iter().map(|(symbol, _)| symbol.to_string()).collect();
        for (symbol, instances) in changes {
            let ports = instances.iter().map(|instance| instance.live.address().to_string()).collect();
            self.owners.insert(symbol.to_string(), ports);
        }
        names
    }

    #[track_caller]
    fn check(&mut self, symbol: &str, addresses: &[&str]) -> &mut Self {
        self.changes();
        let found = self.owners.get(symbol).cloned().unwrap_or_default();
        assert_eq!(found, addresses, "the instances of {symbol}");
        self
    }
}

fn entry(key: &str, value: &str, revision: u64) -> Entry {
    let key = format!("kline/{key}").into();
    Entry { key, value: value.into(), create_revision: revision, mod_revision: revision }
}

#[test]
fn in_a_service_that_shares_addresses_their_symbols_do_not_depend_on_each_other() {
    let mut table = Table::new(false);
    table.put("BTC/1", "h:1", 1).put("ETH/1", "h:1", 2).put("XRP/1", "h:1", 3);
    assert_eq!(table.changes(), ["BTC", "ETH", "XRP"].map(String::from).into());
    table.put("ADA/1", "h:1", 4);
    assert_eq!(table.changes(), ["ADA".to_owned()].into());
    table.delete("BTC/1");
    assert_eq!(table.changes(), ["BTC".to_owned()].into());
    table.check("BTC", &[]).check("ETH", &["h:1"]).check("ADA", &["h:1"]);
}

#[test]
fn an_instance_comes_and_goes_with_its_keys() {
    let mut table = Table::new(true);
    table.put("BTC/1", "h:1", 1).put("BTC/2", "h:2", 2).put("ETH/3", "h:3", 3);
    table.check("BTC", &["h:1", "h:2"]).check("ETH", &["h:3"]);
    table.delete("BTC/1").check("BTC", &["h:2"]);
    table.delete("BTC/2").check("BTC", &[]).check("ETH", &["h:3"]);
    table.put("BTC/4", "h:1", 9).check("BTC", &["h:1"]);
}

#[test]
fn two_registrations_of_one_address_are_one_instance() {
    let mut table = Table::new(true);
    table.put("BTC/1", "h:1", 1).put("BTC/2", r#"{"Addr":"h:1","Metadata":{"weight":5}}"#, 2);
    table.check("BTC", &["h:1"]);
    let symbol = "BTC".into();
    let both = table.index.instances(&symbol, &table.lives);
    assert_eq!((both[0].order, both[0].owner, both[0].weight), (1, 2, 5), "the newest says what it is like");
    table.delete("BTC/1").check("BTC", &["h:1"]);
    let live = both[0].live.clone();
    assert!(live.registered());
    table.delete("BTC/2").check("BTC", &[]);
    assert!(!live.registered(), "the last key went");
}

#[test]
fn live_state_survives_a_new_registration_of_the_address() {
    let mut table = Table::new(true);
    table.put("BTC/1", "h:1", 1);
    let before = table.lives.find(&"h:1".parse().expect("an address")).expect("registered");
    table.put("BTC/2", "h:1", 2).delete("BTC/1").put("BTC/2", "h:1", 3).list(&[("BTC/5", "h:1", 5)]);
    let after = table.lives.find(&"h:1".parse().expect("an address")).expect("registered");
    assert!(Arc::ptr_eq(&before, &after) && before.registered());
}

#[test]
fn the_newest_key_owns_an_address() {
    let mut table = Table::new(true);
    table.put("BTC/1", "h:1", 1).check("BTC", &["h:1"]);
    table.put("ETH/2", "h:1", 2).check("BTC", &[]).check("ETH", &["h:1"]);
    assert!(
        matches!(&*table.remarks, [Remark::Suspended { key, owns, .. }] if key == "kline/BTC/1" && owns.as_str() == "ETH"),
        "{:?}",
        table.remarks
    );
    assert_eq!(table.index.suspended().keys().collect::<Vec<_>>(), ["kline/BTC/1"]);
    table.delete("ETH/2").check("ETH", &[]).check("BTC", &["h:1"]);
    assert!(table.index.suspended().is_empty(), "the older entry is believed again");
    table.put("ETH/3", "h:1", 3).delete("BTC/1").check("BTC", &[]).check("ETH", &["h:1"]);

    let mut shared = Table::new(false);
    shared.put("BTC/1", "h:1", 1).put("ETH/2", "h:1", 2).check("BTC", &["h:1"]).check("ETH", &["h:1"]);
    assert_eq!(shared.remarks, []);
    assert!(shared.index.suspended().is_empty());
}

#[test]
fn of_many_keys_at_an_address_each_is_told_of_once() {
    let keys: Vec<_> = (0..300).map(|n| format!("S{n}/1")).collect();
    let mut table = Table::new(true);
    table.list(&keys.iter().zip(1..).map(|(key, revision)| (key.as_str(), "h:1", revision)).collect::<Vec<_>>());
    let suspended = |table: &Table| table.remarks.iter().filter(|it| matches!(it, Remark::Suspended { .. })).count();
    assert_eq!((suspended(&table), table.index.suspended().len()), (299, 299));
    table.check("S299", &["h:1"]).check("S0", &[]);
    table.put("NEW/1", "h:1", 999).check("NEW", &["h:1"]).check("S299", &[]);
    assert_eq!((suspended(&table), table.index.suspended().len()), (1, 300), "that of the owner before");
    let owner = "a newer entry announces h:1 for NEW";
    assert!(table.index.suspended().values().all(|reason| reason == owner), "all say who owns it now");
}

#[test]
fn a_key_that_moves_to_another_symbol_or_address_takes_its_instance_along() {
    let mut table = Table::new(true);
    table.put("1", r#"{"Addr":"h:1","Metadata":{"symbol":"BTC"}}"#, 1).check("BTC", &["h:1"]);
    table.put("1", r#"{"Addr":"h:1","Metadata":{"symbol":"ETH"}}"#, 1).check("BTC", &[]).check("ETH", &["h:1"]);
    table.put("1", r#"{"Addr":"h:2","Metadata":{"symbol":"ETH"}}"#, 1).check("ETH", &["h:2"]);
    assert!(table.lives.find(&"h:1".parse().expect("an address")).is_none());
}

#[test]
fn a_bad_entry_rejects_itself_alone_and_is_told_once() {
    let mut table = Table::new(true);
    table.put("BTC/1", "h:1", 1).put("BTC/2", "nonsense", 2).check("BTC", &["h:1"]);
    assert!(matches!(&*table.remarks, [Remark::Rejected { key, .. }] if key == "kline/BTC/2"));
    table.list(&[("BTC/1", "h:1", 1), ("BTC/2", "nonsense", 2), ("BTC/3", "127.0.0.1:9000", 3)]);
    assert!(
        matches!(&*table.remarks, [Remark::Rejected { key, reason }] if key == "kline/BTC/3" && reason.contains("itself")),
        "{:?}",
        table.remarks
    );
    assert_eq!(table.index.rejected().len(), 2);
    table.put("BTC/2", "h:2", 4).delete("BTC/3").check("BTC", &["h:1", "h:2"]);
    assert_eq!(table.index.rejected().len(), 0);
    table.put("BTC/2", "", 5).check("BTC", &["h:1"]);
}

#[test]
fn a_list_replaces_and_touches_only_what_differs() {
    let mut table = Table::new(true);
    table.put("BTC/1", "h:1", 1).put("ETH/2", "h:2", 2).put("SOL/3", "h:3", 3);
    table.changes();
    table.list(&[("BTC/1", "h:1", 1), ("ETH/2", "h:9", 2), ("XRP/4", "h:4", 4)]);
    assert_eq!(table.changes(), ["ETH", "SOL", "XRP"].map(String::from).into());
    table.check("BTC", &["h:1"]).check("ETH", &["h:9"]).check("SOL", &[]).check("XRP", &["h:4"]);
}

#[test]
fn an_address_outside_the_networks_is_rejected_and_one_that_moves_outside_leaves() {
    let mut networks = Networks::default();
    ["10.0.0.0/8", "*.internal"].iter().for_each(|text| networks.add(text).expect("a network or a name"));
    let mut table = Table::new(true);
    table.index = Index::new(Layout::new("", "kline", None), true).within(Some(Arc::new(networks)));
    table.put("BTC/1", "10.0.0.1:1", 1).put("BTC/2", "k.internal:1", 2).check("BTC", &["10.0.0.1:1", "k.internal:1"]);
    for address in ["192.0.2.1:1", "[::ffff:192.0.2.1]:1", "kline:1"] {
        table.put("BTC/1", address, 3).check("BTC", &["k.internal:1"]);
        let reason = format!("{address} is outside the `networks` of its [[registry]]");
        assert_eq!(table.remarks, [Remark::Rejected { key: "kline/BTC/1".into(), reason }]);
    }
    table.put("BTC/1", "[::ffff:10.0.0.2]:1", 4).check("BTC", &["k.internal:1", "[::ffff:10.0.0.2]:1"]);
    assert!(table.index.rejected().is_empty());
}

#[test]
fn of_two_that_are_equally_new_the_last_key_is_believed_whichever_was_told_first() {
    for keys in [["BTC/1", "ETH/1"], ["ETH/1", "BTC/1"]] {
        let mut table = Table::new(true);
        for key in keys {
            table.put(key, "h:1", 7);
        }
        table.check("ETH", &["h:1"]).check("BTC", &[]);
        let mut table = Table::new(true);
        table.put("BTC/3", "h:1", 1).put("BTC/2", r#"{"Addr":"h:1","Metadata":{"weight":2}}"#, 1);
        let both = table.index.instances(&"BTC".into(), &table.lives);
        assert_eq!(both[0].weight, 1);
    }
}
