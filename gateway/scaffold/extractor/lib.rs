//! Which symbol does a call belong to? Here it is what a metadata value begins with: an order id
//! `BTC_USDT-1f3a9c` belongs to `BTC_USDT`.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `key` | `"order-id"` | the metadata key |
//! | `separator` | `"-"` | what follows the symbol |

use symgate_sdk::{
    Call, Extractor, config,
    extract::{Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_extractor!(Prefix);

/// Reads the symbol from the beginning of a metadata value.
struct Prefix(Options);

/// `[plugin.config]` of the `[[plugin]]`.
#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", default, deny_unknown_fields)]
struct Options {
    key: String,
    separator: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key: "order-id".into(),
            separator: "-".into(),
        }
    }
}

impl Extractor for Prefix {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let options: Options = config::parse(config)?;
        if options.separator.is_empty() {
            return Err("`separator` is empty, so that no value could be divided".into());
        }
        let inputs = Inputs {
            // Calls are given with these keys only, and in this order.
            metadata: vec![options.key.to_ascii_lowercase()],
            // The same value always has the same symbol: the gateway may remember it.
            pure: true,
            ..Inputs::default()
        };
        Ok((Self(options), inputs))
    }

    fn extract(&self, call: &Call<'_>) -> Outcome {
        let Options { key, separator } = &self.0;
        let value = call.text(0).unwrap_or_default();
        match value.split_once(separator.as_str()) {
            Some((symbol, _)) if !symbol.is_empty() => Outcome::Symbol(symbol.into()),
            _ => Outcome::NoSymbol(format!("the metadata `{key}` is not symbol{separator}rest")),
        }
    }
}

#[cfg(test)]
mod tests {
    use symgate_sdk::testkit::Request;

    use super::*;

    fn symbol_of(order: &str, config: &str) -> Outcome {
        Request::to("/pb.OrderService/Cancel")
            .metadata("order-id", order)
            .extract::<Prefix>(config)
    }

    #[test]
    fn the_symbol_comes_before_the_separator() {
        let symbol = Outcome::Symbol("BTC_USDT".into());
        assert_eq!(symbol_of("BTC_USDT-1f3a9c", "{}"), symbol);
        assert_eq!(symbol_of("BTC_USDT/1f3a9c", r#"{"separator":"/"}"#), symbol);
    }

    #[test]
    fn without_it_there_is_no_symbol() {
        for order in ["", "-1f3a9c", "1f3a9c"] {
            let reason = "the metadata `order-id` is not symbol-rest".into();
            assert_eq!(symbol_of(order, "{}"), Outcome::NoSymbol(reason));
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        assert!(Prefix::new(r#"{"separator":""}"#).is_err());
        assert!(Prefix::new(r#"{"seperator":"-"}"#).is_err());
    }
}
