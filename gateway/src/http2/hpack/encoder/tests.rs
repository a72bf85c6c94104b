//! What goes into the table and when, what never does, what is announced.

use super::*;

use crate::http2::{fields::Fields, hpack::Decoder};

fn field<'a>(name: &'a str, value: &'a str) -> Field<'a> {
    Field { name: name.as_bytes(), value: value.as_bytes(), never_indexed: false }
}

/// One block of fields.
fn block(encoder: &mut Encoder, fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for field in fields {
        encoder.field(*field, &mut out);
    }
    out
}

/// A block of one field, and what it has to be.
#[track_caller]
fn check(encoder: &mut Encoder, field: Field<'_>, expected: &[u8]) {
    let coded = block(encoder, &[field]);
    assert_eq!(coded, expected, "{:?} is {}, not {}", field, coded.escape_ascii(), expected.escape_ascii());
}

/// Writes the blocks and reads them with one decoder.
#[track_caller]
fn check_read(encoder: &mut Encoder, decoder: &mut Decoder, fields: &[Field<'_>]) {
    let mut read = Fields::new();
    decoder.decode(&block(encoder, fields), &mut read, usize::MAX).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), fields);
}

#[test]
fn a_field_of_the_static_table_is_one_byte() {
    let encoder = &mut Encoder::new();
    check(encoder, field(":method", "POST"), b"\x83");
    check(encoder, field(":scheme", "http"), b"\x86");
    check(encoder, field(":status", "200"), b"\x88");
    check(encoder, field("cookie", ""), b"\xa0");
    assert!(encoder.index.is_none(), "nothing to remember");
    assert_eq!(encoder.table.capacity(), 0);
}

#[test]
fn a_field_enters_the_table_when_it_is_seen_for_the_second_time() {
    let encoder = &mut Encoder::new();
    check(encoder, field("symbol", "BTC"), b"\x00\x06symbol\x03BTC");
    check(encoder, field("symbol", "ETH"), b"\x00\x06symbol\x03ETH");
    check(encoder, field("symbol", "BTC"), b"\x40\x06symbol\x03BTC");
    check(encoder, field("symbol", "BTC"), b"\xbe");
    check(encoder, field("symbol", "ETH"), b"\x7e\x03ETH");
    check(encoder, field("symbol", "ETH"), b"\xbe");
    check(encoder, field("symbol", "BTC"), b"\xbf");
    check(encoder, field("symbol", "XRP"), b"\x0f\x2f\x03XRP");
    assert_eq!(encoder.table.len(), 2);
}

#[test]
fn a_field_twice_in_one_block_counts_as_seen_twice() {
    let twice = [field("a", "b"); 3];
    assert_eq!(block(&mut Encoder::new(), &twice), b"\x00\x01a\x01b\x40\x01a\x01b\xbe");
}

#[test]
fn values_that_never_repeat_do_not_enter_the_table() {
    let encoder = &mut Encoder::new();
    check_read(encoder, &mut Decoder::new(4096), &[field("te", "trailers")]);
    check_read(encoder, &mut Decoder::new(4096), &[field("te", "trailers")]);
    for number in 0..1000 {
        block(encoder, &[field("grpc-timeout", &format!("{number}u"))]);
    }
    check(encoder, field("te", "trailers"), b"\xbe");
    assert_eq!(encoder.table.len(), 1);
}

#[test]
fn a_name_of_the_static_table_is_a_number() {
    let encoder = &mut Encoder::new();
    check(encoder, field(":path", "/sample/path"), b"\x04\x0c/sample/path");
    check(encoder, field(":path", "/sample/path"), b"\x44\x0c/sample/path");
    check(encoder, field("user-agent", "x"), b"\x0f\x2b\x01x");
    check(encoder, field(":status", "201"), b"\x08\x03201");
}

#[test]
fn a_never_indexed_field_stays_one() {
    let encoder = &mut Encoder::new();
    let secret = |name, value| Field { never_indexed: true, ..field(name, value) };
    for _ in 0..3 {
        check(encoder, secret("password", "secret"), b"\x10\x08password\x06secret");
        check(encoder, secret("authorization", "x"), b"\x1f\x08\x01x");
        check(encoder, secret(":method", "POST"), b"\x12\x04POST");
    }
    assert!(encoder.index.is_none(), "it is not remembered either");
    for expected in [&b"\x00\x08password\x01x"[..], b"\x40\x08password\x01x", b"\xbe"] {
        check(encoder, field("password", "x"), expected);
    }
    check(encoder, secret("password", "x"), b"\x1f\x2f\x01x");
}

#[test]
fn strings_of_any_length_are_plain() {
    let value = "x".repeat(5000);
    let coded = block(&mut Encoder::new(), &[field("a", &value)]);
    assert_eq!(coded, [b"\x00\x01a\x7f\x89\x26", value.as_bytes()].concat());
    check(&mut Encoder::new(), field("", ""), b"\x00\x00\x00");
}

#[test]
fn a_field_larger_than_the_table_never_enters_it() {
    let encoder = &mut Encoder::new();
    let (fits, large) = ("x".repeat(4096 - 33), "x".repeat(4096 - 32));
    check_read(encoder, &mut Decoder::new(4096), &[field("te", "trailers"); 2]);
    for _ in 0..3 {
        block(encoder, &[field("a", &large)]);
    }
    check(encoder, field("te", "trailers"), b"\xbe");
    block(encoder, &[field("a", &fits); 2]);
    check(encoder, field("a", &fits), b"\xbe");
    assert_eq!(encoder.table.len(), 1);
}

