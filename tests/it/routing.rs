//! Which instance gets a call: by metadata, by a field of the message, per method; and what a call gets that has no
//! instance.

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route,
    client::{ask, assert_owner, reason, with_metadata, with_symbol},
    eventually,
    pb::KlineRequest,
};
use tonic::Code;

/// Two symbols, an instance each.
async fn two() -> (Instance, Instance, RegistryFile) {
    let btc = Instance::start(&["BTC_USDT"]).await;
    let eth = Instance::start(&["ETH_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", btc.address()), ("ETH_USDT", eth.address())]);
    (btc, eth, registry)
}

#[tokio::test]
async fn by_a_field_of_the_message() {
    let (_btc, _eth, registry) = two().await;
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    for symbol in ["BTC_USDT", "ETH_USDT", "BTC_USDT"] {
        let reply = gateway.client().get_kline(ask(symbol)).await.unwrap().into_inner();
        assert_eq!(reply.symbol, symbol, "the message arrives whole");
        assert_owner(&reply, symbol);
    }
}

#[tokio::test]
async fn by_metadata_before_the_message() {
    let (_btc, eth, registry) = two().await;
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    let reply = gateway.client().get_kline(with_symbol(ask("BTC_USDT"), "ETH_USDT")).await.unwrap().into_inner();
    assert_owner(&reply, "ETH_USDT");
    assert_eq!(reply.symbol, "BTC_USDT", "the message is not changed");
    assert_eq!(eth.seen().last().metadata("symbol"), Some("ETH_USDT"), "nor is the metadata");
}

/// The worker numbers of the order ids are the symbols' numbers modulo 64: 1 and 66.
#[tokio::test]
async fn by_the_worker_number_in_an_order_id() {
    let (btc, eth, registry) = two().await;
    let by_id = Plugin::wasm("by-id", &symgate_tests::wasm::folder().join("order_id.wasm")).config(
        r#"
        metadata = "order-id"
        fields = { "/pb.KlineService/" = [1] }
        symbols = { 1 = "BTC_USDT", 66 = "ETH_USDT" }
        "#,
    );
    let gateway =
        Gateway::builder().file(&registry).plugin(by_id).route(Route::to("klineRpc").with("extract", "by-id"));
    let gateway = gateway.start().await;
    let mut client = gateway.client();
    let order = |worker: i64| (1_764_326_400_123 << 22) | (worker << 12) | 17;
    let in_message = |worker| KlineRequest { from: order(worker), ..ask("an order") };
    eventually!(client.get_kline(in_message(1)).await.is_ok(), "the table is read");
    for (worker, owner) in [(1, "BTC_USDT"), (2, "ETH_USDT")] {
        let reply = client.get_kline(in_message(worker)).await.unwrap().into_inner();
        assert_owner(&reply, owner);
        let request = with_metadata(ask("an order"), "order-id", &order(worker).to_string());
        assert_owner(client.get_kline(request).await.unwrap().get_ref(), owner);
    }
    assert_eq!(eth.seen().last().metadata("symgate-symbol"), Some("ETH_USDT"));
    let before = btc.seen().calls() + eth.seen().calls();
    let status = client.get_kline(in_message(65)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, Some("no-symbol")), "{status}");
    assert!(status.message().contains("was made by worker 65, which is no symbol's"), "{status}");
    let status = client.get_kline(with_metadata(ask("an order"), "order-id", "17a")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, Some("rejected")), "{status}");
    assert_eq!(btc.seen().calls() + eth.seen().calls(), before, "no instance saw those");
}

#[tokio::test]
async fn per_method() {
    let (_btc, _eth, registry) = two().await;
    let by_key = Plugin::wasm("by-key", &symgate_tests::wasm::folder().join("metadata_key.wasm"));
    let gateway = Gateway::builder()
        .file(&registry)
        .route(Route::to("klineRpc"))
        .route(Route::to("klineRpc").on("/pb.KlineService/WatchKline").with("extract", "by-key"))
        .plugin(by_key.config("key = \"pair\""))
        .start()
        .await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    let mut client = gateway.client();
    let watched = client.watch_kline(with_metadata(ask("BTC_USDT"), "pair", "ETH_USDT")).await.unwrap();
    assert_owner(&watched.into_inner().message().await.unwrap().unwrap(), "ETH_USDT");
    let reply = client.get_kline(with_metadata(ask("BTC_USDT"), "pair", "ETH_USDT")).await.unwrap();
    assert_owner(&reply.into_inner(), "BTC_USDT");
}

