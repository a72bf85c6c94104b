//! The 61 fields that every HPACK peer knows (RFC 7541 appendix A).

use super::dynamic_table::Entry;

/// How many entries there are. They are numbered from 1; the dynamic table's numbers follow.
pub(super) const LEN: usize = 61;

/// Entries of one name, which stand one after the other. No number is 0: that stands for no entry.
#[derive(Clone, Copy)]
struct Named {
    first: u8,
    count: u8,
    /// Whether any has a value.
    valued: bool,
}

/// The entry of a number from 1 to [`LEN`].
#[inline]
pub(super) fn entry(number: usize) -> Option<Entry<'static>> {
    TABLE.get(number.checked_sub(1)?).copied()
}

/// The number of the first entry that has a name.
pub(super) fn name_number(name: &[u8]) -> Option<usize> {
    let number = usize::from(NAMES.get(mark(name))?.first);
    (entry(number)?.name() == name).then_some(number)
}

/// The number of the entry that is a field.
#[inline]
pub(super) fn number(name: &[u8], value: &[u8]) -> Option<usize> {
    // Most names come without a value, most fields come with one: no need to look closer.
    NAMES.get(mark(name)).filter(|named| named.valued || value.is_empty())?.number(name, value)
}

impl Named {
    fn number(self, name: &[u8], value: &[u8]) -> Option<usize> {
        let first = usize::from(self.first);
        let mut numbers = first..first + usize::from(self.count);
        numbers.find(|number| entry(*number).is_some_and(|entry| entry.value() == value && entry.name() == name))
    }
}

/// By mark of a name.
static NAMES: [Named; 1 << MARK_BITS] = names();
const MARK_BITS: u32 = 7;

/// A number that differs for all names of the table. The factor was found by trying.
#[inline]
const fn mark(name: &[u8]) -> usize {
    let ([first, ..], [.., last]) = (name, name) else { return 0 };
    let key = name.len() as u32 | (*first as u32) << 8 | (*last as u32) << 16;
    (key.wrapping_mul(0x64ad_062f) >> (u32::BITS - MARK_BITS)) as usize
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs this and refuses what is out of bounds")]
const fn names() -> [Named; 1 << MARK_BITS] {
    let mut names = [Named { first: 0, count: 0, valued: false }; 1 << MARK_BITS];
    let mut number = 1;
    let mut last = usize::MAX;
    while number <= LEN {
        let (name, value) = TABLE[number - 1].joined.split_at(TABLE[number - 1].name_len);
        let mark = mark(name);
        if mark != last {
            assert!(names[mark].count == 0, "two names have one mark");
            names[mark].first = number as u8;
        }
        names[mark].count += 1;
        names[mark].valued |= !value.is_empty();
        last = mark;
        number += 1;
    }
    names
}

/// Name and value in one piece, because a header list takes them so.
macro_rules! entry {
    ($name:literal, $value:literal) => {
        Entry { joined: concat!($name, $value).as_bytes(), name_len: $name.len() }
    };
}

static TABLE: [Entry<'static>; LEN] = [
    entry!(":authority", ""),
    entry!(":method", "GET"),
    entry!(":method", "POST"),
    entry!(":path", "/"),
    entry!(":path", "/index.html"),
    entry!(":scheme", "http"),
    entry!(":scheme", "https"),
    entry!(":status", "200"),
    entry!(":status", "204"),
    entry!(":status", "206"),
    entry!(":status", "304"),
    entry!(":status", "400"),
    entry!(":status", "404"),
    entry!(":status", "500"),
    entry!("accept-charset", ""),
    entry!("accept-encoding", "gzip, deflate"),
    entry!("accept-language", ""),
    entry!("accept-ranges", ""),
    entry!("accept", ""),
    entry!("access-control-allow-origin", ""),
    entry!("age", ""),
    entry!("allow", ""),
    entry!("authorization", ""),
    entry!("cache-control", ""),
    entry!("content-disposition", ""),
    entry!("content-encoding", ""),
    entry!("content-language", ""),
    entry!("content-length", ""),
    entry!("content-location", ""),
    entry!("content-range", ""),
    entry!("content-type", ""),
    entry!("cookie", ""),
    entry!("date", ""),
    entry!("etag", ""),
    entry!("expect", ""),
    entry!("expires", ""),
    entry!("from", ""),
    entry!("host", ""),
    entry!("if-match", ""),
    entry!("if-modified-since", ""),
    entry!("if-none-match", ""),
    entry!("if-range", ""),
    entry!("if-unmodified-since", ""),
    entry!("last-modified", ""),
    entry!("link", ""),
    entry!("location", ""),
    entry!("max-forwards", ""),
    entry!("proxy-authenticate", ""),
    entry!("proxy-authorization", ""),
    entry!("range", ""),
    entry!("referer", ""),
    entry!("refresh", ""),
    entry!("retry-after", ""),
    entry!("server", ""),
    entry!("set-cookie", ""),
    entry!("strict-transport-security", ""),
    entry!("transfer-encoding", ""),
    entry!("user-agent", ""),
    entry!("vary", ""),
    entry!("via", ""),
    entry!("www-authenticate", ""),
];

#[cfg(test)]
mod tests;