#[test]
fn an_evicted_field_has_to_be_seen_twice_again() {
    let encoder = &mut Encoder::new();
    let large = "x".repeat(4050);
    block(encoder, &[field("a", "b"); 2]);
    block(encoder, &[field("c", &large); 2]);
    check(encoder, field("a", "b"), b"\x00\x01a\x01b");
    check(encoder, field("a", "b"), b"\x40\x01a\x01b");
    check(encoder, field("a", "b"), b"\xbe");
}

#[test]
fn a_changed_table_size_is_announced_once() {
    let encoder = &mut Encoder::new();
    check(encoder, field(":method", "GET"), b"\x82");
    encoder.set_max_table_size(100);
    check(encoder, field(":method", "GET"), b"\x3f\x45\x82");
    check(encoder, field(":method", "GET"), b"\x82");
    encoder.set_max_table_size(0);
    check(encoder, field(":method", "GET"), b"\x20\x82");
    encoder.set_max_table_size(u32::MAX);
    check(encoder, field(":method", "GET"), b"\x3f\xe1\x1f\x82");
    encoder.set_max_table_size(65_536);
    encoder.set_max_table_size(4096);
    check(encoder, field(":method", "GET"), b"\x82");
}

#[test]
fn a_table_size_that_was_lower_between_two_blocks_is_announced_before_the_last_one() {
    let encoder = &mut Encoder::new();
    block(encoder, &[field("a", "b"); 2]);
    encoder.set_max_table_size(0);
    encoder.set_max_table_size(50);
    encoder.set_max_table_size(4096);
    check(encoder, field("a", "b"), b"\x20\x3f\xe1\x1f\x00\x01a\x01b");
    encoder.set_max_table_size(10);
    encoder.set_max_table_size(20);
    check(encoder, field(":method", "GET"), b"\x2a\x34\x82");
    encoder.set_max_table_size(30);
    encoder.set_max_table_size(20);
    check(encoder, field(":method", "GET"), b"\x82");
    encoder.set_max_table_size(30);
    encoder.set_max_table_size(25);
    check(encoder, field(":method", "GET"), b"\x39\x82");
}

#[test]
fn a_peer_without_a_table_gets_literals() {
    let encoder = &mut Encoder::new();
    encoder.set_max_table_size(0);
    block(encoder, &[]);
    for _ in 0..3 {
        check(encoder, field("a", "b"), b"\x00\x01a\x01b");
    }
    assert!(encoder.index.is_none());
}

#[test]
fn numbers_may_wrap() {
    let encoder = &mut Encoder::new();
    let decoder = &mut Decoder::new(4096);
    for number in 0..70_000 {
        let value = number.to_string();
        let path = format!("/{}", number % 7);
        check_read(encoder, decoder, &[field("n", &value), field("n", &value), field(":path", &path)]);
    }
    assert!(encoder.next < 10_000);
    check(encoder, field("n", "69999"), b"\xbe");
}

#[test]
fn fields_that_meet_in_one_chain_are_written_right() {
    let encoder = &mut Encoder::new();
    let decoder = &mut Decoder::new(4096);
    let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    // In twos, so that all enter the table, which has fewer chains.
    for value in &values {
        check_read(encoder, decoder, &[field("n", value); 2]);
    }
    assert_eq!(encoder.table.len(), 100);
    for value in &values {
        assert!(block(encoder, &[field("n", value)]).len() <= 2, "{value}");
        check_read(encoder, decoder, &[field("n", value)]);
    }
}

#[test]
fn a_walk_ends() {
    let encoder = &mut Encoder::new();
    let index = encoder.index.get_or_insert_default();
    let hashes = Hashes { name: 0, field: 7 };
    for number in 0..=LONGEST_WALK as u8 {
        let links = index.link(hashes, encoder.next);
        encoder.table.insert(b"n", &[number], links);
        encoder.next += 1;
    }
    let number = |value: u8| encoder.number(hashes, Field { name: b"n", value: &[value], never_indexed: false });
    assert_eq!(number(LONGEST_WALK as u8), Some(62));
    assert_eq!(number(1), Some(62 + LONGEST_WALK - 1));
    assert_eq!(number(0), None, "the entry is there, and too far");
}

#[test]
fn fields_of_every_call_all_enter_the_table() {
    // Whatever the hash makes of them: no two keep each other out for ever.
    for sample in 0..200 {
        let encoder = &mut Encoder::new();
        let values: Vec<String> = (0..8).map(|number| format!("{sample}-{number}")).collect();
        let fields: Vec<_> = values.iter().map(|value| field("n", value)).collect();
        block(encoder, &fields);
        block(encoder, &fields);
        assert_eq!(block(encoder, &fields).len(), 8, "{sample}");
    }
}

#[test]
fn an_idle_connection_costs_little() {
    let idle = size_of::<Encoder>() + size_of::<Decoder>();
    assert!(idle <= 300, "{idle} bytes");
    assert!(size_of::<Index>() <= 512);
}
