//! The walker against what prost encodes: every kind of field, as it is, cut off at every byte, and tampered with.

use proptest::{prelude::*, sample::Index};
use prost::Message;

use super::super::{MAX_FIELD, Malformed, Value, field};

/// Each kind of field that protobuf has.
#[derive(Clone, PartialEq, Message)]
struct Everything {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(sint64, tag = "3")]
    zigzag: i64,
    #[prost(int32, tag = "4")]
    negative: i32,
    #[prost(bool, tag = "5")]
    flag: bool,
    #[prost(fixed64, tag = "6")]
    fixed: u64,
    #[prost(float, tag = "7")]
    float: f32,
    #[prost(uint64, repeated, tag = "8")]
    packed: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "9")]
    repeated: Vec<u64>,
    #[prost(string, repeated, tag = "10")]
    texts: Vec<String>,
    #[prost(group, optional, tag = "11")]
    group: Option<Leaf>,
    #[prost(message, optional, boxed, tag = "12")]
    nested: Option<Box<Self>>,
    #[prost(message, repeated, tag = "536870911")]
    leaves: Vec<Leaf>,
}

#[derive(Clone, PartialEq, Message)]
struct Leaf {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
    #[prost(fixed32, tag = "2")]
    fixed: u32,
    #[prost(group, repeated, tag = "3")]
    groups: Vec<Self>,
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let flat = (prop::collection::vec(any::<u8>(), 0..6), any::<u32>());
    let flat = flat.prop_map(|(bytes, fixed)| Leaf { bytes, fixed, groups: Vec::new() });
    flat.prop_recursive(2, 6, 2, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|groups| Leaf { groups, ..Leaf::default() })
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (prop_oneof![Just(0), any::<u64>()], any::<i64>(), any::<i32>(), any::<bool>());
    let fixed = (prop_oneof![Just(0), any::<u64>()], prop_oneof![Just(0.0), any::<f32>()]);
    let lists = (prop::collection::vec(any::<u64>(), 0..4), prop::collection::vec(any::<u64>(), 0..4));
    let texts = (".{0,6}", prop::collection::vec(".{0,3}", 0..3));
    let leaves = (prop::option::of(leaf()), prop::collection::vec(leaf(), 0..3));
    let flat = (numbers, fixed, lists, texts, leaves).prop_map(|(numbers, fixed, lists, texts, leaves)| Everything {
        text: texts.0,
        number: numbers.0,
        zigzag: numbers.1,
        negative: numbers.2,
        flag: numbers.3,
        fixed: fixed.0,
        float: fixed.1,
        packed: lists.0,
        repeated: lists.1,
        texts: texts.1,
        group: leaves.0,
        nested: None,
        leaves: leaves.1,
    });
    flat.prop_recursive(2, 3, 1, |inner| {
        (inner.clone(), inner).prop_map(|(outer, nested)| Everything { nested: Some(Box::new(nested)), ..outer })
    })
}

/// What the walker is to find of a number that is left out when it is 0.
fn varint(number: u64) -> Result<Option<Value<'static>>, Malformed> {
    Ok((number != 0).then_some(Value::Varint(number)))
}

/// The walker's value, where missing and empty are the same.
fn bytes<'a>(message: &'a [u8], path: &[u32]) -> Result<&'a [u8], TestCaseError> {
    match field(message, path) {
        Ok(None) => Ok(&[]),
        Ok(Some(Value::Bytes(bytes))) => Ok(bytes),
        other => Err(TestCaseError::fail(format!("{path:?}: {other:?}"))),
    }
}

/// That the walker reads the same as prost.
fn alike(message: &[u8], read: &Everything) -> Result<(), TestCaseError> {
    prop_assert_eq!(bytes(message, &[1])?, read.text.as_bytes());
    let number = field(message, &[2]);
    prop_assert!(number == varint(read.number) || number == Ok(Some(Value::Varint(read.number))), "{number:?}");
    let nested = read.nested.clone().unwrap_or_default();
    let deeper = nested.nested.unwrap_or_default();
    prop_assert_eq!(bytes(message, &[12, 1])?, nested.text.as_bytes());
    prop_assert_eq!(bytes(message, &[12, 12, 1])?, deeper.text.as_bytes());
    let last = read.texts.last().map(|text| Value::Bytes(text.as_bytes()));
    prop_assert_eq!(field(message, &[10]), Ok(last));
    Ok(())
}

