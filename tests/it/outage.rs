//! etcd goes away, comes back and is compacted in between, while calls flow: the last table serves, the new one takes
//! over.

use std::sync::Arc;

use futures::FutureExt;
use symgate_tests::{
    Cable, Etcd, Gateway, Instance, Route,
    client::{Client, ask, assert_owner},
    eventually,
    load::Load,
};

/// Must not fail: its owner is there all the time.
async fn call(mut client: Client) {
    let reply = client.get_kline(ask("BTC_USDT")).await.expect("the owner of BTC_USDT is there");
    assert_owner(reply.get_ref(), "BTC_USDT");
}

async fn register(etcd: &Etcd, symbol: &str, instance: &Instance) {
    etcd.put(&format!("klineRpc/{symbol}/1"), instance.address().to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_table_serves_while_etcd_is_away() {
    let mut etcd = Etcd::start().await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    register(&etcd, "BTC_USDT", &btc).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let mut load = Load::start(&gateway, 4, |client, _| call(client).boxed());

    etcd.stop();
    eventually!(gateway.metric("symgate_registry_events_total", "lost").await > 0.0, "the loss is counted");
    load.calls_more(1_000).await;
    assert_eq!(gateway.admin_get("/readyz").await.0, 200, "a gateway that serves stays in service");
    let stale = &gateway.table().await["services"][0]["stale_since_unix"];
    assert!(stale.is_u64(), "/table says since when: {stale}");
    assert!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await > 0.0);
    etcd.restart().await;

    let eth = Instance::start(&["ETH_USDT"]).await;
    register(&etcd, "ETH_USDT", &eth).await;
    gateway.serving(&["ETH_USDT"]).await;
    assert!(gateway.table().await["services"][0]["stale_since_unix"].is_null(), "it is heard again");
    load.calls_more(1_000).await;
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_compaction_swallowed_is_read_again() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    let eth = Instance::start(&["ETH_USDT"]).await;
    register(&etcd, "BTC_USDT", &btc).await;
    register(&etcd, "ETH_USDT", &eth).await;
    let gateway = Gateway::builder().etcd_at(&cable.endpoint()).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    let load = Load::start(&gateway, 4, |client, _| call(client).boxed());

    cable.cut();
    let unseen = Instance::start(&["SOL_USDT"]).await;
    etcd.delete("klineRpc/ETH_USDT/1").await;
    register(&etcd, "SOL_USDT", &unseen).await;
    etcd.compact().await;
    cable.mend();

    gateway.serving(&["SOL_USDT"]).await;
    let mut client = gateway.client();
    eventually!(client.get_kline(ask("ETH_USDT")).await.is_err(), "the delete that was compacted away is noticed");
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_after_compactions_leave_connections_and_ejections_alone() {
    const ROUNDS: u32 = 8;
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    register(&etcd, "BTC_USDT", &btc).await;
    // Nobody listens there: it is ejected at once, and for longer than the test takes.
    etcd.put("klineRpc/DEAD_USDT/1", "127.0.0.1:1").await;
    let busy = Route::to("busyRpc").on("/busy.Service/").unsplit();
    let builder = Gateway::builder().etcd_at(&cable.endpoint()).route(Route::to("klineRpc")).route(busy);
    let gateway = builder.upstream("eject_after", 1).upstream("eject_time", "1h").start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let lists = async || gateway.metric("symgate_registry_events_total", "\"list\"").await;
    let ejected = async || {
        let (_, table) = gateway.admin_get("/table?service=klineRpc&symbol=DEAD_USDT").await;
        let table: serde_json::Value = serde_json::from_str(&table).unwrap();
        table["services"][0]["symbols"]["DEAD_USDT"][0]["ejected_until_unix_ms"].as_u64()
    };
    eventually!(ejected().await.is_some(), "the dead one is ejected");
    let (before, connections) = (ejected().await, gateway.metric("symgate_upstream_connections", "").await);
    let load = Load::start(&gateway, 4, |client, _| call(client).boxed());

    for round in 0..ROUNDS {
        // One prefix is written to, the other is not.
        for id in 0..50 {
            etcd.put(&format!("busyRpc/{id}"), format!("127.0.0.1:{}", 2 + round)).await;
        }
        let listed = lists().await;
        cable.cut();
        etcd.put("busyRpc/0", "127.0.0.1:99").await;
        etcd.compact().await;
        cable.mend();
        eventually!(lists().await >= listed + 2.0, "both are listed again");
    }
    load.stop().await;
    assert_eq!(gateway.metric("symgate_upstream_connections", "").await, connections);
    assert_eq!(ejected().await, before, "a list is no reason to try it again");
}

#[tokio::test]
async fn a_gateway_that_starts_before_etcd_is_not_ready_until_it_is_there() {
    let mut etcd = Etcd::start().await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    register(&etcd, "BTC_USDT", &btc).await;
    etcd.stop();
    let gateway = Arc::new(Gateway::builder().etcd(&etcd).start().await);
    assert_eq!(gateway.admin_get("/livez").await.0, 200, "it is alive");
    assert_ne!(gateway.admin_get("/readyz").await.0, 200, "it is not ready");
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    etcd.restart().await;
    gateway.ready().await;
    gateway.serving(&["BTC_USDT"]).await;
}
