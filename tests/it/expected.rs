//! Symbols that should have an instance: those without one are seen in the log, in `/table` and in the metrics, and nothing
//! else depends on it.

use std::{fs, path::Path};

use etcd_client::{Txn, TxnOp};
use serde_json::{Value, json};
use symgate_tests::{
    Cable, Etcd, Gateway, Instance, RegistryFile,
    client::{ask, reason},
    eventually,
    registry_file::replace,
};
use tempfile::TempDir;

const GONE: &str = "expected symbols have no instance";
const BACK: &str = "expected symbols have an instance again";

/// `[[service]]` with a list from there.
fn listed(place: &str) -> String {
    format!("[[service]]\nname = \"klineRpc\"\nexpected_symbols = {{ {place} }}")
}

fn listed_in(file: &Path) -> String {
    listed(&format!("file = {:?}", file.to_str().unwrap()))
}

async fn expected(gateway: &Gateway) -> Value {
    gateway.table().await["services"][0]["expected"].clone()
}

/// `/table` and the metrics say that these are missing, of so many.
async fn missing(gateway: &Gateway, of: usize, symbols: &[&str]) {
    let known = |expected: &Value| expected["symbols_known"] == of && expected["missing"] == json!(symbols);
    eventually!(known(&expected(gateway).await), "of {of} symbols {symbols:?} are missing");
    assert_eq!(expected(gateway).await["missing_known"], symbols.len());
    assert_eq!(gateway.metric("symgate_expected_symbols", "service=\"klineRpc\"").await, of as f64);
    assert_eq!(gateway.metric("symgate_missing_symbols", "service=\"klineRpc\"").await, symbols.len() as f64);
}

/// How many lines of the log say this of a symbol.
fn told(gateway: &Gateway, text: &str, symbol: &str) -> usize {
    let lines = gateway.log().lines_from(0);
    lines.iter().filter(|line| line.contains(text) && line.contains(symbol)).count()
}

#[tokio::test]
async fn keys_of_etcd_are_watched_as_the_service_is() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    etcd.put("klineRpc/BTC_USDT/1", btc.address().to_string()).await;
    for symbol in ["BTC_USDT", "ETH_USDT"] {
        etcd.put(&format!("Symbol/{symbol}"), "listed").await;
    }
    let builder = Gateway::builder().etcd_at(&cable.endpoint()).more(&listed("prefix = \"Symbol/\""));
    let gateway = builder.start().await;
    gateway.ready().await;
    missing(&gateway, 2, &["ETH_USDT"]).await;
    eventually!(told(&gateway, GONE, "ETH_USDT") == 1, "it is told");
    let status = gateway.client().get_kline(ask("ETH_USDT")).await.expect_err("it has no instance");
    assert_eq!(reason(&status), Some("unknown-symbol"), "an expected symbol is routed as any other");

    etcd.put("klineRpc/ETH_USDT/2", "127.0.0.1:9").await;
    missing(&gateway, 2, &[]).await;
    eventually!(told(&gateway, BACK, "ETH_USDT") == 1, "it is told");
    etcd.put("klineRpc/XRP_USDT/3", "127.0.0.1:10").await;
    eventually!(expected(&gateway).await["unexpected"] == json!(["XRP_USDT"]), "it is seen as unexpected");
    etcd.delete("klineRpc/ETH_USDT/2").await;
    missing(&gateway, 2, &["ETH_USDT"]).await;
    eventually!(told(&gateway, GONE, "ETH_USDT") == 2, "it is told again");

    etcd.delete("Symbol/ETH_USDT").await;
    etcd.put("Symbol/XRP_USDT", "").await;
    missing(&gateway, 2, &[]).await;
    assert_eq!(expected(&gateway).await["unexpected"], json!([]));

    cable.cut();
    eventually!(
        gateway.log().says(&["the list of expected symbols cannot be heard; it stays as it was"]),
        "it is said"
    );
    etcd.put("Symbol/SOL_USDT", "").await;
    missing(&gateway, 2, &[]).await;
    eventually!(expected(&gateway).await["stale_since_unix"].is_u64(), "it is marked");
    cable.mend();
    missing(&gateway, 3, &["SOL_USDT"]).await;
    assert!(expected(&gateway).await["stale_since_unix"].is_null());
    eventually!(told(&gateway, GONE, "SOL_USDT") == 1, "it is told");
    assert_eq!(told(&gateway, BACK, "ETH_USDT"), 1, "a symbol that is expected no more is not there again");
}

#[tokio::test]
async fn a_file_is_watched() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("symbols.txt");
    fs::write(&file, "# listed\nBTC_USDT\nETH_USDT # soon\n").unwrap();
    let gateway = Gateway::builder().more(&listed_in(&file));
    let (_instance, registry, gateway) = gateway.over_one().await;
    missing(&gateway, 2, &["ETH_USDT"]).await;
    replace(&file, b"BTC_USDT\nSOL_USDT\nXRP_USDT\n");
    missing(&gateway, 3, &["SOL_USDT", "XRP_USDT"]).await;
    registry.put("klineRpc/LTC_USDT/1", "127.0.0.1:9");
    registry.delete("klineRpc/BTC_USDT/0");
    missing(&gateway, 3, &["BTC_USDT", "SOL_USDT", "XRP_USDT"]).await;

    fs::remove_file(&file).unwrap();
    eventually!(gateway.log().says(&["it stays as it was", "symbols.txt"]), "it is said");
    missing(&gateway, 3, &["BTC_USDT", "SOL_USDT", "XRP_USDT"]).await;
    fs::write(&file, "# none\n").unwrap();
    missing(&gateway, 0, &[]).await;
}

#[tokio::test]
async fn keys_of_a_registry_file_will_do() {
    let registry = RegistryFile::new();
    registry.put("Symbol/BTC_USDT", "");
    let gateway = Gateway::builder().file(&registry).more(&listed("prefix = \"Symbol/\"")).start().await;
    missing(&gateway, 1, &["BTC_USDT"]).await;
    registry.put("klineRpc/BTC_USDT/1", "127.0.0.1:9");
    missing(&gateway, 1, &[]).await;
}

#[tokio::test]
async fn without_a_list_the_gateway_is_ready_and_nothing_is_missing() {
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::builder().more(&listed_in(&folder.path().join("none.txt")));
    let (_instance, _registry, gateway) = gateway.over_one().await;
    eventually!(gateway.log().says(&["it stays as it was", "none.txt"]), "it is said");
    gateway.ready().await;
    assert_eq!(expected(&gateway).await["missing_known"], Value::Null);
    assert!(!gateway.admin_get("/metrics").await.1.contains("symgate_missing_symbols{"), "nothing is known of it");
}

#[tokio::test]
async fn many_that_are_missing_make_one_line() {
    let etcd = Etcd::start().await;
    let puts: Vec<_> = (0..100).map(|n| TxnOp::put(format!("Symbol/S{n:03}"), "", None)).collect();
    etcd.client().await.txn(Txn::new().and_then(puts)).await.unwrap();
    let gateway = Gateway::builder().etcd(&etcd).more(&listed("prefix = \"Symbol/\"")).start().await;
    eventually!(told(&gateway, GONE, "\"count\":100") == 1, "all are told of together");
    assert_eq!(told(&gateway, GONE, ""), 1);
    assert_eq!(told(&gateway, GONE, "S000, S001"), 1, "some are named");
}