#[tokio::test]
async fn a_call_that_has_no_instance_says_why() {
    let (mut btc, _eth, registry) = two().await;
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    let mut client = gateway.client();

    let status = client.get_kline(ask("")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(reason(&status).is_some(), "an error of the gateway carries symgate-reason: {status:?}");

    let status = client.get_kline(ask("DOGE_USDT")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().contains("DOGE_USDT") && status.message().contains("klineRpc"), "{status}");

    btc.stop();
    symgate_tests::eventually!(
        client.get_kline(ask("BTC_USDT")).await.is_err_and(|status| status.code() == Code::Unavailable
            && status.message().contains("BTC_USDT")
            && reason(&status).is_some()),
        "a symbol whose instance is dead is UNAVAILABLE and is named"
    );
    client.get_kline(ask("ETH_USDT")).await.expect("the other symbol is not disturbed");
}

#[tokio::test]
async fn no_route_is_unimplemented() {
    let (_btc, _eth, registry) = two().await;
    let route = Route::to("klineRpc").on("/pb.KlineService/WatchKline");
    let gateway = Gateway::builder().file(&registry).route(route).start().await;
    gateway.ready().await;
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    assert!(status.message().contains("/pb.KlineService/GetKline"), "{status}");
}

#[tokio::test]
async fn a_service_without_symbols_answers_from_any_instance() {
    let instance = Instance::start(&[""]).await;
    let registry = RegistryFile::new();
    registry.put("accountRpc/7587876543210987654", instance.address());
    let gateway = Gateway::builder().file(&registry).route(Route::to("accountRpc").unsplit()).start().await;
    gateway.serving(&["whatever"]).await;
    gateway.client().get_kline(KlineRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_call_without_symbol_may_go_to_any_or_to_one() {
    let (_btc, _eth, registry) = two().await;
    let symbol = toml::Table::from_iter([("symbol".to_owned(), "ETH_USDT".into())]);
    let gateway = Gateway::builder()
        .file(&registry)
        .route(Route::to("klineRpc").with("no_symbol", "any"))
        .route(Route::to("klineRpc").on("/pb.KlineService/WatchKline").with("no_symbol", symbol))
        .start()
        .await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    let mut client = gateway.client();
    client.get_kline(ask("")).await.expect("any instance answers");
    let empty = KlineRequest { symbol: String::new(), ..ask("") };
    let reply = client.watch_kline(empty).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert_owner(&reply, "ETH_USDT");
}

#[tokio::test]
async fn the_instance_is_told_what_was_decided_and_a_client_cannot_lie_about_it() {
    let (btc, _eth, registry) = two().await;
    let gateway =
        Gateway::builder().file(&registry).route(Route::to("klineRpc").with("reply_instance", true)).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let request = with_metadata(ask("BTC_USDT"), "symgate-symbol", "ETH_USDT");
    let response = gateway.client().get_kline(request).await.unwrap();
    let call = btc.seen().last();
    let symbols: Vec<_> = call.metadata.get_all("symgate-symbol").iter().collect();
    assert_eq!(symbols, ["BTC_USDT"], "one value, the gateway's");
    assert!(call.metadata("symgate-owner").is_some_and(|owner| owner.parse::<u64>().is_ok()), "{call:?}");
    let instance = response.metadata().get("symgate-instance").expect("the route asks for it");
    assert_eq!(instance.to_str().unwrap(), btc.address().to_string());
}

#[tokio::test]
async fn a_repeated_key_that_a_plugin_reads_is_ambiguous() {
    let (btc, _eth, registry) = two().await;
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let before = btc.seen().calls();
    let mut request = with_symbol(ask("BTC_USDT"), "BTC_USDT");
    request.metadata_mut().append("symbol", "ETH_USDT".parse().unwrap());
    let status = gateway.client().get_kline(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(btc.seen().calls(), before, "no instance saw the call");
}