/// That walker and prost, which skips all fields of the message `()`, agree on whether it is well-formed.
fn as_well_formed(message: &[u8]) -> Result<(), TestCaseError> {
    let (walked, decoded) = (field(message, &[MAX_FIELD - 1]), <()>::decode(message));
    let same = match &walked {
        Ok(_) | Err(Malformed::WireType(_)) => decoded.is_ok(),
        Err(_) => decoded.is_err(),
    };
    prop_assert!(same, "{walked:?}, and prost: {decoded:?}");
    Ok(())
}

proptest! {
    #[test]
    fn every_kind_of_field_is_read_or_skipped(read in everything()) {
        let message = read.encode_to_vec();
        alike(&message, &read)?;
        let zigzag = (read.zigzag.cast_unsigned() << 1) ^ (read.zigzag >> 63).cast_unsigned();
        prop_assert_eq!(field(&message, &[3]), varint(zigzag));
        prop_assert_eq!(field(&message, &[4]), varint(i64::from(read.negative).cast_unsigned()));
        prop_assert_eq!(field(&message, &[5]), varint(u64::from(read.flag)));
        let fixed = if read.fixed == 0 { Ok(None) } else { Err(Malformed::WireType(6)) };
        prop_assert_eq!(field(&message, &[6]), fixed);
        prop_assert_eq!(field(&message, &[9]), Ok(read.repeated.last().copied().map(Value::Varint)));
        let group = if read.group.is_none() { Ok(None) } else { Err(Malformed::WireType(11)) };
        prop_assert_eq!(field(&message, &[11]), group);
        // A packed field is one run of bytes, in which each number is as prost writes it alone.
        let mut packed = Vec::new();
        read.packed.iter().for_each(|number| prost::encoding::encode_varint(*number, &mut packed));
        prop_assert_eq!(bytes(&message, &[8])?, &*packed);
        let all: Vec<u8> = read.leaves.iter().flat_map(|leaf| leaf.bytes.last().copied()).collect();
        prop_assert_eq!(bytes(&message, &[MAX_FIELD, 1])?.last(), all.last());
    }

    #[test]
    fn cut_off_at_every_byte(read in everything()) {
        let message = read.encode_to_vec();
        for end in 0..message.len() {
            let cut = &message[..end];
            match Everything::decode(cut) {
                Ok(part) => alike(cut, &part)?,
                Err(_) => prop_assert!(field(cut, &[1]).is_err() && field(cut, &[12, 1]).is_err(), "{cut:02x?}"),
            }
        }
    }

    #[test]
    fn a_length_that_is_a_lie(read in everything(), number in 1..=MAX_FIELD, length: u64, rest: Vec<u8>) {
        let mut message = read.encode_to_vec();
        prost::encoding::encode_varint(u64::from(number) << 3 | 2, &mut message);
        for length in [length, rest.len() as u64, rest.len() as u64 + 1, u64::MAX] {
            let mut message = message.clone();
            prost::encoding::encode_varint(length, &mut message);
            message.extend_from_slice(&rest);
            if length > rest.len() as u64 {
                prop_assert_eq!(field(&message, &[number]), Err(Malformed::Truncated));
            }
            as_well_formed(&message)?;
        }
    }

    #[test]
    fn a_byte_that_was_changed(read in everything(), at: Index, byte: u8) {
        let mut message = read.encode_to_vec();
        prop_assume!(!message.is_empty());
        let at = at.index(message.len());
        message[at] = byte;
        as_well_formed(&message)?;
        if let Ok(read) = Everything::decode(&*message) {
            alike(&message, &read)?;
        }
        // Whatever they say of what is inside: they end, and do not panic.
        for path in [&[12, 12, 12][..], &[MAX_FIELD, 3, 1], &[8, 1], &[1, 1]] {
            let _ = field(&message, path);
        }
    }
}
