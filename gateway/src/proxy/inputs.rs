//! What a plugin is given of a call: exactly the metadata that it asked for.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::status::{Code, Reject};
use crate::routing::{Found, Head};

/// gRPC sends `-bin` values without padding and must take them with it.
const BINARY: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Values of `-bin` keys, decoded; what [`values`] borrows from.
#[derive(Default)]
pub(super) struct Decoded(Vec<Option<Vec<u8>>>);

impl Decoded {
    /// Decodes the `-bin` keys among `keys`.
    pub(super) fn new(head: &impl Head, keys: &[String]) -> Result<Self, Reject> {
        if !keys.iter().any(|key| is_binary(key)) {
            return Ok(Self::default());
        }
        keys.iter().map(|key| decode(head, key)).collect::<Result<_, _>>().map(Self)
    }
}

/// One value per key, in the same order.
pub(super) fn values<'a>(
    head: &'a impl Head,
    keys: &[String],
    decoded: &'a Decoded,
) -> Result<Vec<Option<&'a [u8]>>, Reject> {
    let value = |(at, key): (usize, &String)| match head.metadata(key) {
        Found::Absent => Ok(None),
        Found::One(_) if is_binary(key) => Ok(decoded.0.get(at).and_then(Option::as_deref)),
        Found::One(value) => Ok(Some(value)),
        Found::Repeated => Err(ambiguous(key)),
    };
    keys.iter().enumerate().map(value).collect()
}

fn decode(head: &impl Head, key: &str) -> Result<Option<Vec<u8>>, Reject> {
    match head.metadata(key) {
        // One header field may hold several values that a comma joins.
        Found::One(value) if is_binary(key) && value.contains(&b',') => Err(ambiguous(key)),
        Found::One(value) if is_binary(key) => BINARY.decode(value).map(Some).map_err(|error| {
            let text = format!("the call is routed by metadata {key}, whose value is not base64: {error}");
            Reject::new(Code::InvalidArgument, "bad-metadata", text)
        }),
        _ => Ok(None),
    }
}

fn is_binary(key: &str) -> bool {
    key.ends_with("-bin")
}

/// Routing and the instance might read different values.
fn ambiguous(key: &str) -> Reject {
    let text = format!("the call is routed by metadata {key} and carries it more than once");
    Reject::new(Code::InvalidArgument, "ambiguous-metadata", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http2::{Fields, Request},
        proxy::head,
    };

    fn head(metadata: &[(&'static str, &'static str)]) -> head::Head {
        let mut fields = Fields::new();
        metadata.iter().for_each(|(key, value)| fields.push(key.as_bytes(), value.as_bytes()));
        head::Head::new(fields, Request::default())
    }

    #[track_caller]
    fn check(metadata: &[(&'static str, &'static str)], expected: Result<Option<&[u8]>, &str>) {
        let (head, keys) = (head(metadata), ["other".into(), "key-bin".into(), "key".into()]);
        let found = Decoded::new(&head, &keys)
            .and_then(|decoded| values(&head, &keys, &decoded).map(|found| found[1].or(found[2]).map(<[u8]>::to_vec)));
        let found = found.as_ref().map(Option::as_deref).map_err(|reject| reject.reason);
        assert_eq!(found, expected, "{metadata:?}");
    }

    #[test]
    fn a_plugin_gets_the_value_it_asked_for() {
        check(&[], Ok(None));
        check(&[("key", "BTC_USDT")], Ok(Some(b"BTC_USDT")));
        check(&[("key", "a,b")], Ok(Some(b"a,b")));
        for binary in ["/wA", "/wA="] {
            check(&[("key-bin", binary)], Ok(Some(&[0xff, 0])));
        }
    }

    #[test]
    fn a_value_that_readers_may_disagree_about_is_refused() {
        check(&[("key", "a"), ("key", "a")], Err("ambiguous-metadata"));
        check(&[("key-bin", "/wA"), ("key-bin", "/wA")], Err("ambiguous-metadata"));
        check(&[("key-bin", "/wA,/wA")], Err("ambiguous-metadata"));
        check(&[("key-bin", "*")], Err("bad-metadata"));
    }
}
