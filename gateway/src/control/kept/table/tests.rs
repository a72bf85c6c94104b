//! What is taken and what is refused.

use super::*;

const NOW: SystemTime = UNIX_EPOCH;

fn identity(registry: &str, endpoint: &str, services: &[(&str, &str)]) -> Identity {
    let named = |(name, prefix): &(&str, &str)| Named { name: (*name).into(), prefix: (*prefix).into() };
    Identity {
        registry: registry.into(),
        endpoints: vec![endpoint.into()],
        services: services.iter().map(named).enumerate().collect(),
    }
}

fn usual() -> Identity {
    identity("main", "http://a:1", &[("k", "/p/k/")])
}

fn table() -> Table {
    let entry =
        Entry { key: "/p/k/BTC/1".into(), value: b" \xff\x00\r\n".to_vec(), create_revision: 3, mod_revision: 4 };
    let listing = |name: &str| Listing {
        name: name.into(),
        prefix: format!("/p/{name}/"),
        revision: 7,
        entries: vec![Row(Arc::new(entry.clone()))],
    };
    Table::new(&usual(), NOW + Duration::from_secs(100), vec![listing("k"), listing("gone")])
}

#[test]
fn a_table_comes_back_byte_for_byte() {
    assert_eq!(Table::decode(&table().encode().unwrap()), Ok(table()));
}

#[test]
fn no_piece_of_it_and_no_flipped_bit_is_taken() {
    let bytes = table().encode().unwrap();
    for end in 0..bytes.len() {
        assert!(Table::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(Table::decode(&flipped).is_err(), "flipped at {at}");
    }
    assert!(Table::decode(&[bytes, b" ".to_vec()].concat()).is_err(), "something after it");
}

#[test]
fn a_table_of_another_registry_or_time_is_refused() {
    let max_age = Duration::from_secs(10);
    let refused = |identity: &Identity, seconds| table().check(identity, max_age, NOW + Duration::from_secs(seconds));
    assert_eq!(refused(&usual(), 110), Ok(()));
    for (identity, seconds, part) in [
        (usual(), 111, "too old"),
        (usual(), 99, "time to come"),
        (identity("other", "http://a:1", &[("k", "/p/k/")]), 100, "registry"),
        (identity("main", "http://b:1", &[("k", "/p/k/")]), 100, "etcd"),
        (identity("main", "http://a:1", &[("k", "/q/k/")]), 100, "keys"),
        (identity("main", "http://a:1", &[("k", "/p/k/"), ("new", "/p/new/")]), 100, "service \"new\""),
    ] {
        let reason = refused(&identity, seconds).unwrap_err();
        assert!(reason.contains(part), "{reason} does not say {part}");
    }
}
