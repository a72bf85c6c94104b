//! The extractor `metadata-key`: the symbol is the value of a metadata key.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `key` | `"symbol"` | the metadata key |
//!
//! A call without the key, or with an empty value, carries no symbol. A value that is not UTF-8 is refused.

#![deny(unsafe_code)]

use symgate_sdk::{
    Call, Extractor, Rejection, StatusCode, config,
    extract::{Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_extractor!(MetadataKey);

/// Reads the symbol from one metadata key.
#[derive(Debug)]
pub struct MetadataKey {
    key: String,
}

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {
    #[serde(default = "default_key")]
    key: String,
}

fn default_key() -> String {
    String::from("symbol")
}

impl Extractor for MetadataKey {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let Options { key } = config::parse(config)?;
        let key = key.to_ascii_lowercase();
        let inputs = Inputs { metadata: vec![key.clone()], pure: true, ..Inputs::default() };
        Ok((Self { key }, inputs))
    }

    fn extract(&self, call: &Call<'_>) -> Outcome {
        match str::from_utf8(call.value(0).unwrap_or_default()) {
            Ok("") => Outcome::NoSymbol(format!("the call carries no metadata `{}`", self.key)),
            Ok(symbol) => Outcome::Symbol(symbol.to_owned()),
            Err(_) => Outcome::Reject(Rejection::new(
                StatusCode::InvalidArgument,
                format!("metadata `{}` is not UTF-8", self.key),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use symgate_sdk::{Extractor, StatusCode, extract::Outcome, testkit::Request};

    use crate::MetadataKey;

    #[track_caller]
    fn check(request: Request<'_>, config: &str, expected: Outcome) {
        assert_eq!(request.extract::<MetadataKey>(config), expected);
    }

    #[test]
    fn the_value_is_the_symbol() {
        let request = Request::to("/a/B").metadata("symbol", "BTC").metadata("pair", "ETH");
        check(request.clone(), "{}", Outcome::Symbol("BTC".into()));
        check(request, r#"{"key":"pair"}"#, Outcome::Symbol("ETH".into()));
    }

    #[test]
    fn keys_have_no_case() {
        let (_, inputs) = MetadataKey::new(r#"{"key":"X-Symbol"}"#).unwrap();
        assert_eq!(inputs.metadata, ["x-symbol"]);
    }

    #[test]
    fn no_value_is_no_symbol() {
        let reason = Outcome::NoSymbol("the call carries no metadata `symbol`".into());
        check(Request::to("/a/B"), "{}", reason.clone());
        check(Request::to("/a/B").metadata("symbol", ""), "{}", reason);
    }

    #[test]
    fn a_value_that_is_not_text_is_refused() {
        let outcome = Request::to("/a/B").metadata("symbol", b"\xff").extract::<MetadataKey>("{}");
        assert!(matches!(outcome, Outcome::Reject(rejection) if rejection.code == StatusCode::InvalidArgument));
    }

    #[test]
    fn wrong_options_are_refused() {
        assert_eq!(MetadataKey::new(r#"{"kee":"x"}"#).unwrap_err(), "unknown field `kee`, expected `key`");
    }
}
