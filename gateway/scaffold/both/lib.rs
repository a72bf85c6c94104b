//! Both decisions in one file, with options in common. Which symbol does a call belong to? The
//! value of a metadata key. Which of its instances gets it? The same one for the same user, as long
//! as it is there.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `symbol` | `"symbol"` | the metadata key that holds the symbol |
//! | `user` | `"user"` | the metadata key that says who calls |

use symgate_sdk::{
    Call, Extractor, Rejection, Selector, StatusCode, config, extract, hash,
    select::{self, Candidates},
    serde::Deserialize,
};

symgate_sdk::register_extractor!(ByKey);
symgate_sdk::register_selector!(ByUser);

/// Reads the symbol from a metadata value.
struct ByKey;

/// Sends a user's calls to the same instance.
struct ByUser;

/// `[plugin.config]` of the `[[plugin]]`. Both are made from all of it.
#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", default, deny_unknown_fields)]
struct Options {
    symbol: String,
    user: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            symbol: "symbol".into(),
            user: "user".into(),
        }
    }
}

impl Extractor for ByKey {
    fn new(config: &str) -> Result<(Self, extract::Inputs), String> {
        let options: Options = config::parse(config)?;
        let inputs = extract::Inputs {
            // Calls are given with these keys only, and in this order.
            metadata: vec![options.symbol],
            // The same value is always the same symbol: the gateway may remember it.
            pure: true,
            ..Default::default()
        };
        Ok((Self, inputs))
    }

    fn extract(&self, call: &Call<'_>) -> extract::Outcome {
        match call.text(0) {
            Some(symbol) if !symbol.is_empty() => extract::Outcome::Symbol(symbol.to_uppercase()),
            _ => extract::Outcome::NoSymbol("the call carries no symbol".into()),
        }
    }
}

impl Selector for ByUser {
    fn new(config: &str) -> Result<(Self, select::Inputs), String> {
        let options: Options = config::parse(config)?;
        let inputs = select::Inputs {
            metadata: vec![options.user],
            // The same on every gateway, so that all of them choose alike.
            ids: true,
            // There is nothing to decide about a single candidate.
            skip_single: true,
            ..Default::default()
        };
        Ok((Self, inputs))
    }

    fn select(
        &self,
        call: &Call<'_>,
        _symbol: &str,
        candidates: &Candidates<'_>,
        random: u64,
    ) -> select::Outcome {
        let by_chance = random.to_le_bytes();
        let key = call.value(0).unwrap_or(&by_chance);
        let weighted = candidates
            .iter()
            .map(|it| (it.id.unwrap_or_default(), it.weight));
        hash::rendezvous(key, weighted).map_or_else(
            || select::Outcome::Reject(Rejection::new(StatusCode::Unavailable, "no instance")),
            select::Outcome::candidate,
        )
    }
}

#[cfg(test)]
mod tests {
    use symgate_sdk::testkit::{Instance, Instances, Request};

    use super::*;

    #[test]
    fn the_value_is_the_symbol() {
        let call = Request::to("/pb.OrderService/Place").metadata("symbol", "btc_usdt");
        let symbol = extract::Outcome::Symbol("BTC_USDT".into());
        assert_eq!(call.extract::<ByKey>("{}"), symbol);
    }

    #[test]
    fn a_user_stays_with_an_instance() {
        let all: Instances<'_> = (1..=3).map(Instance::new).collect();
        let call = Request::to("/pb.OrderService/Place").metadata("user", "7");
        let chosen = |random| call.select::<ByUser>("{}", "BTC_USDT", &all, random);
        assert_eq!(chosen(1), chosen(2));
    }

    #[test]
    fn wrong_options_are_refused() {
        assert!(ByKey::new(r#"{"key":"symbol"}"#).is_err());
    }
}
