//! Each form in which services register in etcd, byte for byte, and bad entries among good ones.

use symgate_tests::{
    Etcd, Gateway, Instance, Route,
    client::{ask, assert_owner},
    eventually,
};

/// One registration as it lies in etcd: the key, and the value for an address.
async fn check(symbol: &str, key: &str, value: impl Fn(&str) -> String) {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&[symbol]).await;
    let address = instance.address().to_string();
    etcd.put(key, value(&address)).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&[symbol]).await;
    let reply = gateway.client().get_kline(ask(symbol)).await.unwrap().into_inner();
    assert_owner(&reply, symbol);
}

#[tokio::test]
async fn three_levels_with_a_plain_address() {
    check("BTC_USDT", "klineRpc/BTC_USDT/1", str::to_owned).await;
}

#[tokio::test]
async fn the_endpoint_manager_with_the_symbol_in_the_key_and_in_the_metadata() {
    check("BTC_USDT", "klineRpc/BTC_USDT/7587876543210987654", |address| {
        format!(r#"{{"Op":0,"Addr":"{address}","Metadata":{{"symbol":"BTC_USDT"}}}}"#)
    })
    .await;
}

#[tokio::test]
async fn the_endpoint_manager_with_a_metadata_that_is_null() {
    check("BTC_USDT", "klineRpc/BTC_USDT/7587876543210987654", |address| {
        format!(r#"{{"Op":0,"Addr":"{address}","Metadata":null}}"#)
    })
    .await;
}

#[tokio::test]
async fn the_endpoint_manager_with_a_metadata_that_is_text() {
    check("BTC_USDT", "klineRpc/BTC_USDT/7587876543210987654", |address| {
        format!(r#"{{"Op":0,"Addr":"{address}","Metadata":"BTC_USDT"}}"#)
    })
    .await;
}

#[tokio::test]
async fn a_flat_key_with_the_symbol_among_other_metadata() {
    check("BTC_USDT", "klineRpc/7587876543210987654", |address| {
        let more = r#""zone":"a","weight":3,"nested":{"symbol":"no"}"#;
        format!(r#"{{"Op":0,"Addr":"{address}","Metadata":{{{more},"symbol":"BTC_USDT"}}}}"#)
    })
    .await;
}

#[tokio::test]
async fn a_symbol_with_a_slash_in_it() {
    check("BTC/USDT", "klineRpc/BTC/USDT/1", str::to_owned).await;
}

#[tokio::test]
async fn a_service_without_symbols_with_a_plain_address() {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&[]).await;
    etcd.put("accountRpc/7587876543210987654", instance.address().to_string()).await;
    let gateway = Gateway::builder().etcd(&etcd).route(Route::to("accountRpc").unsplit()).start().await;
    gateway.serving(&["any"]).await;
}

#[tokio::test]
async fn a_key_of_another_layout_by_template() {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    etcd.put("orderRpcDtm_BTC_USDT/7587876543210987654", instance.address().to_string()).await;
    let gateway = Gateway::builder()
        .etcd(&etcd)
        .route(Route::to("orderRpcDtm"))
        .more("[[service]]\nname = \"orderRpcDtm\"\nkey = \"orderRpcDtm_{symbol}/{id}\"")
        .start()
        .await;
    gateway.serving(&["BTC_USDT"]).await;
}

#[tokio::test]
async fn a_service_does_not_read_the_keys_of_one_whose_name_goes_on() {
    let etcd = Etcd::start().await;
    let ours = Instance::start(&["BTC_USDT"]).await;
    let other = Instance::start(&["ETH_USDT"]).await;
    etcd.put("klineRpcV2/ETH_USDT/1", other.address().to_string()).await;
    etcd.put("klineRpc/BTC_USDT/1", ours.address().to_string()).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let status = gateway.client().get_kline(ask("ETH_USDT")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound, "{status}");
    assert_eq!(other.seen().calls(), 0);
}

#[tokio::test]
async fn bad_entries_are_named_and_good_ones_stand() {
    let etcd = Etcd::start().await;
    let good = Instance::start(&["BTC_USDT"]).await;
    let bad = [
        ("klineRpc/BTC_USDT/blank", ""),
        ("klineRpc/BTC_USDT/no-port", "192.168.2.159"),
        ("klineRpc/BTC_USDT/words", "not an address"),
        ("klineRpc/ETH_USDT/half-json", r#"{"Op":0,"Addr":"#),
        ("klineRpc/ETH_USDT/no-address", r#"{"Op":0,"Metadata":{"symbol":"ETH_USDT"}}"#),
        ("klineRpc/ETH_USDT/port", "127.0.0.1:99999"),
    ];
    for (key, value) in bad {
        etcd.put(key, value).await;
    }
    etcd.put("klineRpc/BTC_USDT/1", good.address().to_string()).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    for (key, _) in bad {
        eventually!(gateway.log().says(&[key]), "the log does not name the bad entry {key}");
    }
    let reply = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap().into_inner();
    assert_owner(&reply, "BTC_USDT");

    let late = Instance::start(&["ETH_USDT"]).await;
    etcd.put("klineRpc/ETH_USDT/port", late.address().to_string()).await;
    gateway.serving(&["ETH_USDT"]).await;
}
