//! Where instances may be: entries outside `networks` are rejected, whatever registry says them and however they are
//! written, and so are those that lead back to the gateway.

use std::net::SocketAddr;

use symgate_tests::{
    Cable, Etcd, Gateway, Instance, RegistryFile,
    client::{ask, assert_owner, reason},
    eventually,
    gateway::Builder,
};
use tempfile::TempDir;

const KEY: &str = "klineRpc/BTC_USDT/1";

/// The entry is seen as rejected for this reason everywhere, and calls do not get to it.
async fn rejected(gateway: &Gateway, address: &str, why: &str) {
    let reason_of_it = format!("{address} {why}");
    eventually!(gateway.table().await["services"][0]["rejected"][KEY] == reason_of_it, "/table says: {reason_of_it}");
    eventually!(gateway.log().says(&["registry entry rejected", KEY, &reason_of_it]), "so does the log");
    assert!(gateway.metric("symgate_registry_events_total", "event=\"rejected\"").await > 0.0, "it is counted");
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.expect_err("there is no instance");
    assert!(["unknown-symbol", "no-instance"].contains(&reason(&status).expect("an error of the gateway")), "{status}");
}

async fn outside(gateway: &Gateway, address: &str) {
    rejected(gateway, address, "is outside the `networks` of its [[registry]]").await;
}

async fn reached(gateway: &Gateway) {
    gateway.serving(&["BTC_USDT"]).await;
    let reply = gateway.client().get_kline(ask("BTC_USDT")).await.expect("an instance");
    assert_owner(reply.get_ref(), "BTC_USDT");
}

/// Goes from an address that is not allowed, in several clothes, to one that is, and back.
async fn check(builder: Builder, put: impl AsyncFn(&str)) {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let (allowed, port) = (instance.address().to_string(), instance.address().port());
    put("127.0.0.2:9").await;
    let gateway = builder.networks(&["127.0.0.1", "10.0.0.0/8", "::/0", "*.internal"]).start().await;
    gateway.ready().await;
    outside(&gateway, "127.0.0.2:9").await;
    put(&allowed).await;
    reached(&gateway).await;
    for wrong in ["192.0.2.1", "[::ffff:127.0.0.2]", "localhost", "internal"] {
        let address = format!("{wrong}:{port}");
        put(&address).await;
        outside(&gateway, &address).await;
    }
    put(&format!("[::ffff:127.0.0.1]:{port}")).await;
    reached(&gateway).await;
}

#[tokio::test]
async fn entries_of_etcd() {
    let etcd = Etcd::start().await;
    check(Gateway::builder().etcd(&etcd), async |address: &str| {
        etcd.put(KEY, address).await;
    })
    .await;
}

#[tokio::test]
async fn entries_of_a_file() {
    let file = RegistryFile::new();
    check(Gateway::builder().file(&file), async |address: &str| file.put(KEY, address)).await;
}

#[tokio::test]
async fn entries_of_a_kept_table() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("table");
    etcd.put(KEY, "127.0.0.1:9").await;
    let gateway = || Gateway::builder().etcd_within(&cable.endpoint(), "500ms").keep(&file, "10m");
    let earlier = gateway().start().await;
    eventually!(file.exists(), "the table is written");
    drop(earlier);
    cable.cut();
    let gateway = gateway().networks(&["10.0.0.0/8"]).start().await;
    gateway.ready().await;
    outside(&gateway, "127.0.0.1:9").await;
}

#[tokio::test]
async fn what_a_name_stands_for_is_held_to_the_networks_when_it_is_connected() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::new();
    registry.put(KEY, format!("localhost:{}", instance.address().port()));
    let gateway = Gateway::builder().file(&registry).networks(&["localhost", "10.0.0.0/8"]).start().await;
    gateway.ready().await;
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.expect_err("it may not be connected");
    assert_eq!(reason(&status), Some("unreachable"), "{status}");
    let why = "127.0.0.1";
    assert!(status.message().contains(why) && status.message().contains("`networks`"), "{status}");
    assert_eq!(instance.seen().calls(), 0);

    let gateway = Gateway::builder().file(&registry).networks(&["localhost", "127.0.0.0/8"]).start().await;
    reached(&gateway).await;
    let gateway = Gateway::builder().file(&registry).networks(&["localhost"]).start().await;
    reached(&gateway).await;
}

#[tokio::test]
async fn the_gateway_is_no_instance_of_its_own() {
    let registry = RegistryFile::new();
    registry.put(KEY, "127.0.0.1:9");
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.ready().await;
    let own = |host: &str, listener: SocketAddr| format!("{host}:{}", listener.port());
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"] {
        let address = own(host, gateway.address());
        registry.put(KEY, &address);
        rejected(&gateway, &address, "is this gateway itself").await;
        let address = own(host, gateway.admin_address());
        registry.put(KEY, &address);
        rejected(&gateway, &address, "is the admin listener of this gateway").await;
    }
    let instance = Instance::start(&["BTC_USDT"]).await;
    registry.put(KEY, own("127.0.0.1", instance.address()));
    reached(&gateway).await;
}
