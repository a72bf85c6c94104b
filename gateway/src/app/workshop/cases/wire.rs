//! Bytes as a file of cases says them: text, hexadecimal digits, or the fields of a protobuf message. The wire format is
//! written here, for tests, and read in the SDK.

use serde::Deserialize;
use toml::{Table, Value};

/// The value of a metadata key: a text, or `{ hex = "..." }`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// A first message: hexadecimal digits, or `{ 4 = "BTC_USDT" }`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Message(pub(super) Vec<u8>);

/// The largest field number that protobuf allows.
const MAX_FIELD: u64 = (1 << 29) - 1;
const VARINT: u64 = 0;
const BYTES: u64 = 2;

impl TryFrom<Value> for Bytes {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self(text.into_bytes())),
            Value::Table(table) => match only_hex(&table) {
                Some(digits) => hex(digits).map(Self),
                None => Err("bytes are { hex = \"...\" }".into()),
            },
            other => Err(format!("a value is a text or {{ hex = \"...\" }}, not {}", other.type_str())),
        }
    }
}

impl TryFrom<Value> for Message {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(digits) => hex(&digits).map(Self),
            Value::Table(fields) => message(&fields).map(Self),
            other => Err(format!("a message is hexadecimal digits or a table of its fields, not {}", other.type_str())),
        }
    }
}

fn only_hex(table: &Table) -> Option<&str> {
    if table.len() == 1 { table.get("hex")?.as_str() } else { None }
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("{digits:?} is no hexadecimal text: pairs of 0-9 and a-f, with spaces between them or not");
    let digits: Vec<_> = digits.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits.into_iter().collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low)).collect::<Result<_, _>>();
    if rest.is_empty() { bytes.map_err(|_too_large| wrong()) } else { Err(wrong()) }
}

/// Fields by their numbers, in the order of the file. Several values make a field that is repeated.
fn message(fields: &Table) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for (key, value) in fields {
        let number = key.parse().ok().filter(|number| (1..=MAX_FIELD).contains(number));
        let number = number.ok_or_else(|| format!("{key:?} is no field number: 1 to {MAX_FIELD}"))?;
        match value {
            Value::Array(values) => values.iter().try_for_each(|value| field(&mut bytes, number, value))?,
            value => field(&mut bytes, number, value)?,
        }
    }
    Ok(bytes)
}

fn field(bytes: &mut Vec<u8>, number: u64, value: &Value) -> Result<(), String> {
    let mut tagged = |kind: u64, value: u64| {
        varint(bytes, number << 3 | kind);
        varint(bytes, value);
    };
    let content = match value {
        Value::Integer(value) => {
            // As int32, int64, uint32, uint64 and enums are written; a negative one as its two's complement.
            tagged(VARINT, value.cast_unsigned());
            return Ok(());
        }
        Value::Boolean(value) => {
            tagged(VARINT, u64::from(*value));
            return Ok(());
        }
        Value::String(text) => text.clone().into_bytes(),
        Value::Table(inner) => match only_hex(inner) {
            Some(digits) => hex(digits)?,
            None => message(inner)?,
        },
        other => return Err(format!("field {number} is a text, integer, boolean or table, not {}", other.type_str())),
    };
    tagged(BYTES, content.len() as u64);
    bytes.extend(content);
    Ok(())
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use symgate_sdk::protobuf::{self, Value as Read};

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        message: Message,
    }

    fn read(text: &str) -> Result<Vec<u8>, String> {
        let case = toml::from_str::<Case>(&format!("message = {text}"));
        case.map(|case| case.message.0).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(read(r#""22 03 42 5443""#).unwrap(), b"\x22\x03BTC");
        assert_eq!(read(r#""""#).unwrap(), b"");
        for wrong in ["2", "2g", "0x22"] {
            assert!(read(&format!("{wrong:?}")).unwrap_err().contains("is no hexadecimal text"), "{wrong}");
        }
    }

    #[test]
    fn fields_are_read_back_by_the_sdk() {
        let bytes = read(r#"{ 1 = { 2 = "BTC", 3 = -1 }, 4 = [7, 300], 16 = true, 5 = { hex = "00ff" } }"#).unwrap();
        let field = |path: &[u32]| protobuf::field(&bytes, path).unwrap();
        assert_eq!(field(&[1, 2]), Some(Read::Bytes(b"BTC")));
        assert_eq!(field(&[1, 3]), Some(Read::Varint(u64::MAX)));
        assert_eq!(field(&[4]), Some(Read::Varint(300)), "the last one counts");
        assert_eq!(field(&[16]), Some(Read::Varint(1)));
        assert_eq!(field(&[5]), Some(Read::Bytes(b"\0\xff")));
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let refused = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error:?} does not say {expected:?}");
        };
        refused(r#"{ symbol = "BTC" }"#, "\"symbol\" is no field number: 1 to 536870911");
        refused("{ 0 = 1 }", "is no field number");
        refused("{ 1 = 1.5 }", "field 1 is a text, integer, boolean or table, not float");
        refused("7", "a message is hexadecimal digits or a table");
    }
}
