//! The extractor `message-field`: the symbol is a field of the first request message, found by its number.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `fields` | required | from a gRPC path to the field's number, preceded by those of the messages that it is nested in |
//! | `metadata` | none | a metadata key that is tried first, and spares the call the wait for its message |
//!
//! A path is a method (`/pb.KlineService/GetKline`), a service (`/pb.KlineService/`) or all (`/`); the longest match
//! counts. The field is a string, or an integer without sign, whose symbol is its decimal text. A call without a match,
//! or whose field is missing, empty or 0, carries no symbol. A message that is malformed is refused.
//!
//! ```toml
//! metadata = "symbol"
//! [fields]
//! "/pb.KlineService/GetKline" = [4]
//! "/pb.OrderService/" = [1, 2]
//! ```

#![deny(unsafe_code)]

use symgate_sdk::{
    Call, Extractor,
    carried::{Carried, Fields},
    config,
    extract::{Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_extractor!(MessageField);

/// Reads the symbol from the first message.
#[derive(Debug)]
pub struct MessageField {
    symbol: Carried,
}

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {
    fields: Fields,
    metadata: Option<String>,
}

impl Extractor for MessageField {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let Options { fields, metadata } = config::parse(config)?;
        let symbol = Carried::new(metadata.as_deref(), fields);
        let inputs = symbol.inputs();
        Ok((Self { symbol }, inputs))
    }

    fn extract(&self, call: &Call<'_>) -> Outcome {
        match self.symbol.text(call) {
            Ok(symbol) => Outcome::Symbol(symbol.into_owned()),
            Err(outcome) => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
