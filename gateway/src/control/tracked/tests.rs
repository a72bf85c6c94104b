//! What registry, guard and time say, one after the other, before anything is shown.

use std::time::Duration;

use super::*;
use crate::control::{own::Own, source::Entry};

const TEXT: &str = "
    [[registry]]
    name = 'e'
    etcd = { endpoints = ['http://127.0.0.1:1'] }
    [[route]]
    match = '/'
    service = 'kline'
";

fn entry(n: u16, id: u16, revision: u64) -> Entry {
    let (key, value) = (format!("kline/S{n}/{id}").into(), format!("h:{}", 1000 * id + n).into());
    Entry { key, value, create_revision: revision, mod_revision: revision }
}

#[test]
fn a_new_owner_that_comes_while_its_predecessor_is_given_up_is_shown() {
    let config = Config::parse(TEXT, "symgate.toml", "/".as_ref()).expect("a configuration");
    let own = Own::from(config.listen.address);
    let mut tracked = Tracked::all(&config, &own).next().expect("a service");
    let (mut lives, metrics, start) = (Lives::new(own), Metrics::new(), Instant::now());
    let of = |service: &Service, symbol: &str| match service.table.lookup(symbol) {
        Lookup::Known(instances) => instances.to_vec(),
        Lookup::Unknown => Vec::new(),
    };
    let entries = (1..=6).map(|n| entry(n, 1, 1)).collect();
    tracked.hear(Change::Listed { revision: 1, entries }, &mut lives, &metrics);
    let service = tracked.show(&mut lives, start, &metrics);
    let live = of(&service, "S1")[0].live.clone();
    service.table.iter().flat_map(|(_, all)| all).for_each(|instance| instance.live.connection_opened());
    tracked.hear(Change::Listed { revision: 2, entries: Vec::new() }, &mut lives, &metrics);
    assert_eq!(tracked.show(&mut lives, start, &metrics).spared, 6);

    live.connection_closed();
    assert!(tracked.tick(&mut lives, start + Duration::from_secs(1)), "it is given up");
    let put = Event::Put(entry(1, 2, 3));
    tracked.hear(Change::Events { revision: 3, events: vec![put] }, &mut lives, &metrics);
    let service = tracked.show(&mut lives, start + Duration::from_secs(1), &metrics);
    let owners: Vec<_> = of(&service, "S1").iter().map(|it| it.live.address().to_string()).collect();
    assert_eq!((owners, service.spared), (vec!["h:2001".to_owned()], 5));
}
