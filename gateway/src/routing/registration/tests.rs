//! Every format of the registry, byte for byte.

use super::*;

fn kline() -> Layout {
    Layout::new("", "klineRpc", None)
}

#[track_caller]
fn read(layout: &Layout, key: &str, value: &str) -> Registration {
    layout.read(key, value.as_bytes()).unwrap_or_else(|error| panic!("{key} {value}: {error}"))
}

#[track_caller]
fn check(layout: &Layout, key: &str, value: &str, symbol: &str, address: &str) -> Registration {
    let registration = read(layout, key, value);
    assert_eq!((registration.symbol.as_str(), registration.address.as_str()), (symbol, address), "{key} {value}");
    registration
}

#[test]
fn three_levels_with_a_plain_address() {
    let registration = check(&kline(), "klineRpc/BTC_USDT/1", "192.168.2.159:9999", "BTC_USDT", "192.168.2.159:9999");
    assert_eq!((registration.weight, registration.labels, registration.warnings), (1, Labels::default(), vec![]));
}

#[test]
fn the_endpoint_manager_of_etcd() {
    let value = r#"{"Op":0,"Addr":"192.168.2.159:9999","Metadata":{"symbol":"BTC_USDT"}}"#;
    check(&kline(), "klineRpc/BTC_USDT/7587876543210987654", value, "BTC_USDT", "192.168.2.159:9999");
    check(&kline(), "klineRpc/7587876543210987654", value, "BTC_USDT", "192.168.2.159:9999");
    for metadata in ["null", r#""text""#, "[1]", "7", "{}", r#"{"symbol":null}"#] {
        let value = format!(r#"{{"Op":0,"Addr":"10.0.0.1:80","Metadata":{metadata}}}"#);
        check(&kline(), "klineRpc/ETH_USDT/1", &value, "ETH_USDT", "10.0.0.1:80");
    }
    check(&kline(), "klineRpc/ETH_USDT/1", r#"{"Addr":"10.0.0.1:80"}"#, "ETH_USDT", "10.0.0.1:80");
}

#[test]
fn the_publisher_of_go_zero() {
    let account = Layout::new("", "accountRpc", None);
    check(&account, "accountRpc/7587876543210987654", "192.168.2.159:20002", "", "192.168.2.159:20002");
}

#[test]
fn a_template_and_a_root_prefix() {
    let template = KeyTemplate::parse("orderRpcDtm_{symbol}/{id}").expect("a template");
    let order = Layout::new("/prod/", "orderRpc", Some(template));
    assert_eq!(order.prefix(), "/prod/orderRpcDtm_");
    check(&order, "/prod/orderRpcDtm_IKUN_USDT/12", "10.0.0.1:80", "IKUN_USDT", "10.0.0.1:80");
    let rooted = Layout::new("/prod/", "klineRpc", None);
    check(&rooted, "/prod/klineRpc/BTC/USDT/1", "10.0.0.1:80", "BTC/USDT", "10.0.0.1:80");
    for text in ["{symbol}/{id}", "a_{symbol}{id}", "a_{id}/{symbol}", "a_{symbol}/{id}/{x}", "a_{symbol}", ""] {
        assert_eq!(KeyTemplate::parse(text), None, "{text:?}");
    }
}

#[test]
fn metadata_becomes_labels_and_wins_over_the_key() {
    let value = r#"{"Addr":"10.0.0.1:80","Metadata":{"symbol":"ETH_USDT","zone":"b","weight":3,"n":1,"a":{"b":true}}}"#;
    let registration = check(&kline(), "klineRpc/BTC_USDT/1", value, "ETH_USDT", "10.0.0.1:80");
    assert_eq!(registration.weight, 3);
    let labels: Vec<_> = registration.labels.iter().collect();
    assert_eq!(labels, [("a", r#"{"b":true}"#), ("n", "1"), ("zone", "b")]);
    assert_eq!(registration.labels.get("zone"), Some("b"));
    assert_eq!(registration.warnings, ["the key says symbol BTC_USDT, Metadata.symbol says ETH_USDT; Metadata wins"]);
}

#[test]
fn a_useless_weight_is_a_warning() {
    for weight in ["0", "-1", r#""x""#, "1.5", "null", "4294967296"] {
        let value = format!(r#"{{"Addr":"10.0.0.1:80","Metadata":{{"weight":{weight}}}}}"#);
        let registration = read(&kline(), "klineRpc/A/1", &value);
        assert_eq!((registration.weight, registration.warnings.len()), (1, 1), "{weight}");
    }
    assert_eq!(read(&kline(), "klineRpc/A/1", r#"{"Addr":"h:80","Metadata":{"weight":"7"}}"#).weight, 7);
}

#[test]
fn what_announces_nothing_says_why() {
    let check = |key: &str, value: &[u8], expected: &str| {
        let error = kline().read(key, value).expect_err(key).to_string();
        assert!(error.contains(expected), "{key}: {error}");
    };
    check("klineRpc/A/1", b"", "blank");
    check("klineRpc/A/1", b"10.0.0.1", "port");
    check("klineRpc/A/1", br#"{"Addr":"","Metadata":null}"#, "blank");
    check("klineRpc/A/1", br#"{"Addr":"#, "not the JSON of an endpoint");
    check("klineRpc/A/1", br#"{"Metadata":null}"#, "missing field `Addr`");
    check("klineRpc/A/1", b"\xff\xfe", "UTF-8");
    check("klineRpc/", b"10.0.0.1:80", "layout klineRpc/{symbol}/{id} or klineRpc/{id}");
    check("klineRpc/A/", b"10.0.0.1:80", "layout");
    check("klineRpcV2/A/1", b"10.0.0.1:80", "layout");
}
