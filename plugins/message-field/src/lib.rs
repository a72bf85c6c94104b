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

mod fields;

use symgate_sdk::{
    Call, Extractor, Rejection, StatusCode, config,
    extract::{Inputs, Need, Outcome},
    protobuf::{self, Malformed},
    serde::Deserialize,
};

use crate::fields::Fields;

symgate_sdk::register_extractor!(MessageField);

/// Reads the symbol from the first message.
#[derive(Debug)]
pub struct MessageField {
    fields: Fields,
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
        let metadata = metadata.iter().map(|key| key.to_ascii_lowercase()).collect();
        Ok((Self { fields }, Inputs { path: true, metadata, message: Need::OnDemand, pure: true }))
    }

    fn extract(&self, call: &Call<'_>) -> Outcome {
        match call.value(0).map(str::from_utf8) {
            Some(Ok("")) | None => {}
            Some(Ok(symbol)) => return Outcome::Symbol(symbol.to_owned()),
            Some(Err(_)) => return refuse("the symbol's metadata is not UTF-8"),
        }
        let Some(field) = self.fields.at(call.path) else {
            return Outcome::NoSymbol(format!("no field is configured for {}", call.path));
        };
        let Some(message) = call.message else {
            return Outcome::NeedMessage;
        };
        symbol(message, field)
            .unwrap_or_else(|malformed| refuse(&format!("the request message is malformed: {malformed}")))
    }
}

fn symbol(message: &[u8], field: &[u32]) -> Result<Outcome, Malformed> {
    // A sender may leave out a field that has its default value: both must mean the same.
    match protobuf::field(message, field)?.filter(|value| !value.is_default()) {
        Some(value) => Ok(Outcome::Symbol(value.text()?.into_owned())),
        None => Ok(Outcome::NoSymbol(format!("field {field:?} of the request message is empty"))),
    }
}

fn refuse(why: &str) -> Outcome {
    Outcome::Reject(Rejection::new(StatusCode::InvalidArgument, why))
}

#[cfg(test)]
mod tests;
