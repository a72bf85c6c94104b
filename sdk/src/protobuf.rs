//! Reads one field of a protobuf message by its number, without the message's descriptor. Copies nothing, and never
//! panics: the bytes come from strangers.

mod wire;

use std::{borrow::Cow, fmt};

use self::wire::{Payload, Reader};

/// The largest field number that protobuf allows.
pub const MAX_FIELD: u32 = (1 << 29) - 1;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, bool or enum. A negative `int32` or `int64` is its two's complement, `sint` its zigzag code.
    Varint(u64),
    /// A string, bytes or message.
    Bytes(&'a [u8]),
}

/// Why bytes are not the message that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends inside a field, or a length points beyond its end.
    Truncated,
    /// An integer has more than 64 bits.
    Overlong,
    /// A field number or wire type that does not exist.
    Tag,
    /// A group that is never opened or closed, or groups nested too deep.
    Group,
    /// The field with this number is there with another wire type than a caller of it can read.
    WireType(u32),
    /// The text is not UTF-8.
    Text,
}

/// The field at `path`, a field number for each level of nesting; `None` when the message does not carry it.
///
/// As protobuf says for fields that are not repeated: of several occurrences the last one counts, and several
/// occurrences of a nested message are one message. A sender need not write a field that has its default value, so
/// `None` may mean 0 or the empty text.
///
/// # Errors
/// When the message, or a nested one on the path, is not well-formed or has another wire type on the path. The other
/// nested messages are not looked into.
///
/// ```
/// use symgate_sdk::protobuf::{self, Value};
///
/// let message = [0x22, 3, b'B', b'T', b'C'];
/// assert_eq!(protobuf::field(&message, &[4]), Ok(Some(Value::Bytes(b"BTC"))));
/// assert_eq!(protobuf::field(&message, &[5]), Ok(None));
/// ```
pub fn field<'a>(message: &'a [u8], path: &[u32]) -> Result<Option<Value<'a>>, Malformed> {
    let Some((&number, rest)) = path.split_first() else {
        return Ok(Some(Value::Bytes(message)));
    };
    let mut found = None;
    let mut reader = Reader::new(message);
    while let Some((at, payload)) = reader.next()? {
        if at != number {
            continue;
        }
        let value = match payload {
            Payload::Bytes(nested) => field(nested, rest)?,
            Payload::Varint(value) if rest.is_empty() => Some(Value::Varint(value)),
            Payload::Varint(_) | Payload::Skipped => return Err(Malformed::WireType(number)),
        };
        // A later occurrence of a nested message that lacks the field leaves the earlier one's standing.
        found = value.or(found);
    }
    Ok(found)
}

impl<'a> Value<'a> {
    /// The value as text: a string as it is, an integer in decimal.
    ///
    /// # Errors
    /// [`Malformed::Text`] when the bytes are not UTF-8.
    pub fn text(self) -> Result<Cow<'a, str>, Malformed> {
        match self {
            Self::Varint(number) => Ok(Cow::Owned(number.to_string())),
            Self::Bytes(bytes) => str::from_utf8(bytes).map(Cow::Borrowed).or(Err(Malformed::Text)),
        }
    }

    /// Whether it is what the field has when it is not sent: 0, or nothing.
    #[must_use]
    pub fn is_default(self) -> bool {
        matches!(self, Self::Varint(0) | Self::Bytes([]))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends inside a field"),
            Self::Overlong => f.write_str("an integer in it has more than 64 bits"),
            Self::Tag => f.write_str("it has a field number or wire type that does not exist"),
            Self::Group => f.write_str("its groups are not well nested"),
            Self::WireType(number) => write!(f, "its field {number} has an unexpected wire type"),
            Self::Text => f.write_str("the field is not UTF-8"),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests;
