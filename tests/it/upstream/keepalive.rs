//! Silent connections with calls on them: the instance is asked for a sign of life, no more often than it likes.

use symgate_tests::{
    Instance, RegistryFile,
    client::{ask, reason},
    eventually,
    eventually::PATIENCE,
    gateway::Builder,
    instance::Behaviour,
};
use tokio::time::timeout;
use tonic::Code;

use super::{call, gateway, wire::Wire};

/// HTTP/2's ENHANCE_YOUR_CALM.
const ENHANCE_YOUR_CALM: u32 = 0xb;

fn impatient() -> Builder {
    gateway().upstream("keepalive_interval", "1s").upstream("keepalive_timeout", "1s")
}

#[tokio::test]
async fn a_call_to_an_instance_that_gives_no_sign_of_life_ends() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let wire = Wire::to(instance.address()).await;
    let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
    let gateway = impatient().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    instance.behave(Behaviour::Stall);
    let mut client = gateway.client();
    let stalled = tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await });
    eventually!(instance.seen().under_way() == 1, "the call arrives");
    eventually!(wire.pings() == 2, "the instance answers pings, and the call goes on");
    wire.freeze();
    let ended = timeout(PATIENCE, stalled).await.expect("the call ends");
    let status = ended.unwrap().unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("instance-lost")), "{status}");
    assert!(status.message().contains("keepalive"), "{status}");
}

#[tokio::test]
async fn only_connections_with_calls_are_pinged() {
    let busy = Instance::start(&["BTC_USDT"]).await;
    let idle = Instance::start(&["ETH_USDT"]).await;
    let (busy_wire, idle_wire) = (Wire::to(busy.address()).await, Wire::to(idle.address()).await);
    let registry = RegistryFile::of(&[("BTC_USDT", busy_wire.address()), ("ETH_USDT", idle_wire.address())]);
    let gateway = impatient().file(&registry).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    busy.behave(Behaviour::Stall);
    let mut client = gateway.client();
    let stalled = tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await });
    eventually!(busy_wire.pings() == 3, "the silent instance is asked");
    assert_eq!((idle_wire.pings(), idle_wire.open()), (0, 1), "the idle one is connected, and not asked");
    stalled.abort();
}

#[tokio::test]
async fn an_instance_that_wants_fewer_pings_gets_fewer() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let wire = Wire::to(instance.address()).await;
    let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
    let gateway = impatient().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    for (round, interval) in [(1, "2s"), (2, "4s")] {
        wire.go_away(ENHANCE_YOUR_CALM);
        eventually!(wire.opened() == round + 1 && wire.open() == 1, "there is a new connection");
        eventually!(gateway.log().says(&["fewer keepalive pings", interval]), "the interval doubles");
        call(&gateway).await.unwrap();
    }
}
