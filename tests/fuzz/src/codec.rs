//! Header blocks: what a stranger made up, and what we encode ourselves.

use crate::http2::{
    Field, Fields,
    hpack::{Decoder, Encoder},
};

/// Reads the input as header blocks of one connection, each behind its length.
pub fn decode(input: &[u8]) {
    let Some((&[table, limit], mut rest)) = input.split_first_chunk::<2>() else { return };
    let limit = usize::from(limit) << 5;
    let mut decoder = Decoder::new(usize::from(table) << 5);
    let mut fields = Fields::new();
    while let Some((&length, after)) = rest.split_first() {
        let (block, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        fields.clear();
        let Ok(outcome) = decoder.decode(block, &mut fields, limit) else { return };
        assert!(fields.size() <= limit, "{} of {limit}", fields.size());
        assert!(outcome.malformed.is_some() || fields.iter().all(|field| field.malformed().is_none()));
    }
}

/// Reads the input as header lists, and encodes and decodes them again.
pub fn round_trip(input: &[u8]) {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let mut rest = input;
    while !rest.is_empty() {
        let (list, size) = list(&mut rest);
        if let Some(size) = size {
            encoder.set_max_table_size(size);
        }
        let mut block = Vec::new();
        encoder.begin(&mut block);
        list.iter().for_each(|field| encoder.field(field, &mut block));
        let mut read = Fields::new();
        let outcome = decoder.decode(&block, &mut read, usize::MAX).expect("what we encode can be decoded");
        assert!(!outcome.over_limit);
        assert!(list.iter().eq(read.iter()), "{list:?} becomes {read:?}");
    }
}

/// A list, and a new size for the table. Names and values are pieces of the input, often the same ones again.
fn list(rest: &mut &[u8]) -> (Fields, Option<u32>) {
    const NAMES: [&[u8]; 6] = [b":path", b"content-type", b"grpc-timeout", b"x", b"te", b"user-agent"];
    let mut list = Fields::new();
    let take = |rest: &mut &[u8]| -> Option<u8> {
        let (&first, after) = rest.split_first()?;
        *rest = after;
        Some(first)
    };
    let Some(head) = take(rest) else { return (list, None) };
    for _ in 0..head % 16 {
        let (Some(name), Some(value)) = (take(rest), take(rest)) else { break };
        let (bytes, after) = rest.split_at(usize::from(value % 32).min(rest.len()));
        let name = match NAMES.get(usize::from(name % 16)) {
            Some(name) => name,
            None => bytes.get(..usize::from(name % 5)).unwrap_or_default(),
        };
        let repeated = bytes.repeat(1 + usize::from(value / 32) * 40);
        list.push_field(Field {
            name,
            value: if value > 0x80 { &repeated } else { bytes },
            never_indexed: value % 7 == 6,
        });
        if value % 3 != 0 {
            *rest = after;
        }
    }
    let size = (head >= 0xc0).then(|| u32::from(head & 0x3f) << 8);
    (list, size)
}
