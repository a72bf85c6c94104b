//! The policy natively, asked as the gateway asks it.

use symgate_sdk::{Extractor, StatusCode, extract::Outcome, testkit::Request};

use crate::OrderId;

const CONFIG: &str = r#"{"metadata":"order-id","fields":{"/pb.OrderService/Cancel":[1]},
    "symbols":{"1":"BTC_USDT","2":"ETH_USDT","131":"SOL_USDC"}}"#;
const SMALL: &str =
    r#"{"metadata":"id","offset":0,"bits":16,"modulo":1000,"symbols":{"1":"BTC_USDT","65":"ETH_USDT"}}"#;

/// What a snowflake generator makes: milliseconds, ten bits of a worker, twelve bits of a counter.
fn id(worker: u64) -> u64 {
    (1_764_326_400_123 << 22) | (worker << 12) | 4095
}

fn ask(id: impl ToString, config: &str) -> Outcome {
    let id = id.to_string();
    let key = if config == SMALL { "id" } else { "order-id" };
    Request::to("/pb.OrderService/Get").metadata(key, &id).extract::<OrderId>(config)
}

#[track_caller]
fn check(id: impl ToString, config: &str, expected: &str) {
    assert_eq!(ask(id, config), Outcome::Symbol(expected.into()));
}

#[track_caller]
fn check_config(config: &str, error: &str) {
    assert_eq!(OrderId::new(config).unwrap_err(), error);
}

#[test]
fn the_worker_number_is_the_symbol_s() {
    check(id(1), CONFIG, "BTC_USDT");
    check(id(2), CONFIG, "ETH_USDT");
    check(id(131 % 64), CONFIG, "SOL_USDC");
    check(1_u64 << 12, CONFIG, "BTC_USDT");
    check((7 << 16) | 1, SMALL, "BTC_USDT");
    check((7 << 16) | 65, SMALL, "ETH_USDT");
}

#[test]
fn the_id_may_be_in_the_message() {
    let cancel = Request::to("/pb.OrderService/Cancel");
    // Field 1: worker number 2, nothing else.
    assert_eq!(cancel.clone().message(b"\x08\x80\x40").extract::<OrderId>(CONFIG), Outcome::Symbol("ETH_USDT".into()));
    assert_eq!(cancel.clone().message(b"\x0a\x044096").extract::<OrderId>(CONFIG), Outcome::Symbol("BTC_USDT".into()));
    let none = cancel.extract::<OrderId>(CONFIG);
    assert_eq!(none, Outcome::NoSymbol("field [1] of the request message is empty".into()));
}

#[test]
fn an_id_of_no_symbol_carries_none() {
    let (unknown, above) = (id(9), id(65));
    for (id, worker) in [(unknown, 9), (above, 65)] {
        let reason = format!("order id {id} was made by worker {worker}, which is no symbol's");
        assert_eq!(ask(id, CONFIG), Outcome::NoSymbol(reason));
    }
    let bare = Request::to("/pb.OrderService/Get").extract::<OrderId>(SMALL);
    assert_eq!(bare, Outcome::NoSymbol("the call carries no metadata `id`".into()));
}

#[test]
fn an_id_that_is_no_number_is_refused() {
    for id in ["12a", "-1", "18446744073709551616", "0x10"] {
        let Outcome::Reject(rejection) = ask(id, SMALL) else { panic!("{id} is accepted") };
        let expected = (StatusCode::InvalidArgument, format!("order id {id} is no number"));
        assert_eq!((rejection.code, rejection.message), expected);
    }
}

#[test]
fn symbols_that_an_id_cannot_tell_apart_are_refused() {
    check_config(&CONFIG.replace("131", "130"), "symbols: the numbers of ETH_USDT and SOL_USDC are both 2 modulo 64");
    check_config(&SMALL.replace("1000", "64"), "symbols: the numbers of BTC_USDT and ETH_USDT are both 1 modulo 64");
}

#[test]
fn wrong_options_are_refused() {
    let with = |more: &str| format!(r#"{{"metadata":"id","symbols":{{"1":"A"}}{more}}}"#);
    check_config("{}", "missing field `symbols`");
    check_config(r#"{"symbols":{"1":"A"}}"#, "neither `metadata` nor `fields` says where the order id is");
    check_config(&with(r#","modulo":0"#), "modulo 0: 10 bits hold 1 to 1024 worker numbers");
    check_config(&with(r#","modulo":64,"bits":5"#), "modulo 64: 5 bits hold 1 to 32 worker numbers");
    for (offset, bits) in [(0, 0), (60, 4), (0, 64), (4_294_967_295_u32, 1)] {
        let error = format!("offset {offset} and bits {bits}: the worker number is 1 to 63 bits of the id's 63");
        check_config(&with(&format!(r#","offset":{offset},"bits":{bits}"#)), &error);
    }
    assert!(OrderId::new(&with(r#","bits":63,"offset":0"#)).is_ok(), "all of the id");
    let unknown = OrderId::new(&with(r#","bit":1"#)).unwrap_err();
    assert!(unknown.starts_with("unknown field `bit`"), "{unknown}");
}
