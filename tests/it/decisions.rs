//! How often plugins are asked, by the gateway's own count: once per call, unless the outcome is known.

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile,
    client::{Client, ask, with_symbol},
    eventually,
    wasm::folder,
};

const SYMBOLS: [&str; 2] = ["BTC_USDT", "ETH_USDT"];
const CALLS: f64 = 10.0;

/// One instance for `BTC_USDT`, two for `ETH_USDT`, and one worker.
async fn gateway(plugins: [Plugin; 2]) -> (Vec<Instance>, RegistryFile, Gateway) {
    let mut instances = Vec::new();
    for symbols in [&SYMBOLS[..1], &SYMBOLS[1..], &SYMBOLS[1..]] {
        instances.push(Instance::start(symbols).await);
    }
    let [btc, one, other] = &instances[..] else { panic!("three instances") };
    let owners = [("BTC_USDT", btc.address()), ("ETH_USDT", one.address()), ("ETH_USDT", other.address())];
    let registry = RegistryFile::of(&owners);
    let [extractor, selector] = plugins;
    let gateway =
        Gateway::builder().file(&registry).listen("workers", 1).plugin(extractor).plugin(selector).start().await;
    gateway.serving(&SYMBOLS).await;
    eventually!(gateway.metric("symgate_upstream_connections", "").await >= 3.0, "every instance is a candidate");
    (instances, registry, gateway)
}

fn extractor() -> Plugin {
    Plugin::usual("by-symbol", &folder().join("message_field.wasm"))
}

fn selector() -> Plugin {
    Plugin::usual("least-loaded", &folder().join("least_loaded.wasm"))
}

async fn calls(client: &mut Client, symbol: &str) {
    for _ in 0..10 {
        client.get_kline(with_symbol(ask(symbol), symbol)).await.unwrap();
    }
}

/// Extractors asked, outcomes remembered, selectors asked.
async fn counts(gateway: &Gateway) -> [f64; 3] {
    let (extract, select) = ("kind=\"extract\"", "kind=\"select\"");
    [
        gateway.metric("symgate_decisions_total", extract).await,
        gateway.metric("symgate_decisions_remembered_total", extract).await,
        gateway.metric("symgate_decisions_total", select).await,
    ]
}

/// What ten calls for the symbol add to the counts.
async fn added(gateway: &Gateway, symbol: &str) -> [f64; 3] {
    let before = counts(gateway).await;
    calls(&mut gateway.client(), symbol).await;
    let after = counts(gateway).await;
    std::array::from_fn(|at| after[at] - before[at])
}

#[tokio::test]
async fn an_outcome_that_is_known_is_not_asked_for() {
    let (_instances, _registry, gateway) = gateway([extractor(), selector()]).await;
    calls(&mut gateway.client(), "ETH_USDT").await;
    assert_eq!(added(&gateway, "ETH_USDT").await, [0.0, CALLS, CALLS], "a choice is never remembered");
    assert_eq!(added(&gateway, "BTC_USDT").await[2], 0.0, "there is nothing to choose from one instance");
}

#[tokio::test]
async fn every_call_asks_both_when_the_configuration_says_so() {
    let plugins = [extractor().with("remember", false), selector().config("skip_single = false")];
    let (_instances, _registry, gateway) = gateway(plugins).await;
    for symbol in SYMBOLS {
        assert_eq!(added(&gateway, symbol).await, [CALLS, 0.0, CALLS], "{symbol}");
    }
}

#[tokio::test]
async fn a_new_version_is_asked_anew() {
    let wasm = symgate_tests::Wasm::of("message_field");
    let extractor = Plugin::usual("by-symbol", &wasm.path());
    let (_instances, _registry, gateway) = gateway([extractor, selector()]).await;
    calls(&mut gateway.client(), "ETH_USDT").await;
    let before = gateway.plugin_version("by-symbol").await;
    wasm.write(&symgate_tests::wasm::with_fresh_bytes(symgate_tests::wasm::bytes("message_field")));
    eventually!(gateway.plugin_version("by-symbol").await != before, "the new version decides");
    assert_eq!(added(&gateway, "ETH_USDT").await, [1.0, CALLS - 1.0, CALLS]);
}
