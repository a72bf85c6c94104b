//! The table against a plain list that does the same.

use proptest::prelude::*;

use super::*;

/// Entries, newest first.
struct Model {
    entries: Vec<(Vec<u8>, Vec<u8>, u32)>,
    max_size: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, Vec<u8>),
    Resize(usize),
}

impl Model {
    fn size(&self) -> usize {
        self.entries.iter().map(|(name, value, _)| name.len() + value.len() + 32).sum()
    }

    fn take(&mut self, step: &Step, note: u32) {
        match step {
            Step::Resize(size) => self.max_size = *size,
            Step::Insert(name, value) => self.entries.insert(0, (name.clone(), value.clone(), note)),
        }
        while self.size() > self.max_size {
            self.entries.pop();
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = |longest| proptest::collection::vec(any::<u8>(), 0..longest);
    prop_oneof![
        20 => (bytes(30), bytes(60)).prop_map(|(name, value)| Step::Insert(name, value)),
        3 => (bytes(2), bytes(2)).prop_map(|(name, value)| Step::Insert(name, value)),
        1 => (bytes(300), bytes(300)).prop_map(|(name, value)| Step::Insert(name, value)),
        1 => (0..600_usize).prop_map(Step::Resize),
    ]
}

fn entries(table: &DynamicTable<u32>) -> Vec<(Vec<u8>, Vec<u8>, u32)> {
    let entry = |index| table.get(index).map(|(entry, note)| (entry.name().to_vec(), entry.value().to_vec(), note));
    (0..).map_while(entry).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_table_is_the_list(steps in proptest::collection::vec(step(), 0..200)) {
        let mut table = DynamicTable::new(400);
        let mut model = Model { entries: Vec::new(), max_size: 400 };
        let mut largest = 400;
        for (note, step) in (0..).zip(&steps) {
            match step {
                Step::Insert(name, value) => table.insert(name, value, note),
                Step::Resize(size) => table.set_max_size(*size),
            }
            model.take(step, note);
            largest = largest.max(model.max_size);
            prop_assert_eq!(&entries(&table), &model.entries);
            prop_assert_eq!((table.size(), table.len()), (model.size(), model.entries.len()));
            prop_assert!(table.bytes.capacity() <= largest, "{} bytes", table.bytes.capacity());
        }
    }
}

#[test]
fn a_table_without_entries_holds_no_memory() {
    assert_eq!(DynamicTable::<u32>::new(4096).capacity(), 0);
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut table = DynamicTable::new(100);
    table.insert(b"name", b"value", 1);
    table.insert(b"name", &[b'x'; 64], 2);
    assert_eq!((table.len(), table.size()), (1, 100));
    table.insert(b"name", &[b'x'; 65], 3);
    assert_eq!((table.len(), table.size()), (0, 0));
    table.insert(b"name", b"value", 4);
    assert_eq!(entries(&table), [(b"name".to_vec(), b"value".to_vec(), 4)]);
}

#[test]
fn places_survive_the_wrap_of_their_numbers() {
    let mut table = DynamicTable::new(200);
    table.base = u32::MAX - 50;
    for note in 0..20 {
        table.insert(b"name", &[note as u8; 20], note);
        let newest = entries(&table);
        assert_eq!(newest[0], (b"name".to_vec(), vec![note as u8; 20], note));
        assert_eq!(newest.len(), 3.min(note as usize + 1));
    }
}

#[test]
fn places_far_outside_have_no_entry() {
    let mut table = DynamicTable::new(200);
    table.insert(b"name", b"value", 1);
    assert!(table.get(1).is_none());
    assert!(table.get(u32::MAX as usize).is_none());
}
