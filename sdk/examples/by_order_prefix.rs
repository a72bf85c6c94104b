//! The symbol is what a client order id starts with: `BTC_USDT-1f3a9c` belongs to `BTC_USDT`.

use symgate_sdk::{
    Call, Extractor,
    extract::{Inputs, Outcome},
};

symgate_sdk::register_extractor!(ByOrderPrefix);

struct ByOrderPrefix;

impl Extractor for ByOrderPrefix {
    fn new(_config: &str) -> Result<(Self, Inputs), String> {
        Ok((Self, Inputs { metadata: vec!["order-id".into()], pure: true, ..Inputs::default() }))
    }

    fn extract(&self, call: &Call<'_>) -> Outcome {
        match call.text(0).and_then(|id| id.split_once('-')) {
            Some((symbol, _)) => Outcome::Symbol(symbol.into()),
            None => Outcome::NoSymbol("order-id is not symbol-number".into()),
        }
    }
}

#[test]
fn the_symbol_comes_before_the_dash() {
    let call = symgate_sdk::testkit::Request::to("/pb.OrderService/Cancel").metadata("order-id", "BTC_USDT-1f3a9c");
    assert_eq!(call.extract::<ByOrderPrefix>("{}"), Outcome::Symbol("BTC_USDT".into()));
}
