//! Header lists to header blocks, made for a relay: cheap first, short second.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::http2::fields::{FIELD_OVERHEAD, Field};

use super::{
    dynamic_table::{DynamicTable, Entry},
    integer, static_table,
};

/// The writing end of a connection's header compression. It holds no memory before the first field that the static
/// table does not have.
///
/// A field goes into the table when it is seen for the second time, so that what never repeats (timeouts, trace
/// identifiers) neither costs an insertion nor evicts what does. Strings are written plain, without Huffman code.
pub struct Encoder {
    table: DynamicTable<Links>,
    /// The number that the next entry gets; numbers wrap.
    next: u16,
    index: Option<Box<Index>>,
    /// The table size that the next block announces, and the lowest one since the last block.
    wanted_size: usize,
    lowest_size: usize,
}

/// Finds entries and remembers fields that were seen once. What it says is a hint: each hit is compared.
struct Index {
    /// By hash of name and value, the number of the newest such entry.
    fields: [u16; BUCKETS],
    /// By hash of the name, the number of the newest such entry.
    names: [u16; BUCKETS],
    /// By hash of name and value, other parts of the hashes that were seen last. Sets, so that two fields of every call
    /// do not keep each other out.
    seen: [[u16; SET]; SETS],
}

/// What an entry knows of others. Entries leave the table oldest first, so a chain that leads to ever older ones needs
/// no mending: it ends where the table does.
#[derive(Clone, Copy)]
struct Links {
    hash: u32,
    older_field: u16,
    older_name: u16,
}

/// Hashes of a field.
#[derive(Clone, Copy)]
struct Hashes {
    name: u32,
    /// Of name and value.
    field: u32,
}

/// Entries that are looked at for one field, at most: a sender may choose fields that meet in one chain.
const LONGEST_WALK: usize = 16;
const BUCKETS: usize = 64;
const SETS: usize = 32;
const SET: usize = 4;

/// The largest table that is used, and what both ends start with (RFC 9113 section 6.5.2).
const MAX_TABLE_SIZE: usize = 4096;

const INDEXED: u8 = 0x80;
const INSERTED: u8 = 0x40;
const RESIZED: u8 = 0x20;
const NEVER_INDEXED: u8 = 0x10;
const NOT_INSERTED: u8 = 0x00;

impl Encoder {
    /// An encoder for a new connection.
    pub fn new() -> Self {
        Self {
            table: DynamicTable::new(MAX_TABLE_SIZE),
            next: 1,
            index: None,
            wanted_size: MAX_TABLE_SIZE,
            lowest_size: MAX_TABLE_SIZE,
        }
    }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE, of which at most 4,096 are used. The next block announces it.
    pub fn set_max_table_size(&mut self, size: u32) {
        self.wanted_size = MAX_TABLE_SIZE.min(size as usize);
        self.lowest_size = self.lowest_size.min(self.wanted_size);
    }

