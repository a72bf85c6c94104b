//! The table of recent fields that both ends of a connection keep alike (RFC 7541 sections 2.3.2 and 4). It holds no
//! memory before the first field.

use std::collections::VecDeque;

use crate::http2::fields::FIELD_OVERHEAD;

/// Recent fields, each with a note of its owner.
pub(super) struct DynamicTable<N> {
    /// Names and values of the entries, oldest first, after what evicted entries left behind.
    bytes: Vec<u8>,
    /// The place of the first of `bytes` among all bytes that ever came in, modulo 2^32.
    base: u32,
    /// Oldest first.
    places: VecDeque<Place<N>>,
    /// RFC 7541 section 4.1: names, values and 32 for each entry.
    size: usize,
    max_size: usize,
}

/// A name and a value that follow one another.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Name and value.
    pub(super) joined: &'a [u8],
    /// Where the value starts.
    pub(super) name_len: usize,
}

#[derive(Clone, Copy)]
struct Place<N> {
    /// Among all bytes that ever came in, modulo 2^32.
    at: u32,
    name_len: u32,
    value_len: u32,
    note: N,
}

/// The first allocation: enough for the heads of most connections.
const FIRST_ALLOCATION: usize = 256;

impl<N: Copy> DynamicTable<N> {
    /// An empty table that grows up to a size, which RFC 7541 section 4.1 defines.
    pub(super) fn new(max_size: usize) -> Self {
        // An entry's length must fit into 32 bits; a bigger table than that serves nobody.
        let max_size = max_size.min(u32::MAX as usize);
        Self { bytes: Vec::new(), base: 0, places: VecDeque::new(), size: 0, max_size }
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The size that it may grow to.
    pub(super) fn max_size(&self) -> usize {
        self.max_size
    }

    /// Sets the size that it may grow to and evicts what no longer fits.
    pub(super) fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size.min(u32::MAX as usize);
        self.evict(self.max_size);
    }

    /// The entry of a place, the newest being at 0, and its note.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<(Entry<'_>, N)> {
        let place = self.places.get(self.places.len().checked_sub(index + 1)?)?;
        let start = place.at.wrapping_sub(self.base) as usize;
        let joined = self.bytes.get(start..start + place.len())?;
        Some((Entry { joined, name_len: place.name_len as usize }, place.note))
    }

    /// Adds a field as the newest entry and evicts the oldest for it. One that is larger than the table empties it,
    /// which is no error (RFC 7541 section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], note: N) {
        let len = name.len() + value.len();
        let Some(room) = self.max_size.checked_sub(len + FIELD_OVERHEAD) else {
            self.evict(0);
            return;
        };
        self.evict(room);
        self.make_room(len);
        let at = self.base.wrapping_add(self.bytes.len() as u32);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.places.push_back(Place { at, name_len: name.len() as u32, value_len: value.len() as u32, note });
        self.size += len + FIELD_OVERHEAD;
    }

    /// The bytes of memory held, used or not.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Place<N>>()
    }

    /// The size by RFC 7541 section 4.1.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.places.pop_front()
        {
            self.size -= oldest.len() + FIELD_OVERHEAD;
        }
    }

    /// Makes room for `len` bytes behind the others. The bytes never outgrow the table's size: its 32 for each entry are
    /// room for what evicted entries left behind, so that this is cleared away only now and then.
    fn make_room(&mut self, len: usize) {
        let needed = self.bytes.len() + len;
        if needed <= self.bytes.capacity().min(self.max_size) {
            return;
        }
        if needed > self.max_size {
            let live =
                self.places.front().map_or(self.bytes.len(), |oldest| oldest.at.wrapping_sub(self.base) as usize);
            self.bytes.drain(..live);
            self.base = self.base.wrapping_add(live as u32);
        }
        let grown = (self.bytes.capacity() * 2).max(FIRST_ALLOCATION).min(self.max_size);
        let needed = self.bytes.len() + len;
        if needed > self.bytes.capacity() {
            self.bytes.reserve_exact(grown.max(needed) - self.bytes.len());
        }
    }
}

impl<'a> Entry<'a> {
    /// The name.
    pub(super) fn name(self) -> &'a [u8] {
        self.joined.get(..self.name_len).unwrap_or_default()
    }

    /// The value.
    pub(super) fn value(self) -> &'a [u8] {
        self.joined.get(self.name_len..).unwrap_or_default()
    }
}

impl<N> Place<N> {
    fn len(&self) -> usize {
        self.name_len as usize + self.value_len as usize
    }
}

#[cfg(test)]
mod tests;
