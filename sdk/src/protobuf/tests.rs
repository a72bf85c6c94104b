//! The walker against hand-made bytes, against prost, and against noise.

mod encodings;

use proptest::prelude::*;
use prost::Message;

use super::{Malformed, Value, field};

#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(string, tag = "1")]
    symbol: String,
    #[prost(uint64, tag = "2")]
    id: u64,
    #[prost(message, optional, tag = "3")]
    pair: Option<Pair>,
    #[prost(fixed64, tag = "4")]
    at: u64,
    #[prost(float, tag = "5")]
    price: f32,
    #[prost(message, repeated, tag = "536870911")]
    legs: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(bytes = "vec", tag = "1")]
    base: Vec<u8>,
    #[prost(int64, tag = "16")]
    number: i64,
}

#[track_caller]
fn check(message: &[u8], path: &[u32], expected: Result<Option<Value<'_>>, Malformed>) {
    assert_eq!(field(message, path), expected, "{message:02x?} at {path:?}");
}

#[test]
fn a_field_is_found_by_its_path() {
    check(b"", &[1], Ok(None));
    check(b"\x0a\x03BTC", &[1], Ok(Some(Value::Bytes(b"BTC"))));
    check(b"\x0a\x03BTC", &[2], Ok(None));
    check(b"\x08\x96\x01", &[1], Ok(Some(Value::Varint(150))));
    check(b"\x1a\x05\x0a\x03BTC", &[3, 1], Ok(Some(Value::Bytes(b"BTC"))));
    check(b"\x1a\x05\x0a\x03BTC", &[3, 2], Ok(None));
}

#[test]
fn the_last_occurrence_counts_and_nested_messages_merge() {
    check(b"\x0a\x01A\x0a\x01B", &[1], Ok(Some(Value::Bytes(b"B"))));
    check(b"\x1a\x03\x0a\x01A\x1a\x02\x10\x05", &[3, 1], Ok(Some(Value::Bytes(b"A"))));
}

#[test]
fn what_is_not_asked_for_is_skipped() {
    check(b"\x21\0\0\0\0\0\0\0\0\x2d\0\0\0\0\x0a\x01A", &[1], Ok(Some(Value::Bytes(b"A"))));
    // A group, field 2, which holds a field 1 and a nested group 3: neither is the message's own field 1.
    check(b"\x13\x0a\x01X\x1b\x1c\x14\x0a\x01A", &[1], Ok(Some(Value::Bytes(b"A"))));
}

#[test]
fn malformed_messages_are_errors() {
    check(b"\x0a\x04BTC", &[1], Err(Malformed::Truncated));
    check(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &[1], Err(Malformed::Truncated));
    check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", &[1], Err(Malformed::Overlong));
    check(b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", &[1], Err(Malformed::Overlong));
    check(b"\x21\0\0", &[1], Err(Malformed::Truncated));
    check(b"\x02\x00", &[1], Err(Malformed::Tag));
    check(b"\x0e", &[1], Err(Malformed::Tag));
    check(b"\x14", &[1], Err(Malformed::Group));
    check(b"\x13\x1c", &[1], Err(Malformed::Group));
    check(b"\x13", &[1], Err(Malformed::Truncated));
    check(&[0x13; 1 << 20], &[1], Err(Malformed::Group));
    check(b"\x0a\x03BTC\x0a\x09", &[1], Err(Malformed::Truncated));
}

#[test]
fn another_wire_type_is_an_error() {
    check(b"\x0d\0\0\0\0", &[1], Err(Malformed::WireType(1)));
    check(b"\x08\x05", &[1, 2], Err(Malformed::WireType(1)));
    check(b"\x0b\x0c", &[1], Err(Malformed::WireType(1)));
}

#[test]
fn values_have_a_text() {
    assert_eq!(Value::Varint(u64::MAX).text().as_deref(), Ok("18446744073709551615"));
    assert_eq!(Value::Bytes(b"BTC").text().as_deref(), Ok("BTC"));
    assert_eq!(Value::Bytes(b"\xff").text(), Err(Malformed::Text));
}

fn pair() -> impl Strategy<Value = Pair> {
    (any::<Vec<u8>>(), any::<i64>()).prop_map(|(base, number)| Pair { base, number })
}

fn order() -> impl Strategy<Value = Order> {
    let legs = prop::collection::vec(pair(), 0..4);
    (any::<String>(), any::<u64>(), prop::option::of(pair()), any::<u64>(), any::<f32>(), legs)
        .prop_map(|(symbol, id, pair, at, price, legs)| Order { symbol, id, pair, at, price, legs })
}

fn bytes<'a>(message: &'a [u8], path: &[u32]) -> &'a [u8] {
    match field(message, path).unwrap() {
        None => b"",
        Some(Value::Bytes(bytes)) => bytes,
        Some(Value::Varint(_)) => panic!("{path:?} is a varint"),
    }
}

fn varint(message: &[u8], path: &[u32]) -> u64 {
    match field(message, path).unwrap() {
        None => 0,
        Some(Value::Varint(number)) => number,
        Some(Value::Bytes(_)) => panic!("{path:?} is bytes"),
    }
}

proptest! {
    #[test]
    fn it_reads_what_prost_reads(first in order(), second in order()) {
        // Two encodings in a row are one message, merged.
        let message = [first.encode_to_vec(), second.encode_to_vec()].concat();
        let order = Order::decode(&*message).unwrap();
        prop_assert_eq!(bytes(&message, &[1]), order.symbol.as_bytes());
        prop_assert_eq!(varint(&message, &[2]), order.id);
        let pair = order.pair.unwrap_or_default();
        prop_assert_eq!(bytes(&message, &[3, 1]), &*pair.base);
        prop_assert_eq!(varint(&message, &[3, 16]), u64::try_from(i128::from(pair.number) & i128::from(u64::MAX)).unwrap());
    }

    #[test]
    fn noise_never_panics_and_prost_agrees_that_it_is_malformed(
        noise in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..48], 0..64),
    ) {
        let walked = field(&noise, &[7]);
        // `()` is prost's message without fields: it skips everything, as the walker does but for field 7.
        match <()>::decode(&*noise) {
            Ok(()) => prop_assert!(matches!(walked, Ok(_) | Err(Malformed::WireType(7))), "{walked:?}"),
            Err(refused) => prop_assert!(walked.is_err(), "prost refuses it: {refused}"),
        }
        let _ = field(&noise, &[1, 2, 3]);
    }
}
