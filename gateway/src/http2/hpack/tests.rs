//! What the encoder writes, the decoder reads.

use proptest::prelude::*;

use super::*;

use crate::http2::fields::{Field, Fields};

#[derive(Clone, Debug)]
enum Step {
    /// A list of fields.
    Block(Vec<(Vec<u8>, Vec<u8>, bool)>),
    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    TableSize(u32),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::sample::select(vec![
            ":method", ":path", ":authority", ":status", "content-type", "te", "grpc-timeout", "symbol", "a", "",
        ]).prop_map(|name| name.as_bytes().to_vec()),
        1 => "[a-z-]{1,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::sample::select(vec!["POST", "/", "200", "trailers", "", "BTC_USDT", "ETH_USDT", "a\n", " a"])
            .prop_map(|value| value.as_bytes().to_vec()),
        1 => "[0-9]{1,3}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..600),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec((name(), value(), proptest::bool::weighted(0.1)), 0..30).prop_map(Step::Block),
        1 => prop_oneof![Just(0), 0..200_u32, 200..4096_u32, Just(4096), any::<u32>()].prop_map(Step::TableSize),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lists_come_back_as_they_went(steps in proptest::collection::vec(step(), 1..30)) {
        let mut encoder = Encoder::new();
        // The largest table that the steps allow; the encoder keeps to what it was told itself.
        let mut decoder = Decoder::new(4096);
        let (mut fields, mut out) = (Fields::new(), Vec::new());
        for step in steps {
            match step {
                Step::TableSize(size) => encoder.set_max_table_size(size),
                Step::Block(list) => {
                    fields.clear();
                    out.clear();
                    encoder.begin(&mut out);
                    let list = list.iter().map(|(name, value, never_indexed)| Field { name, value, never_indexed: *never_indexed });
                    list.clone().for_each(|field| encoder.field(field, &mut out));
                    let outcome = decoder.decode(&out, &mut fields, usize::MAX);
                    let malformed = list.clone().find_map(|field| field.malformed());
                    prop_assert_eq!(outcome, Ok(Outcome { over_limit: false, malformed }));
                    prop_assert_eq!(fields.iter().collect::<Vec<_>>(), list.collect::<Vec<_>>());
                }
            }
        }
    }
}

#[test]
fn a_call_that_repeats_is_a_byte_for_each_field() {
    let mut head = Fields::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/pb.KlineService/GetKline"),
        (":authority", "a.b:9000"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        head.push(name.as_bytes(), value.as_bytes());
    }
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        head.iter().for_each(|field| encoder.field(field, &mut out));
        let mut read = Fields::new();
        assert_eq!(decoder.decode(&out, &mut read, 16_384), Ok(Outcome::default()));
        assert_eq!(read, head);
        lengths.push(out.len());
    }
    assert_eq!(lengths, [71, 70, 6]);
}
