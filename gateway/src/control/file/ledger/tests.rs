//! The revisions that a file without revisions is given.

use super::*;

fn write(ledger: &mut Ledger, table: &[(&str, &str)]) -> Vec<String> {
    let mut touched = ledger.write(table.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
    touched.sort_unstable();
    touched
}

fn revisions(ledger: &Ledger) -> Vec<(&str, u64, u64)> {
    ledger.entries.iter().map(|entry| (&*entry.key, entry.create_revision, entry.mod_revision)).collect()
}

#[test]
fn revisions_are_those_that_a_registry_would_give() {
    let mut ledger = Ledger::default();
    assert_eq!(write(&mut ledger, &[("b/1", "x"), ("a/1", "x")]), ["a/1", "b/1"]);
    assert_eq!(revisions(&ledger), [("b/1", 2, 2), ("a/1", 3, 3)], "in the order of the file");

    assert_eq!(write(&mut ledger, &[("n/1", "x"), ("a/1", "x"), ("b/1", "y")]), ["b/1", "n/1"]);
    assert_eq!(revisions(&ledger), [("n/1", 4, 4), ("a/1", 3, 3), ("b/1", 2, 5)]);

    assert_eq!(write(&mut ledger, &[("a/1", "x")]), ["b/1", "n/1"], "what is gone is touched");
    assert_eq!((revisions(&ledger), ledger.revision()), (vec![("a/1", 3, 3)], 6));

    write(&mut ledger, &[("a/1", "x"), ("b/1", "y")]);
    assert_eq!(revisions(&ledger), [("a/1", 3, 3), ("b/1", 7, 7)], "a key that comes back is new");
    assert!(write(&mut ledger, &[("b/1", "y"), ("a/1", "x")]).is_empty(), "order alone is no change");
    assert_eq!(ledger.revision(), 7);
}

#[test]
fn a_service_sees_its_own_prefix() {
    let mut ledger = Ledger::default();
    write(&mut ledger, &[("a/1", "x"), ("ab/1", "x"), ("a/2", "x")]);
    let keys: Vec<_> = ledger.under("a/").into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["a/1".into(), "a/2".into()]);
}
