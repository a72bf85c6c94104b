//! Header blocks to header lists. The table of the connection stays in step also when a list is too large or malformed.

use std::fmt;

use crate::http2::fields::{FIELD_OVERHEAD, Fields, Malformed, malformed_name, malformed_value};

use super::{
    dynamic_table::{DynamicTable, Entry},
    huffman, integer, static_table,
};

/// The reading end of a connection's header compression. It holds no memory before the first entry of its table.
pub struct Decoder {
    /// Each entry with what is wrong with it, so that a reference to it costs no second look.
    table: DynamicTable<Option<Malformed>>,
    /// Our SETTINGS_HEADER_TABLE_SIZE.
    max_table_size: usize,
}

/// What is to be said of a header list that was read whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The list is larger than allowed; its first fields are there, the others are not.
    pub over_limit: bool,
    /// What is wrong with the first field that is malformed, whether it is in the list or was left out.
    pub malformed: Option<Malformed>,
}

/// Why a header block cannot be read. After it nothing on the connection can: COMPRESSION_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The block ends inside a field.
    Truncated,
    /// An integer of more than 32 bits or more bytes than those need.
    IntegerOverflow,
    /// A reference to no entry.
    Index,
    /// A string that its Huffman code does not allow.
    Huffman,
    /// A table size above our setting.
    LargeTable,
    /// A change of the table size behind a field.
    LateTableSize,
}

/// The list that is being read, and what is known of it.
struct List<'a> {
    fields: &'a mut Fields,
    max_size: usize,
    outcome: Outcome,
}

/// What a literal's sender asks of those who pass it on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Insert,
    Without,
    Never,
}

impl Decoder {
    /// A decoder that allows its peer a table of `max_table_size`: our SETTINGS_HEADER_TABLE_SIZE.
    pub fn new(max_table_size: usize) -> Self {
        Self { table: DynamicTable::new(max_table_size), max_table_size }
    }

    /// Reads one whole header block and appends its fields to `fields`, whose size (RFC 9113 section 6.5.2) does not
    /// exceed `max_list_size`: from the first field that would, none is stored. Work and memory are bounded by the
    /// lengths of block, table and list, however often an entry is referred to.
    pub fn decode(&mut self, block: &[u8], fields: &mut Fields, max_list_size: usize) -> Result<Outcome, Error> {
        // Places in a list have 32 bits.
        let max_size = max_list_size.min(u32::MAX as usize);
        let mut list = List { fields, max_size, outcome: Outcome::default() };
        let read = self.read(block, &mut list);
        list.fields.discard();
        read.map(|()| list.outcome)
    }

    fn read(&mut self, block: &[u8], list: &mut List<'_>) -> Result<(), Error> {
        let mut rest = self.table_sizes(block)?;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                0x80.. => {
                    let number = integer::decode(first, 7, &mut rest)?;
                    let (entry, malformed) = self.entry(number)?;
                    list.add(entry, malformed);
                }
                0x40.. => self.literal(integer::decode(first, 6, &mut rest)?, &mut rest, Indexing::Insert, list)?,
                0x20.. => return Err(Error::LateTableSize),
                0x10.. => self.literal(integer::decode(first, 4, &mut rest)?, &mut rest, Indexing::Never, list)?,
                _ => self.literal(integer::decode(first, 4, &mut rest)?, &mut rest, Indexing::Without, list)?,
            }
        }
        Ok(())
    }

    /// Changes the table's size as the block's beginning says; gives back the rest of the block.
    fn table_sizes<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut rest = block;
        while let Some((&first @ 0x20..0x40, after)) = rest.split_first() {
            rest = after;
            let size = integer::decode(first, 5, &mut rest)?;
            if size > self.max_table_size {
                return Err(Error::LargeTable);
            }
            self.table.set_max_size(size);
        }
        Ok(rest)
    }

    fn entry(&self, number: usize) -> Result<(Entry<'_>, Option<Malformed>), Error> {
        let found = match number.checked_sub(static_table::LEN + 1) {
            Some(index) => self.table.get(index),
            None => static_table::entry(number).map(|entry| (entry, None)),
        };
        found.ok_or(Error::Index)
    }

    /// Reads a literal field; `number` is its name's in the tables, or 0.
    fn literal(
        &mut self,
        number: usize,
        rest: &mut &[u8],
        indexing: Indexing,
        list: &mut List<'_>,
    ) -> Result<(), Error> {
        let (name_len, bad_name) = if number == 0 {
            let len = string(rest, list.fields.draft())?;
            (len, malformed_name(list.fields.drafted()))
        } else {
            let (entry, malformed) = self.entry(number)?;
            // A name that goes nowhere is not copied: the block that asks for it a thousand times is small.
            if indexing == Indexing::Insert || list.has_room(entry.name_len) {
                list.fields.draft().extend_from_slice(entry.name());
            }
            (entry.name_len, malformed.filter(|malformed| malformed.is_of_name()))
        };
        let value_len = string(rest, list.fields.draft())?;
        let drafted = list.fields.drafted();
        let (name, value) = drafted.split_at_checked(drafted.len() - value_len).unwrap_or_default();
        let malformed = bad_name.or_else(|| malformed_value(value));
        if indexing == Indexing::Insert {
            self.table.insert(name, value, malformed);
        }
        list.keep_draft(name_len, value_len, indexing == Indexing::Never, malformed);
        Ok(())
    }
}

impl List<'_> {
    fn add(&mut self, entry: Entry<'_>, malformed: Option<Malformed>) {
        self.outcome.malformed = self.outcome.malformed.or(malformed);
        if self.has_room(entry.joined.len()) {
            self.fields.draft().extend_from_slice(entry.joined);
            self.fields.commit(entry.name_len, false);
        } else {
            self.outcome.over_limit = true;
        }
    }

    fn keep_draft(&mut self, name_len: usize, value_len: usize, never_indexed: bool, malformed: Option<Malformed>) {
        self.outcome.malformed = self.outcome.malformed.or(malformed);
        if self.has_room(name_len + value_len) {
            self.fields.commit(name_len, never_indexed);
        } else {
            self.outcome.over_limit = true;
            self.fields.discard();
        }
    }

    /// Whether a field of `len` bytes may be stored.
    fn has_room(&self, len: usize) -> bool {
        !self.outcome.over_limit && self.fields.size() + len + FIELD_OVERHEAD <= self.max_size
    }
}

impl Error {
    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "the header block ends inside a field",
            Self::IntegerOverflow => "an integer in the header block is too large",
            Self::Index => "the header block refers to an entry that no table has",
            Self::Huffman => "a string in the header block is not Huffman code",
            Self::LargeTable => "the header block sets a table size above our setting",
            Self::LateTableSize => "the header block changes the table size behind a field",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Error {}

/// Takes a string literal off `rest` and appends it; gives back its length when decoded.
fn string(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
    let (&first, after) = rest.split_first().ok_or(Error::Truncated)?;
    *rest = after;
    let len = integer::decode(first, 7, rest)?;
    let (bytes, after) = rest.split_at_checked(len).ok_or(Error::Truncated)?;
    *rest = after;
    if first & 0x80 == 0 {
        out.extend_from_slice(bytes);
        return Ok(len);
    }
    let before = out.len();
    huffman::decode(bytes, out)?;
    Ok(out.len() - before)
}

#[cfg(test)]
mod tests;