    /// Starts a header block: announces what became of the table's size since the last one (RFC 7541 section 4.2).
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        for size in [self.lowest_size, self.wanted_size] {
            if size != self.table.max_size() {
                integer::encode(size, 5, RESIZED, out);
                self.table.set_max_size(size);
            }
        }
        self.lowest_size = self.wanted_size;
    }

    /// Appends a field to the block.
    pub fn field(&mut self, field: Field<'_>, out: &mut Vec<u8>) {
        if field.never_indexed {
            literal(NEVER_INDEXED, 4, self.name_number(Hashes::new(field), field.name), field, out);
            return;
        }
        if let Some(number) = static_table::number(field.name, field.value) {
            out.push(INDEXED | number as u8);
            return;
        }
        let hashes = Hashes::new(field);
        if let Some(number) = self.number(hashes, field) {
            integer::encode(number, 7, INDEXED, out);
            return;
        }
        let name = self.name_number(hashes, field.name);
        if self.is_second_sight(hashes, field) {
            literal(INSERTED, 6, name, field, out);
            self.insert(hashes, field);
        } else {
            literal(NOT_INSERTED, 4, name, field, out);
        }
    }

    /// The number of the dynamic table's entry that is the field.
    fn number(&self, hashes: Hashes, field: Field<'_>) -> Option<usize> {
        let newest = self.index.as_ref()?.newest_field(hashes);
        self.find(newest, |links| links.older_field, |entry, links| links.hash == hashes.field && is(entry, field))
    }

    /// The number of an entry that has the name.
    fn name_number(&self, hashes: Hashes, name: &[u8]) -> Option<usize> {
        static_table::name_number(name).or_else(|| {
            let newest = self.index.as_ref()?.newest_name(hashes);
            self.find(newest, |links| links.older_name, |entry, _| entry.name() == name)
        })
    }

    /// Walks a chain from its newest entry to older ones, until one is the right one.
    fn find(
        &self,
        newest: u16,
        older: impl Fn(Links) -> u16,
        is_right: impl Fn(Entry<'_>, Links) -> bool,
    ) -> Option<usize> {
        let mut number = newest;
        for _ in 0..LONGEST_WALK {
            let age = self.age(number);
            let (entry, links) = self.table.get(age)?;
            if is_right(entry, links) {
                return Some(static_table::LEN + 1 + age);
            }
            number = older(links);
        }
        None
    }

    /// How many entries came after the one of a number.
    fn age(&self, number: u16) -> usize {
        usize::from(self.next.wrapping_sub(number).wrapping_sub(1))
    }

    /// Whether the field was seen before and may enter the table now; remembers it if not.
    fn is_second_sight(&mut self, hashes: Hashes, field: Field<'_>) -> bool {
        if field.name.len() + field.value.len() + FIELD_OVERHEAD > self.table.max_size() {
            return false;
        }
        self.index.get_or_insert_default().is_second_sight(hashes)
    }

    fn insert(&mut self, hashes: Hashes, field: Field<'_>) {
        let Some(index) = &mut self.index else { return };
        let links = index.link(hashes, self.next);
        self.table.insert(field.name, field.value, links);
        self.next = self.next.wrapping_add(1);
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    fn newest_field(&self, hashes: Hashes) -> u16 {
        self.fields.get(hashes.field as usize % BUCKETS).copied().unwrap_or_default()
    }

    fn newest_name(&self, hashes: Hashes) -> u16 {
        self.names.get(hashes.name as usize % BUCKETS).copied().unwrap_or_default()
    }

    /// Makes `number` the newest of its chains; gives back what was.
    fn link(&mut self, hashes: Hashes, number: u16) -> Links {
        let links =
            Links { hash: hashes.field, older_field: self.newest_field(hashes), older_name: self.newest_name(hashes) };
        if let Some(newest) = self.fields.get_mut(hashes.field as usize % BUCKETS) {
            *newest = number;
        }
        if let Some(newest) = self.names.get_mut(hashes.name as usize % BUCKETS) {
            *newest = number;
        }
        links
    }

    /// Whether a field is remembered; remembers it if not. Seen twice, it is forgotten: the table has it then, and once
    /// it is evicted it has to earn its place again.
    fn is_second_sight(&mut self, hashes: Hashes) -> bool {
        let mark = ((hashes.field >> 16) as u16).max(1);
        let Some(set) = self.seen.get_mut(hashes.field as usize % SETS) else { return false };
        if let Some(found) = set.iter_mut().find(|seen| **seen == mark) {
            *found = 0;
            return true;
        }
        // The oldest of the set makes place.
        set.rotate_right(1);
        set[0] = mark;
        false
    }
}

impl Default for Index {
    fn default() -> Self {
        // Number 0 is older than any entry: the first one gets 1.
        Self { fields: [0; BUCKETS], names: [0; BUCKETS], seen: [[0; SET]; SETS] }
    }
}

impl Hashes {
    fn new(field: Field<'_>) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write(field.name);
        let name = hasher.finish() as u32;
        hasher.write(field.value);
        Self { name, field: hasher.finish() as u32 }
    }
}

fn is(entry: Entry<'_>, field: Field<'_>) -> bool {
    entry.name() == field.name && entry.value() == field.value
}

/// Appends a literal: its kind in the bits above `bits`, its name's number in the tables or its name, its value.
fn literal(kind: u8, bits: u32, number: Option<usize>, field: Field<'_>, out: &mut Vec<u8>) {
    integer::encode(number.unwrap_or_default(), bits, kind, out);
    if number.is_none() {
        string(field.name, out);
    }
    string(field.value, out);
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    integer::encode(bytes.len(), 7, 0, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
