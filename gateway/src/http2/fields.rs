//! A header list exactly as it came: order, repetition, bytes. It judges a field by the rules that hold for every field
//! and knows none by its meaning.

use std::ops::Range;

/// A header list in two allocations, which [`Fields::clear`] keeps for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Names and values, one after the other; what lies past the last span is a draft.
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, as it came; a pseudo-header field's starts with a colon.
    pub name: &'a [u8],
    /// The value, any bytes.
    pub value: &'a [u8],
    /// Whether the sender forbids every hop to put the field into a compression table (RFC 7541 section 7.1.3).
    pub never_indexed: bool,
}

/// Why a field makes a request or a response malformed (RFC 9113 section 8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A name of no bytes.
    EmptyName,
    /// A name with an upper-case letter.
    UpperCase,
    /// A name with a byte that names may not hold, or with a colon after its start.
    NameByte,
    /// A value with NUL, CR or LF.
    ValueByte,
    /// A value that starts or ends with a space or a tab.
    ValueEdge,
}

/// Where a field lies in the bytes: from the end of the field before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    name_end: u32,
    end: u32,
    never_indexed: bool,
}

/// What each field counts on top of its bytes (RFC 9113 section 6.5.2, RFC 7541 section 4.1).
pub(super) const FIELD_OVERHEAD: usize = 32;

/// How a byte may occur in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameByte {
    Anywhere,
    First,
    Never,
}

const NAME_BYTES: [NameByte; 256] = name_bytes();

impl Fields {
    /// No fields, no allocation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Appends a field that tables may hold. A list ends at 4 GiB: a field beyond that is left out.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.push_field(Field { name, value, never_indexed: false });
    }

    /// Appends a field.
    pub fn push_field(&mut self, field: Field<'_>) {
        self.bytes.reserve(field.name.len() + field.value.len());
        self.bytes.extend_from_slice(field.name);
        self.bytes.extend_from_slice(field.value);
        self.commit(field.name.len(), field.never_indexed);
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let mut start = 0;
        self.spans.iter().filter_map(move |span| {
            let field = self.field(start, span);
            start = span.end;
            field
        })
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The size that SETTINGS_MAX_HEADER_LIST_SIZE limits: names, values and 32 for each field (RFC 9113 section 6.5.2).
    pub fn size(&self) -> usize {
        self.end() as usize + self.spans.len() * FIELD_OVERHEAD
    }

    /// The field at a place, from 0.
    pub fn get(&self, index: usize) -> Option<Field<'_>> {
        let start = match index.checked_sub(1) {
            Some(before) => self.spans.get(before)?.end,
            None => 0,
        };
        self.field(start, self.spans.get(index)?)
    }

    /// The first field of a name; the case counts.
    pub fn find(&self, name: &[u8]) -> Option<Field<'_>> {
        self.iter().find(|field| field.name == name)
    }

    /// The bytes of memory held, used or not.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Where the next field's name and value are put before it is known whether the field is kept. Whoever takes this
    /// ends with [`Self::commit`] or [`Self::discard`].
    pub(super) fn draft(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was put into the draft.
    pub(super) fn drafted(&self) -> &[u8] {
        self.bytes.get(self.end() as usize..).unwrap_or_default()
    }

    /// Makes the draft a field.
    pub(super) fn commit(&mut self, name_len: usize, never_indexed: bool) {
        let start = self.end();
        match (u32::try_from(start as usize + name_len), u32::try_from(self.bytes.len())) {
            (Ok(name_end), Ok(end)) => self.spans.push(Span { name_end, end, never_indexed }),
            _ => self.discard(),
        }
    }

    /// Forgets the draft.
    pub(super) fn discard(&mut self) {
        self.bytes.truncate(self.end() as usize);
    }

    fn end(&self) -> u32 {
        self.spans.last().map_or(0, |span| span.end)
    }

    #[inline]
    fn field(&self, start: u32, span: &Span) -> Option<Field<'_>> {
        let slice = |range: Range<u32>| self.bytes.get(range.start as usize..range.end as usize);
        Some(Field {
            name: slice(start..span.name_end)?,
            value: slice(span.name_end..span.end)?,
            never_indexed: span.never_indexed,
        })
    }
}

impl Field<'_> {
    /// Why a message that holds this field is malformed, if it is for this field alone.
    pub fn malformed(&self) -> Option<Malformed> {
        malformed_name(self.name).or_else(|| malformed_value(self.value))
    }
}

impl Malformed {
    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::EmptyName => "a field name is empty",
            Self::UpperCase => "a field name has an upper-case letter",
            Self::NameByte => "a field name has a byte that names may not hold",
            Self::ValueByte => "a field value has NUL, CR or LF",
            Self::ValueEdge => "a field value starts or ends with a space or a tab",
        }
    }

    /// Whether the name is at fault; otherwise the name is good.
    pub(super) fn is_of_name(self) -> bool {
        matches!(self, Self::EmptyName | Self::UpperCase | Self::NameByte)
    }
}

/// Why a name is malformed.
pub(super) fn malformed_name(name: &[u8]) -> Option<Malformed> {
    let Some((first, rest)) = name.split_first() else { return Some(Malformed::EmptyName) };
    let kind = |byte: &u8| NAME_BYTES.get(usize::from(*byte)).copied().unwrap_or(NameByte::Never);
    if kind(first) != NameByte::Never && rest.iter().all(|byte| kind(byte) == NameByte::Anywhere) {
        return None;
    }
    let upper = name.iter().any(u8::is_ascii_uppercase);
    Some(if upper { Malformed::UpperCase } else { Malformed::NameByte })
}

/// Why a value is malformed.
pub(super) fn malformed_value(value: &[u8]) -> Option<Malformed> {
    let forbidden = |byte: u8| byte == 0 || byte == b'\r' || byte == b'\n';
    // No early end: this way the compiler looks at many bytes at once, and almost every value is good.
    if value.iter().fold(false, |found, byte| found | forbidden(*byte)) {
        return Some(Malformed::ValueByte);
    }
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    (blank(value.first()) || blank(value.last())).then_some(Malformed::ValueEdge)
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs this and refuses what is out of bounds")]
const fn name_bytes() -> [NameByte; 256] {
    let mut kinds = [NameByte::Anywhere; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte {
            0x00..=0x20 | 0x41..=0x5a | 0x7f..=0xff => NameByte::Never,
            0x3a => NameByte::First,
            _ => NameByte::Anywhere,
        };
        byte += 1;
    }
    kinds
}

#[cfg(test)]
mod tests;
