//! The extractor `order-id`, a worked example: the call names an order by its id only, and the id was made by a snowflake
//! generator whose worker number is the symbol's number modulo 64.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `symbols` | required | from a symbol's number to the symbol |
//! | `modulo` | `64` | the worker number is the symbol's number modulo this |
//! | `offset` | `12` | how many bits of the id are below the worker number |
//! | `bits` | `10` | how many bits the worker number has |
//! | `metadata` | none | the metadata key that holds the id, tried first |
//! | `fields` | none | where the id is in the first message, as for `message-field`; one of the two is needed |
//!
//! The id is a decimal number without sign, or an integer field. Two symbols whose numbers are the same modulo `modulo`
//! are refused, for nothing in an id tells them apart. A call without an id, or whose id is of none of these symbols,
//! carries no symbol; an id that is no number is refused.
//!
//! ```toml
//! metadata = "order-id"
//! fields = { "/pb.OrderService/Cancel" = [1] }
//! symbols = { 1 = "BTC_USDT", 2 = "ETH_USDT", 131 = "SOL_USDC" }
//! ```

#![deny(unsafe_code)]

use std::collections::BTreeMap;

use symgate_sdk::{
    Call, Extractor, Rejection, StatusCode,
    carried::{Carried, Fields},
    config,
    extract::{Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_extractor!(OrderId);

/// Reads the symbol's number from an order id.
#[derive(Debug)]
pub struct OrderId {
    id: Carried,
    offset: u32,
    bits: u32,
    /// By worker number.
    symbols: BTreeMap<u64, String>,
}

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {
    symbols: BTreeMap<u64, String>,
    modulo: Option<u64>,
    offset: Option<u32>,
    bits: Option<u32>,
    metadata: Option<String>,
    fields: Option<Fields>,
}

impl Extractor for OrderId {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let options: Options = config::parse(config)?;
        let (modulo, offset, bits) =
            (options.modulo.unwrap_or(64), options.offset.unwrap_or(12), options.bits.unwrap_or(10));
        if bits == 0 || offset.saturating_add(bits) > 63 {
            return Err(format!("offset {offset} and bits {bits}: the worker number is 1 to 63 bits of the id's 63"));
        }
        if !(1..=1 << bits).contains(&modulo) {
            return Err(format!("modulo {modulo}: {bits} bits hold 1 to {} worker numbers", 1_u64 << bits));
        }
        if options.metadata.is_none() && options.fields.is_none() {
            return Err("neither `metadata` nor `fields` says where the order id is".into());
        }
        let mut symbols = BTreeMap::new();
        for (number, symbol) in options.symbols {
            if let Some(other) = symbols.insert(number % modulo, symbol.clone()) {
                let same = number % modulo;
                return Err(format!("symbols: the numbers of {other} and {symbol} are both {same} modulo {modulo}"));
            }
        }
        let id = Carried::new(options.metadata.as_deref(), options.fields.unwrap_or_default());
        let inputs = id.inputs();
        Ok((Self { id, offset, bits, symbols }, inputs))
    }

    fn extract(&self, call: &Call<'_>) -> Outcome {
        let id = match self.id.text(call) {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        let Ok(number) = id.parse::<u64>() else {
            return Outcome::Reject(Rejection::new(StatusCode::InvalidArgument, format!("order id {id} is no number")));
        };
        let worker = (number >> self.offset) & ((1 << self.bits) - 1);
        match self.symbols.get(&worker) {
            Some(symbol) => Outcome::Symbol(symbol.clone()),
            None => Outcome::NoSymbol(format!("order id {id} was made by worker {worker}, which is no symbol's")),
        }
    }
}

#[cfg(test)]
mod tests;
