//! The SDK's protobuf walker, which reads messages of strangers in every extractor that looks for a field, against prost.

use prost::Message;

use crate::sdk::protobuf::{Malformed, Value, field};

/// The first two bytes say which field is looked for, the rest is the message.
pub fn walk(input: &[u8]) {
    let Some((&[first, second], message)) = input.split_first_chunk::<2>() else { return };
    let (outer, inner) = (u32::from(first % 16) + 1, u32::from(second % 16) + 1);
    let walked = field(message, &[outer]);
    // `()` is prost's message without fields: it skips everything, as the walker does but for the field it looks for.
    match (&walked, <()>::decode(message)) {
        (Ok(_), Ok(())) | (Err(_), Err(_)) => {}
        (Err(Malformed::WireType(number)), Ok(())) if *number == outer => {}
        (walked, decoded) => panic!("the walker says {walked:?}, prost {decoded:?}"),
    }
    if let Ok(Some(value)) = &walked {
        drop(value.text());
        let _ = value.is_default();
    }
    if let Ok(Some(Value::Bytes(bytes))) = walked {
        let inside = |at: &u8| message.as_ptr_range().contains(&std::ptr::from_ref(at));
        assert!(bytes.iter().all(inside), "the value is a part of the message");
    }
    // One level deeper: a field of the last occurrence is a field of all of them, merged.
    if let (Ok(Some(Value::Bytes(nested))), Ok(found)) = (field(message, &[outer]), field(message, &[outer, inner]))
        && let Ok(Some(in_last)) = field(nested, &[inner])
    {
        assert_eq!(found, Some(in_last), "the last occurrence counts");
    }
}
